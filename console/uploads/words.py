"""What pages call the ways in, statuses and outcomes of uploads: the words of e-mails and of the command line."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from console.paths import has_page, url

# Word and kind of tag, by status; the order is that of a choice.
STATUSES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "received": ("Received", "grey"),
        "validating": ("Being checked", "blue"),
        "checked": ("Checked, not sent", "yellow"),
        "accepted": ("Accepted", "green"),
        "rejected": ("Rejected", "red"),
        "failed": ("Failed", "red"),
        "withdrawn": ("Withdrawn", "grey"),
    }
)
WAYS: Final[Mapping[str, str]] = MappingProxyType({"sftp": "SFTP", "api": "API", "console": "Console"})


def link_to(page: str, **values: object) -> str | None:
    """The path of another folder's page, or None where this program has no page of that name."""
    return url(page, **values) if has_page(page) else None


def counted(number: int, thing: str) -> str:
    """`1 message`, `1,204 messages`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
