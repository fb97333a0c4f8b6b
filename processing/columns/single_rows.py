"""Single rows, one by one: the few that are unlike the others, and those too long for arrays."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from processing.columns.header import Header
from processing.columns.quotes import unquote
from rules.codes import FindingCode

_EMPTY_FIELDS: Final = (b"", b'""')


def is_rest_empty(rest: bytes, separator: bytes) -> bool:
    """Whether all fields of a row's remainder are empty, however many they are."""
    fields = separator + rest
    if b'"' in fields:
        # A comma and two marks: an empty field, unless a third mark follows, which then is left over.
        fields = fields.replace(separator + b'""', separator)
    return not fields.strip(separator)


def is_blank(row: bytes, separator: bytes) -> bool:
    """Whether a row is skipped: all fields are empty; the first one may be of white space (a line of spaces)."""
    first, _, rest = row.partition(separator)
    return is_rest_empty(rest, separator) and _is_white(first)


def _is_white(field: bytes) -> bool:
    return not unquote(field).decode("utf-8", "replace").strip()


def without_fields(row: bytes, separator: bytes, places: Sequence[int]) -> tuple[bytes, int]:
    """A row's text without the fields at these places (ascending), and how many fields are left."""
    fields = row.split(separator)
    for place in reversed(places[: bisect_left(places, len(fields))]):
        del fields[place]
    return separator.join(fields), max(1, len(fields))


def check_row(row: bytes, width: int, header: Header, separator: bytes) -> FindingCode | list[bytes] | None:
    """One row of `width` fields: its finding, or its fields within the header's width, or None if it is skipped."""
    fields = row.split(separator, header.width)
    rest = fields.pop() if width > header.width else b""
    live = [field for at, field in enumerate(fields) if at not in header.ignored]
    beyond = live[len(header.kept) :]
    is_rest_blank = is_rest_empty(rest, separator) and all(field in _EMPTY_FIELDS for field in beyond)
    named = live[: len(header.kept)]
    if (
        is_rest_blank
        and all(field in _EMPTY_FIELDS for field in named[1:])
        and _is_white(b"".join(named[:1]))
    ):
        return None
    if len(named) < len(header.kept):
        return FindingCode.ROW_TOO_FEW_FIELDS
    if not is_rest_blank:
        return FindingCode.ROW_TOO_MANY_FIELDS
    return fields
