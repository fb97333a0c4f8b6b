"""The report: the upload's rows as they were, each with one more field that tells what is wrong with it.

UTF-8 with a byte order mark, so that spreadsheets show Chinese and Tamil. Every row has the widest one's number of
fields, then the reason, always in quotes. An earlier report's column is taken out, so that a mended report, uploaded
again and refused again, doesn't grow. Bytes that aren't UTF-8 are written as U+FFFD. However many findings there are, a
report is bounded: `ReasonBudget`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.columns.chunks import BYTE_ORDER_MARK, Chunk, Widths
from processing.columns.header import Header
from processing.columns.results import FILE_REASON_PREFIX, MORE, REASON_COLUMN
from processing.columns.single_rows import without_fields

# What stands before the first row.
BEGINNING: Final = BYTE_ORDER_MARK
# In bytes. A report below this can be mended and uploaded again.
MOST_TO_PUT_AGAIN: Final = 29_000_000
# In bytes. What a report may have, whatever was uploaded.
MOST_REPORT: Final = 110_000_000
# One very wide row among a great many would make a report grow beyond measure: past this, no row is padded.
MOST_PADDED: Final = 105_000_000
# In bytes. So much of reasons is told whole in a report of any size, so that no few bad rows go unexplained.
_ALWAYS_WHOLE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ReportForm:
    """What all rows of a report have in common. `width`: the fields before the reason, or 0 for no padding.

    `least_bytes` is what the report has at least, all reasons being empty; `rows` is the number of its rows. Both are at
    most what they say, since an earlier report's column may go.
    """

    header: Header
    header_number: int
    width: int
    line_end: bytes
    least_bytes: int
    rows: int


def report_form(chunks: Sequence[Chunk], header: Header, header_number: int, line_end: bytes) -> ReportForm:
    """Looks at all rows for the widest, and at how long the report gets."""
    widest = max(chunk.widest for chunk in chunks) - len(header.ignored)
    rows = sum(chunk.count for chunk in chunks)
    least = len(BEGINNING) + sum(_plain_bytes(chunk, 0, line_end) for chunk in chunks)
    if not all(_is_utf8(chunk.text) for chunk in chunks):
        # Each byte that isn't UTF-8 becomes the three of U+FFFD.
        least += 2 * sum(
            int(np.count_nonzero(np.frombuffer(chunk.text, np.uint8) > 0x7F)) for chunk in chunks
        )
    missing = sum(_missing_fields(chunk, widest) for chunk in chunks)
    if least + missing + len(MORE) * rows > MOST_PADDED:
        widest = missing = 0
    return ReportForm(header, header_number, widest, line_end, least + missing, rows)


def _missing_fields(chunk: Chunk, width: int) -> int:
    if isinstance(chunk.widths, int):
        return chunk.count * max(0, width - chunk.widths)
    return int(np.maximum(width - chunk.widths, 0).sum())


def _plain_bytes(chunk: Chunk, width: int, line_end: bytes) -> int:
    """The length of a chunk's part of the report with all reasons empty."""
    return len(chunk.text) + chunk.count * (len(line_end) + len(b',""') - 1) + _missing_fields(chunk, width)


