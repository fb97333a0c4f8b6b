"""Places in the order of messages and batches as they stand in addresses: text that says nothing to people, and is checked."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from messages.pages import Place

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BATCH_ID: Final = re.compile(r"[!-~]{0,64}", re.ASCII)
_MOST_CHARACTERS: Final = 200
_MOST_MICROSECONDS: Final = 253_402_300_799_000_000
_MOST_ROWS: Final = 2**31


def cursor_of(place: Place) -> str:
    """The text of a place."""
    microseconds = (place.created_at - _EPOCH) // timedelta(microseconds=1)
    document = json.dumps([microseconds, place.batch_id, place.row_number], separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def parse_cursor(text: str) -> Place | None:
    """The place that `text` is, or None where it is none."""
    if len(text) > _MOST_CHARACTERS or not text.isascii():
        return None
    try:
        document = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    match document:
        case [int(microseconds), str(batch_id), int(row_number)] if (
            0 <= microseconds <= _MOST_MICROSECONDS
            and _BATCH_ID.fullmatch(batch_id)
            and 0 <= row_number <= _MOST_ROWS
        ):
            return Place(_EPOCH + timedelta(microseconds=microseconds), batch_id, row_number)
        case _:
            return None
