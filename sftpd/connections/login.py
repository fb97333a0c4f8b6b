"""Who gets in: pure. What a client is told is the same for every refusal; the reason is for logs, metrics and the login_audit."""

from enum import StrEnum
from typing import Final

from keys.access import Access
from sftpd.connections.source_addresses import Address, is_listed

_SHOWN: Final = 64


class LoginRefusal(StrEnum):
    """Why a login came to nothing."""

    UNKNOWN = "unknown"  # no such campaign, or a suspended or deleted one
    KEY = "key"
    SOURCE = "source"
    SIGNATURE = (
        "signature"  # the right key, but no valid signature by it: SHA-1, or the private key isn't there
    )
    NO_KEY = "no_key"  # no public key was tried at all
    SESSIONS = "sessions"
    UNAVAILABLE = "unavailable"


def find_login_refusal(access: Access | None, fingerprint: str, address: Address) -> LoginRefusal | None:
    """None lets this key in from this address. Every rule is looked at whatever the others say, so that time tells nothing."""
    sources = access.allowed_sources if access else ()
    fingerprints = access.fingerprints if access else frozenset()
    has_key = fingerprint in fingerprints
    is_from_there = not sources or is_listed(address, sources)
    if access is None:
        return LoginRefusal.UNKNOWN
    if not has_key:
        return LoginRefusal.KEY
    return None if is_from_there else LoginRefusal.SOURCE


def escape_user_name(user_name: str) -> str:
    """A user name as it may stand in a log: printable ASCII, at most 64 characters (2-gateway.md §5)."""
    return user_name[:_SHOWN].encode("unicode_escape").decode("ascii")[:_SHOWN]
