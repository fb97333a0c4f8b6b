"""The SSH front: who, where, how much; then bytes into the spool, until the client's own CLOSE.

In: a connection. Out: a finished spool, handed to `processing.intake`, which is the one call between rooms.
"""
