"""The header row: which column is what, and what is wrong with the names.

Names are trimmed and then compared exactly; their order is free. Columns of an earlier report, `Error Reason`, are
ignored with all their cells, and so are columns without a name at the end where the cells under them are empty.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Final

from processing.columns.chunks import Chunk
from processing.columns.quotes import unquote
from processing.columns.results import FILE_REASON_PREFIX, REASON_COLUMN, Finding
from rules.characters.code_points import name_character
from rules.codes import FindingCode
from rules.texts import (
    HEADER_BELOW,
    file_reason,
    join_names,
    quote,
    row_reason,
)

MOST_COLUMNS: Final = 200
# Fields of a header row that are looked at one by one.
_MOST_NAMES: Final = 1000
RECIPIENT: Final = "recipient"
LANGUAGE: Final = "language"
# The columns that every file has.
_ALWAYS: Final = frozenset((RECIPIENT, LANGUAGE))
_DELIMITERS: Final = (";", "\t")
# What separates columns in place of commas, in words; any other mark is named by its code point.
_MARKS: Final = {
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars (|)",
    "^": "carets (^)",
    ":": "colons (:)",
    " ": "spaces",
    "\N{FULLWIDTH COMMA}": "full-width commas (\N{FULLWIDTH COMMA})",
    "\N{IDEOGRAPHIC COMMA}": "ideographic commas (\N{IDEOGRAPHIC COMMA})",
}
# Of a header row no more is searched for another delimiter: two hundred long names are shorter.
_HEADER_BYTES: Final = 64 * 1024
# A mobile number in the header row: it is somebody's row then, and nothing of it belongs in an e-mail.
_NUMBER: Final = re.compile(r"[+(]?[0-9][0-9eE ().+-]{6,}")
# A name that is part of another is suggested for it only from so many characters on.
_PART: Final = 3


@dataclass(frozen=True, slots=True)
class Header:
    """Where each column stands, in fields from 0.

    `width` is the number of fields that rows are cut into: the header row's own, but for a great many empty ones at its
    end. `ignored` are the places of an earlier report's columns; `kept` those of the named columns, ascending, and
    `names` their names.
    """

    width: int
    ignored: frozenset[int]
    kept: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def unnamed(self) -> tuple[int, ...]:
        """Places of columns without a name: their cells must be empty."""
        return tuple(at for at in range(self.width) if at not in self.ignored and at not in self.kept)


def read_header(
    chunk: Chunk, place: int, row: bytes, expected: Sequence[str]
) -> tuple[Header, list[Finding]]:
    """The header from its row, and what is wrong with it. `expected` are the names that must be there."""
    width = chunk.width_of(place)
    if width > _MOST_NAMES:
        width = row.rstrip(chunk.separator).count(chunk.separator) + 1
    raw = row.split(chunk.separator, min(width, _MOST_NAMES))[: min(width, _MOST_NAMES)]
    names = [_name_of(field) for field in raw]
    ignored = frozenset(at for at, name in enumerate(names) if _is_reason_column(name))
    kept = [at for at in range(len(names)) if at not in ignored]
    while kept and not names[kept[-1]]:
        kept.pop()
    header = Header(width, ignored, tuple(kept), tuple(names[at] for at in kept))
    others = [field for at, field in enumerate(raw) if at not in ignored] if ignored else [row]
    if b"\0" in row or not all(map(_is_utf8, others)):
        return header, [_finding(FindingCode.ENCODING_INVALID)]
    return header, _check(chunk, place, row, header, expected)


def _is_reason_column(name: str) -> bool:
    return name == REASON_COLUMN or name.startswith(FILE_REASON_PREFIX)


def _check(chunk: Chunk, place: int, row: bytes, header: Header, expected: Sequence[str]) -> list[Finding]:
    delimiter = _foreign_delimiter(row.replace(chunk.separator, b","), header.names, expected)
    if delimiter:
        return [_finding(FindingCode.DELIMITER_INVALID, delimiter=delimiter)]
    if place in chunk.malformed:
        return [_finding(FindingCode.ROW_QUOTE_INVALID)]
    if _is_line_quoted(header.names):
        return [_finding(FindingCode.LINES_QUOTED)]
    count = header.width if header.width > _MOST_NAMES else len(header.names)
    if count > MOST_COLUMNS:
        return [_finding(FindingCode.HEADER_UNKNOWN_COLUMN, count=count, expected=len(expected))]
    return _check_names(header.names, expected)


def _foreign_delimiter(header: bytes, names: Collection[str], expected: Collection[str]) -> str | None:
    """What the header row is separated by, in words, if it is not commas.

    `header` is the row's own text, `names` what commas make of it. Any mark separates it where cutting there gives the columns
    that every file has, and commas don't; semicolons and tabs also where there is no comma at all, or where cutting there gives
    more of the expected names.
    """
    text = header[:_HEADER_BYTES].decode("utf-8", "replace")
    mark = _separating_mark(text, names)
    if mark:
        return _name_mark(mark)
    found = len(set(expected).intersection(names))
    for delimiter in _DELIMITERS:
        if delimiter in text and (
            "," not in text or len(_cut_at(delimiter, text).intersection(expected)) > found
        ):
            return _name_mark(delimiter)
    return None


def _separating_mark(text: str, names: Collection[str]) -> str | None:
    """The mark that, cut at, gives the columns that every file has, where commas don't: they gave `names`.

    It stands behind the name of one of those columns; white space only counts where nothing else is there, and an
    apostrophe never, because it stands around names. Capitals are no other names here: what separates them is told first.
    """
    text = text.lower()
    if _ALWAYS.issubset(map(str.lower, names)):
        return None
    for kind in (r"\s*([^\w\"',\s])", r"([^\S,])"):
        behind = re.finditer(rf"(?:{RECIPIENT}|{LANGUAGE})[\"']?{kind}", text)
        for mark in dict.fromkeys(found[1] for found in islice(behind, _MOST_NAMES)):
            if _cut_at(mark, text) >= _ALWAYS:
                return mark
    return None


def _cut_at(mark: str, text: str) -> set[str]:
    """The names that a header row has if it is cut at a mark."""
    return {cell.strip().strip("\"'").strip() for cell in text.split(mark)}


def _name_mark(mark: str) -> str:
    if mark in _MARKS:
        return _MARKS[mark]
    return f"{mark} ({name_character(mark)})" if mark.isprintable() else name_character(mark)


def _is_line_quoted(names: Sequence[str]) -> bool:
    """Whether the header row is one field in quotation marks that has the columns every file has."""
    return len(names) == 1 and _cut_at(",", names[0][:_HEADER_BYTES].lower()) >= _ALWAYS


def reads_as_header(row: bytes, separator: bytes) -> bool:
    """Whether a row is meant to be a header row: it has the columns that every file has.

    Their names may be in capitals, and anything may separate them.
    """
    row = row[:_HEADER_BYTES].lower()
    if RECIPIENT.encode() not in row or LANGUAGE.encode() not in row:
        return False
    names = [_name_of(field) for field in row.split(separator)]
    text = row.replace(separator, b",").decode("utf-8", "replace")
    return _ALWAYS.issubset(names) or _is_line_quoted(names) or _separating_mark(text, names) is not None


def _name_of(field: bytes) -> str:
    return unquote(field).decode("utf-8", "replace").strip()


def header_below(number: int) -> Finding:
    """What is found where the header row is a later row, of that number, than the first."""
    return Finding(None, None, FindingCode.HEADER_MISSING_COLUMN, HEADER_BELOW.format(row=number))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _finding(code: FindingCode, **facts: str | int) -> Finding:
    return Finding(None, None, code, file_reason(code, **facts))


def _check_names(names: Sequence[str], expected: Sequence[str]) -> list[Finding]:
    counts = Counter(names)
    missing = [name for name in expected if name not in counts]
    unknown = [name for name in counts if name not in expected]
    is_row = any(map(_NUMBER.fullmatch, unknown))
    findings = [
        _named(
            FindingCode.HEADER_MISSING_COLUMN, name, hint="" if is_row else _hint_of_missing(name, unknown)
        )
        for name in missing
    ]
    findings += [
        _named(
            FindingCode.HEADER_UNKNOWN_COLUMN,
            _shown(name, names, is_row=is_row),
            hint=": the first row must hold the columns' names"
            if is_row
            else _hint_of_unknown(name, missing, expected),
        )
        for name in unknown
    ]
    findings += [
        _named(FindingCode.HEADER_DUPLICATE_COLUMN, name, count=counts[name])
        for name in expected
        if counts[name] > 1
    ]
    return findings


def _named(code: FindingCode, column: str, **facts: str | int) -> Finding:
    """A finding of one column; `file_text` of unknown columns is for too many of them."""
    words = file_reason if code is not FindingCode.HEADER_UNKNOWN_COLUMN else row_reason
    return Finding(None, None, code, words(code, column=column, **facts))


def _shown(name: str, names: Sequence[str], *, is_row: bool) -> str:
    if name and not is_row:
        return quote(name)
    places = [str(at + 1) for at, other in enumerate(names) if other == name]
    number = f"number {', '.join(places[:5])}"
    return number if name else f"{number}, which has no name,"


def _hint_of_missing(name: str, unknown: Sequence[str]) -> str:
    nearest = _nearest(name, unknown)
    return f" (is it the one named {quote(nearest)}?)" if nearest else ""


def _hint_of_unknown(name: str, missing: Sequence[str], expected: Sequence[str]) -> str:
    if name.lower().startswith("sep="):
        return ": delete this row, the first one must hold the columns' names"
    nearest = _nearest(name, missing)
    if nearest:
        return f": did you mean {nearest}?"
    if not missing:
        return ": delete it"
    return f": its columns are {join_names(list(expected))}".replace(" or ", " and ")


def _nearest(name: str, among: Sequence[str]) -> str | None:
    """The name of `among` most like `name`, case, spaces and hyphens aside; one may be a part of the other."""
    plain = {_plain(other): other for other in among if other}
    sought = _plain(name)
    found = get_close_matches(sought, list(plain), n=1, cutoff=0.6)
    if not found:
        parts = [other for other in plain if _is_part(sought, other) or _is_part(other, sought)]
        found = get_close_matches(sought, parts, n=1, cutoff=0)
    return plain[found[0]] if found else None


def _is_part(part: str, whole: str) -> bool:
    return len(part) >= _PART and part in whole


def _plain(name: str) -> str:
    return name[:60].lower().replace(" ", "_").replace("-", "_")
