"""Whose certificates are believed."""

import ssl
from functools import cache


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Those that this machine trusts, TLS 1.2 or newer, read once in a process.

    Each reading takes 30 ms and a megabyte, while accounts are many and links are made anew.
    """
    return ssl.create_default_context()
