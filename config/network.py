"""What is near and what is far: plain connections are fine on loopback only."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without its port, is this machine for certain. No look-up is made."""
    bare = host.strip("[]")
    if bare == "localhost" or bare.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