@dataclass(slots=True)
class ReasonBudget:
    """Decides in the order of rows which reasons are told whole: from the first one without room on, none is.

    The report as a whole stays under MOST_TO_PUT_AGAIN where it can, so that it can be uploaded again. Where it can't
    even with the shortest of reasons, what stands within its first MOST_TO_PUT_AGAIN bytes has whole ones.
    """

    form: ReportForm
    is_spent: bool = False
    _told: int = 0
    _passed: int = len(BEGINNING)

    def pass_chunk(self, chunk: Chunk, rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> int:
        """How many of a chunk's bad rows, whose numbers and reasons' lengths are given, are told whole."""
        whole = 0 if self.is_spent else self._count_whole(chunk, rows, lengths)
        self.is_spent |= whole < len(rows)
        self._told += int(lengths.sum())
        self.pass_clean_chunk(chunk)
        return whole

    def pass_clean_chunk(self, chunk: Chunk) -> None:
        """Counts a chunk without reasons to be told."""
        self._passed += _plain_bytes(chunk, self.form.width, self.form.line_end)

    def _count_whole(self, chunk: Chunk, rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> int:
        form = self.form
        told = self._told + np.cumsum(lengths)
        # Whatever rows still come, each may be bad.
        whole_report = form.least_bytes + told + len(MORE) * (form.rows - rows)
        fits = told <= _ALWAYS_WHOLE
        if form.least_bytes + len(MORE) * form.rows < MOST_TO_PUT_AGAIN:
            fits |= whole_report < MOST_TO_PUT_AGAIN
        else:
            fits |= self._passed + self._plain_up_to(chunk, rows) + told < MOST_TO_PUT_AGAIN
        fits &= whole_report < MOST_REPORT
        short = np.flatnonzero(~fits)
        return int(short[0]) if len(short) else len(rows)

    def _plain_up_to(self, chunk: Chunk, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each of the rows, the length with empty reasons of the chunk's part up to its end."""
        places = rows - chunk.first
        ends = np.flatnonzero(np.frombuffer(chunk.text, np.uint8) == chunk.end[0])[places] + 1
        added = (places + 1) * (len(self.form.line_end) + len(b',""') - 1)
        padding: npt.NDArray[np.int64]
        if isinstance(chunk.widths, int):
            padding = (places + 1) * max(0, self.form.width - chunk.widths)
        else:
            padding = np.cumsum(np.maximum(self.form.width - chunk.widths, 0))[places]
        length: npt.NDArray[np.int64] = ends + added + padding
        return length


def escape_reasons(reasons: pl.Series) -> pl.Series:
    """Reasons as they stand between the quotation marks of a report."""
    return reasons.str.replace_all('"', '""', literal=True)


def write_chunk(
    chunk: Chunk, form: ReportForm, rows: npt.NDArray[np.int64], reasons: pl.Series, whole: int | None = None
) -> bytes:
    """The chunk's part of the report. `rows` are the numbers of the bad rows, ascending; `reasons` are escaped.

    The first `whole` of them (None: all) are told their reasons, the others MORE.
    """
    told = reasons if whole is None else reasons.head(whole)
    if len(told) < len(rows):
        told = pl.concat([told, pl.Series([MORE]).new_from_index(0, len(rows) - len(told))])
    return _write(chunk, form, rows - chunk.first, told, REASON_COLUMN)


def write_clean_chunk(chunk: Chunk, form: ReportForm, file_reason: str | None = None) -> bytes:
    """The part of a chunk without reasons. `file_reason` is told in the header row, wherever that is."""
    cell = f"{FILE_REASON_PREFIX}{file_reason}" if file_reason else REASON_COLUMN
    return _write(chunk, form, np.zeros(0, np.int64), pl.Series(dtype=pl.String), cell.replace('"', '""'))


def _write(
    chunk: Chunk, form: ReportForm, places: npt.NDArray[np.int64], told: pl.Series, header_cell: str
) -> bytes:
    """The chunk with what is `told` at these places, which are below the header row, and the header's cell."""
    header_place = form.header_number - chunk.first
    if 0 <= header_place < chunk.count:
        places = np.concatenate(([header_place], places))
        told = pl.concat([pl.Series([header_cell]), told])
    is_even = chunk.has_width(form.width) and not form.header.ignored and not chunk.unclosed
    write = _write_between if is_even and len(told) < chunk.count // 4 else _write_each
    whole = write(chunk, form, places, told)
    return _as_utf8(whole.replace(chunk.separator, b",") if chunk.is_quoted else whole)


def _write_between(chunk: Chunk, form: ReportForm, places: npt.NDArray[np.int64], told: pl.Series) -> bytes:
    """Where few rows have reasons, the text between them is written at once."""
    empty = b',""' + form.line_end
    after = b'"' + form.line_end
    ends = np.flatnonzero(np.frombuffer(chunk.text, np.uint8) == chunk.end[0])
    parts: list[bytes] = []
    begin = 0
    for stop, cell in zip(ends[places].tolist(), told.cast(pl.Binary).to_list(), strict=True):
        parts += chunk.text[begin:stop].replace(chunk.end, empty), b',"', cell, after
        begin = stop + 1
    parts.append(chunk.text[begin:].replace(chunk.end, empty))
    return b"".join(parts)


def _write_each(chunk: Chunk, form: ReportForm, places: npt.NDArray[np.int64], told: pl.Series) -> bytes:
    rows, widths = chunk.rows(), chunk.widths
    if chunk.unclosed:
        # The mark is closed before any field is taken out, because the field never closed may be an earlier report's.
        rows[-1] += b'"'
    ignored = sorted(form.header.ignored)
    if ignored:
        left = [without_fields(row, chunk.separator, ignored) for row in rows]
        rows, widths = [row for row, _ in left], np.array([width for _, width in left], np.int32)
    cells = told
    if len(told) < len(rows):
        taken = np.zeros(len(rows), np.int64)
        taken[places] = np.arange(1, len(told) + 1)
        cells = pl.concat([pl.Series([""]), told]).gather(taken)
    after = pl.lit('"' + form.line_end.decode())
    # Of three parts the first is a row, the next what stands between it and its reason, and the last is the reason.
    parts = [b""] * (3 * len(rows))
    parts[0::3] = rows
    parts[1::3] = _tails(widths, len(rows), form.width)
    parts[2::3] = pl.select(pl.concat_str([cells, after])).to_series().cast(pl.Binary).to_list()
    return b"".join(parts)


def _tails(widths: Widths, count: int, width: int) -> list[bytes]:
    """For each of so many rows, what stands between its text and its reason; equal ones are the same in memory."""
    if isinstance(widths, int):
        return [_tail(widths, width)] * count
    tails = {fields: _tail(fields, width) for fields in np.unique(widths).tolist()}
    return [tails[fields] for fields in widths.tolist()]


def _tail(fields: int, width: int) -> bytes:
    return b"," * max(1, width - fields + 1) + b'"'


def _as_utf8(text: bytes) -> bytes:
    return text if _is_utf8(text) else text.decode("utf-8", "replace").encode()


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
