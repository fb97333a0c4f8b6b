"""What providers call back: each callback is a receipt of an attempt, answered once it is committed.

In: a POST below /callbacks/. Out: receipts for `messages.attempts`, in groups.
"""
