"""What pages call the ways in, statuses and outcomes of uploads: the words of e-mails and of the command line."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from console.paths import url

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
    try:
        return url(page, **values)
    except KeyError:
        return None


def counted(number: int, thing: str) -> str:
    """`1 message`, `1,204 messages`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def outcome_in_short(upload: Mapping[str, object]) -> str:
    """What became of an upload, in a few words; empty where that isn't decided."""
    messages, errors, rows = upload["total_messages"], upload["num_errors"], upload["num_rows"]
    if upload["status"] == "accepted" and isinstance(messages, int):
        return f"{counted(messages, 'message')}{' (made before)' if upload['duplicate_of'] else ''}"
    if upload["status"] == "failed" and upload["support_id"]:
        return str(upload["support_id"])
    if upload["error_reason"]:
        return str(upload["error_reason"])
    if isinstance(errors, int) and isinstance(rows, int) and errors and rows:
        return f"{counted(errors, 'error')} in {counted(rows, 'row')}"
    return ""
