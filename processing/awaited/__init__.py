"""Uploads whose senders wait for the outcome, and are told it there: those of the HTTP API, and later the console's.

In: `intake` takes one in as it takes one of SFTP, with a `waiter`: the number of an advisory lock that the process which answers
the sender holds for as long as it does. Its job has an entrypoint of its own, so that a worker of the release before leaves it
alone. Out: an outcome, of which `waiting` tells that process; never an e-mail. Nothing is accepted once nobody holds the lock:
such an upload is withdrawn, since its sender will send it again. Twins are SFTP's alone.
"""
