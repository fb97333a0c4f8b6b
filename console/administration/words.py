"""Refusals of the rooms below in words of a page: they name commands, where a page has links."""

from typing import Final

from campaigns.errors import AddressUnknown, CampaignsError, UserNotFound

_UNKNOWN: Final = (
    "That address is neither below gov.sg nor of a domain of an agency: give its agency the domain first"
)
_NOBODY: Final = "Nobody here has that address: people are added with their first right, membership or login"


def said(error: CampaignsError) -> str:
    """What a page says of it: one sentence."""
    match error:
        case AddressUnknown():
            return _UNKNOWN
        case UserNotFound():
            return _NOBODY
        case _:
            text = str(error)
            return text[:1].upper() + text[1:]
