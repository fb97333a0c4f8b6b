"""A report read as it comes from the bucket: its header row, then rows with faults, one after the other; never all at once.

A report has the uploaded rows, each with a last field for its reasons (processing/columns/report.py). Rows without reasons end in
two quotation marks and are passed over. Rows are known by their numbers, and by the byte at which they begin, so that a page
further down begins there.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from config.sizes import MAX_UPLOAD_BYTES
from processing.columns.results import REASON_COLUMN
from processing.columns.told_reasons import ReasonReader, ToldReason

ON_A_PAGE: Final = 100
# How many rows with faults are looked at for one page, or counted by kind, with how many characters of reasons, and how many rows
# are cut into cells for that; and how many bytes one row may have to be shown.
MOST_LOOKED_AT: Final = 20_000
MOST_REASONS: Final = 3_000_000
MOST_PARSED: Final = 150_000
MOST_ROW_BYTES: Final = 1_000_000
# What a kind is called that isn't one of the codes.
OTHER: Final = "other"
_HEADER_CELL: Final = f'"{REASON_COLUMN}'.encode()
_HEADER_CELL_END: Final = re.compile(rb'(?:: (?:[^"]|"")*)?"(\r\n|\n|\r)')
# A file of somebody who means ill may have that text again and again.
_MOST_CELLS_TRIED: Final = 5
csv.field_size_limit(MAX_UPLOAD_BYTES)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a row begins: its number, the first row of the file being 1, and its first byte."""

    number: int
    offset: int


@dataclass(frozen=True, slots=True)
class Head:
    """The header row, and where the first row below it begins."""

    columns: tuple[str, ...]
    line_end: bytes
    first: Mark


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row with faults: its cells without the reasons, and those."""

    number: int
    cells: tuple[str, ...]
    reasons: tuple[ToldReason, ...]


@dataclass(slots=True)
class Found:
    """What was found. `next`: where to go on, None at the end. `counts`: rows by kind, of those with faults that were looked at.

    `is_whole`: all rows from where the search began to the report's end were looked at. `unreadable`: the number of a row that
    can't be read, such as one that is too long.
    """

    rows: list[BadRow] = field(default_factory=list)
    next: Mark | None = None
    counts: Counter[str] = field(default_factory=Counter)
    looked_at: int = 0
    is_whole: bool = False
    unreadable: int | None = None


class _Unreadable(Exception):  # noqa: N818 - a fact about a report
    """A row has more bytes than are read for one, or is none that a reader of CSV takes."""


def kind_of(reason: ToldReason) -> str:
    """What it is counted under."""
    return OTHER if reason.code is None else reason.code.value


def read_head(pieces: Iterator[bytes]) -> Head | None:
    """The header row; None where it isn't found within the first megabyte."""
    text = b""
    for piece in pieces:
        text += piece
        if len(text) > MOST_ROW_BYTES:
            break
    found, place = None, -1
    for _ in range(_MOST_CELLS_TRIED):
        place = text.find(_HEADER_CELL, place + 1)
        if place < 0 or (found := _HEADER_CELL_END.match(text, place + len(_HEADER_CELL))):
            break
    if found is None:
        return None
    lines = _Lines(iter((text[: found.end()],)), found[1])
    number, cells = 0, None
    while lines.offset < found.end():
        row = lines.next_row()
        number, cells = number + 1, row.cells if row else None
    if not cells:
        return None
    return Head(tuple(cells[:-1]), found[1], Mark(number + 1, found.end()))


def find_rows(
    pieces: Iterator[bytes], head: Head, start: Mark, *, kind: str | None = None, counts_all: bool = False
) -> Found:
    """The first rows with faults from `start` on, as many as a page has; of one kind, if one is given.

    `counts_all`: go on for the counts. No more is looked at than is for one page.
    """
    found, reader = Found(), ReasonReader(head.columns)
    lines = _Lines(pieces, head.line_end, start.offset)
    number, characters = start.number - 1, 0
    try:
        while True:
            begin = Mark(number + 1, lines.offset)
            row = lines.next_row()
            if row is None:
                found.is_whole = True
                return found
            number += 1
            if row.reason:
                if found.looked_at >= MOST_LOOKED_AT or characters >= MOST_REASONS:
                    found.next = found.next or begin
                    return found
                characters += len(row.reason)
                if not _take(found, row, begin, reader, kind) and not counts_all:
                    return found
            elif lines.parsed >= MOST_PARSED:
                found.next = found.next or Mark(number + 1, lines.offset)
                return found
    except _Unreadable:
        found.unreadable = number + 1
        return found


def _take(found: Found, row: "_Row", begin: Mark, reader: ReasonReader, kind: str | None) -> bool:
    """Count a row with faults, and add it to the page where it fits. False where the page is full without it."""
    reasons = tuple(reader.read(row.reason))
    kinds = set(map(kind_of, reasons))
    fits = kind is None or kind in kinds
    is_full = len(found.rows) >= ON_A_PAGE
    if fits and is_full:
        found.next = found.next or begin
    elif fits:
        found.rows.append(BadRow(begin.number, row.cells[:-1], reasons))
    found.looked_at += 1
    found.counts.update(kinds)
    return not (fits and is_full)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it was cut; `cells` has its reasons last, too."""

    cells: tuple[str, ...]
    reason: str


_CLEAN: Final = _Row((), "")


class _Lines:
    """Cuts bytes into rows. `offset`: the byte at which the next row begins; `parsed`: how many rows were cut into cells."""

    def __init__(self, pieces: Iterator[bytes], line_end: bytes, offset: int = 0) -> None:
        self._lines: Final = _lines_of(pieces, line_end)
        self._clean_end: Final = b',""' + line_end
        self.offset = offset
        self.parsed = 0

    def next_row(self) -> _Row | None:
        """The next row; None at the end. Raises _Unreadable."""
        line = next(self._lines, None)
        if line is None:
            return None
        if line.endswith(self._clean_end) and line.count(b'"') == 2:
            self.offset += len(line)
            return _CLEAN
        self.parsed += 1
        try:
            cells = next(csv.reader(self._row_from(line)))
        except csv.Error:
            raise _Unreadable from None
        return _Row(tuple(cells), cells[-1] if cells else "")

    def _row_from(self, line: bytes | None) -> Iterator[str]:
        """Lines for the reader of CSV, which asks for more where a line ends within quotation marks."""
        size = 0
        while line is not None:
            self.offset += len(line)
            size += len(line)
            if size > MOST_ROW_BYTES:
                raise _Unreadable
            text = line.decode("utf-8", "replace")
            yield text.removeprefix("\ufeff") if self.offset == len(line) else text
            line = next(self._lines, None)


def _lines_of(pieces: Iterator[bytes], line_end: bytes) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(line_end)
        for line in lines:
            yield line + line_end
        if len(rest) > MOST_ROW_BYTES:
            raise _Unreadable
    if rest:
        yield rest
