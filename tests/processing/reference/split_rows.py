"""The reference's reading of a CSV: bytes to rows, one field after the other (4-sms-content.md §5, §6)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(slots=True)
class SentRow:
    """One row as sent. `number` counts from 1, skipped rows too; bytes that aren't UTF-8 are lone surrogates."""

    number: int
    raw: str = ""
    fields: list[str] = field(default_factory=list)
    quote_invalid: bool = False

    @property
    def encoding_invalid(self) -> bool:
        return any(UNDECODED.search(text) for text in self.fields)

    @property
    def has_lost_characters(self) -> bool:
        """What a decoder writes in the place of bytes that aren't UTF-8, as our own reports do."""
        return any("\ufffd" in text for text in self.fields)

    @property
    def is_blank(self) -> bool:
        """Nothing but empty fields; the first may be of white space, as a line of spaces is (padded, in a report)."""
        return not self.quote_invalid and not "".join(self.fields[:1]).strip() and not any(self.fields[1:])


def decode(data: bytes) -> str:
    """The text, without the byte order mark; a byte that isn't UTF-8 becomes one lone surrogate."""
    return data.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "surrogateescape")


def split_rows(text: str) -> Iterator[SentRow]:
    """Rows in order. Line ends are LF, CRLF and CR, outside quotes; nothing else ends a line."""
    number, place = 0, 0
    while place < len(text):
        number += 1
        row, begin = SentRow(number), place
        while True:
            value, place, well_formed = _read_field(text, place)
            row.fields.append(value)
            row.quote_invalid |= not well_formed
            if text[place : place + 1] != ",":
                break
            place += 1
        row.raw = text[begin:place]
        yield row
        place += 2 if text.startswith("\r\n", place) else 1


def _read_field(text: str, place: int) -> tuple[str, int, bool]:
    """The field that begins at `place`, where the comma or line end after it is, and whether its quotes are right.

    What follows a closing quote belongs to the field, quotes and all, up to the next comma or line end.
    """
    value, is_quoted, opening = "", text.startswith('"', place), place
    while text.startswith('"', place):  # the opening quote, or the second of two
        begin = place + (place == opening)
        close = text.find('"', place + 1)
        if close < 0:
            return value + text[begin:], len(text), False
        value += text[begin:close]
        place = close + 1
    end = place
    while end < len(text) and text[end] not in ",\r\n":
        end += 1
    return value + text[place:end], end, not (is_quoted and end > place)
