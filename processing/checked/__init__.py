"""Uploads of the console: checked first, and sent only when their sender says so (9-console.md §7).

In: `intake` takes one in with the user who sent it. Its job, of an entrypoint of its own, gives it a verdict: a bad one is
rejected as any upload is, a good one waits as `checked`, for an hour. Then `sending` asks for its batch, and the same job judges
it anew and makes that, once; or it is forgotten, or swept. Never an e-mail: whoever sent it has the page open, or finds it again.

To programs of the release before, such an upload has failed from its receipt on, so that none of them judges or withdraws it.
`checked_at` is there for as long as it is neither decided nor gone, and `checked` from the verdict on.
"""
