"""A connection from its first byte to its login: it is accepted, counted, and then refused or let in.

In: a socket. Out: a `Session`, whose channels `sftpd.session` serves.
"""
