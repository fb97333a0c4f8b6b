"""The report: the upload's rows as they were, each with one more field that tells what is wrong with it.

UTF-8 with a byte order mark, so that spreadsheets show Chinese and Tamil. Every row has the widest one's number of
fields, then the reason, always in quotes. An earlier report's column is taken out, so that a mended report, uploaded
again and refused again, doesn't grow. Bytes that aren't UTF-8 are written as U+FFFD.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.columns.chunks import BYTE_ORDER_MARK, Chunk
from processing.columns.header import FILE_REASON_PREFIX, REASON_COLUMN, Header
from processing.columns.single_rows import without_fields

# In bytes, one for each field that is missing. One very wide row among a great many would make a report grow beyond
# measure: past this, no row is padded.
MOST_PADDING: Final = 64 * 1024 * 1024
# What stands before the first row.
BEGINNING: Final = BYTE_ORDER_MARK


@dataclass(frozen=True, slots=True)
class ReportForm:
    """What all rows of a report have in common. `width`: the fields before the reason, or 0 for no padding."""

    header: Header
    header_number: int
    width: int
    line_end: bytes


def report_form(chunks: Sequence[Chunk], header: Header, header_number: int, line_end: bytes) -> ReportForm:
    """Looks at all rows for the widest."""
    widest = max(chunk.widest for chunk in chunks) - len(header.ignored)
    missing = 0
    for chunk in chunks:
        fields = chunk.count * chunk.widths if isinstance(chunk.widths, int) else int(chunk.widths.sum())
        missing += max(0, chunk.count * widest - fields)
    return ReportForm(header, header_number, widest if missing <= MOST_PADDING else 0, line_end)


def write_chunk(chunk: Chunk, form: ReportForm, rows: npt.NDArray[np.int64], reasons: pl.Series) -> bytes:
    """The chunk's part of the report. `rows` are the numbers of the rows with reasons, ascending."""
    told = zip((rows - chunk.first).tolist(), reasons.str.replace_all('"', '""', literal=True), strict=True)
    return _write(chunk, form, {**_header_cell(chunk, form, REASON_COLUMN), **dict(told)})


def write_clean_chunk(chunk: Chunk, form: ReportForm, file_reason: str | None = None) -> bytes:
    """The part of a chunk without reasons. `file_reason` is told in the header row, wherever that is."""
    cell = f"{FILE_REASON_PREFIX}{file_reason}" if file_reason else REASON_COLUMN
    told = _header_cell(chunk, form, cell.replace('"', '""'))
    return _write(chunk, form, told)


def _header_cell(chunk: Chunk, form: ReportForm, cell: str) -> dict[int, str]:
    place = form.header_number - chunk.first
    return {place: cell} if 0 <= place < chunk.count else {}


def _write(chunk: Chunk, form: ReportForm, told: dict[int, str]) -> bytes:
    is_even = chunk.has_width(form.width) and not form.header.ignored and not chunk.unclosed
    write = _write_between if is_even and len(told) < chunk.count // 4 else _write_each
    whole = write(chunk, form, told)
    return _as_utf8(whole.replace(chunk.separator, b",") if chunk.is_quoted else whole)


def _write_between(chunk: Chunk, form: ReportForm, told: dict[int, str]) -> bytes:
    """Where few rows have reasons, the text between them is written at once."""
    empty = b',""' + form.line_end
    ends = np.flatnonzero(np.frombuffer(chunk.text, np.uint8) == chunk.end[0])
    places = sorted(told)
    parts: list[bytes] = []
    begin = 0
    for place, stop in zip(places, ends[places].tolist(), strict=True):
        parts += (
            chunk.text[begin:stop].replace(chunk.end, empty),
            b',"',
            told[place].encode(),
            b'"',
            form.line_end,
        )
        begin = stop + 1
    parts.append(chunk.text[begin:].replace(chunk.end, empty))
    return b"".join(parts)


def _write_each(chunk: Chunk, form: ReportForm, told: dict[int, str]) -> bytes:
    separator = chunk.separator
    ignored = sorted(form.header.ignored)
    tails = _Tails(form.width)
    after = b'"' + form.line_end
    parts: list[bytes] = []
    rows = chunk.rows()
    if chunk.unclosed:
        # The mark is closed before any field is taken out, because the field never closed may be an earlier report's.
        rows[-1] += b'"'
    for place, (row, width) in enumerate(zip(rows, chunk.each_width(), strict=True)):
        text, fields = without_fields(row, separator, ignored) if ignored else (row, width)
        parts += text, tails[fields], told.get(place, "").encode(), after
    return b"".join(parts)


class _Tails(dict[int, bytes]):
    """From a row's number of fields to what stands between its text and its reason."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width

    def __missing__(self, fields: int) -> bytes:
        tail = self[fields] = b"," * max(1, self._width - fields + 1) + b'"'
        return tail


def _as_utf8(text: bytes) -> bytes:
    if text.isascii():
        return text
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace").encode()
    return text
