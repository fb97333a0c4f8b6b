"""The SSH front: it lets campaigns log in, and writes what they upload into the spool until they close it.

In: a connection. Out: a finished spool, given to `processing.intake`, which is the next room. `front` starts it all;
`connections/` goes from the first byte to the login, `session/` from there to the client's CLOSE, and `spool/` holds what is
unfinished.
"""
