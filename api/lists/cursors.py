"""Cursors: base64 of the compact JSON array `[createdAt, id]`, which is a place in the order of messages (8-api.md §2.7)."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic_core import from_json, to_json

from messages.documents import shown_time

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00", re.ASCII)
# A `+` in a query that nobody escaped arrives as a blank.
_TO_STANDARD: Final = str.maketrans("-_ ", "+/+")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place: when what is there was made, in aware UTC, and its id, whose form is not known here."""

    created_at: datetime
    identifier: str

    def text(self) -> str:
        """As callers get it: standard base64, with padding."""
        return base64.b64encode(to_json([shown_time(self.created_at), self.identifier])).decode()


def parse_cursor(text: str) -> Cursor | None:
    """The cursor that `text` is, also where it is url-safe, has no padding, or lost its `+`; None where it is none."""
    digits = text.translate(_TO_STANDARD).rstrip("=")
    try:
        document = from_json(base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None
    match document:
        case [str(created_at), str(identifier)] if _TIME.fullmatch(created_at):
            try:
                return Cursor(datetime.fromisoformat(created_at).astimezone(UTC), identifier)
            except (ValueError, OverflowError):
                return None
        case _:
            return None
