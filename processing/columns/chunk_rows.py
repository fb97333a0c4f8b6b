"""From a chunk to columns: the rows that have all their fields, and the findings of those that haven't.

polars only cuts the fields of rows whose structure is known already: every row given to it has the same number of
fields. Rows unlike the others are looked at one by one.
"""

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from processing.columns.chunks import Chunk
from processing.columns.header import Header
from processing.columns.single_rows import check_row, without_fields
from rules.characters.code_points import CONTROLS, INVISIBLE, WHITE_SPACE
from rules.codes import FindingCode

# A field without quotation marks that begins with one of these bytes is neither empty nor of white space.
_FILLED: Final = frozenset(range(ord("-"), 0x7F))

# What nobody sees in a row; quotation marks around it change nothing.
_UNSEEN: Final = "".join(sorted(CONTROLS | INVISIBLE | set(WHITE_SPACE))) + '"'
_UNSEEN_BYTES: Final = bytes(ord(char) for char in _UNSEEN if char.isascii())

# Short rows are filled up to the header's width only where that takes at most so many empty fields.
_MOST_FILLED: Final = 16

# A decoder writes this character in the place of bytes that aren't UTF-8.
_LOST: Final = "\N{REPLACEMENT CHARACTER}"


@dataclass(slots=True)
class RowFindings:
    """Findings of rows whose cells can't be told apart: by code the rows' numbers, and how many fields each has.

    The fields under an old report's column aren't counted, nor empty ones at the end of rows that have too many. A row of
    control characters only, which has too few, has no field.
    """

    numbers: dict[FindingCode, list[int]] = field(default_factory=dict)
    fields: dict[FindingCode, list[int]] = field(default_factory=dict)

    def add(self, code: FindingCode, number: int, fields: int) -> None:
        """Adds one row."""
        self.numbers.setdefault(code, []).append(number)
        self.fields.setdefault(code, []).append(fields)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a chunk, skipped ones gone.

    `numbers` are the rows' in the file; `cells` the columns by name. `is_plain`: no cell has a quotation mark, a
    backslash, a tab or a line end.
    """

    numbers: npt.NDArray[np.int64]
    cells: Mapping[str, pl.Series]
    findings: RowFindings
    is_plain: bool


def read_rows(chunk: Chunk, header: Header, after: int) -> Rows:
    """The rows of a chunk with a number above `after`, which is the header's."""
    text, first, places, findings = chunk.text, chunk.first, None, RowFindings()
    width = header.width
    bad, is_utf8 = _unreadable(chunk, header)
    if bad or chunk.malformed or not chunk.has_width(header.width):
        width = _width_to_cut(header)
        text, places, findings = _regular(chunk, header, after, bad, width)
    elif after >= first:
        text = _from_row(chunk, after + 1 - first)
        first = after + 1
    if not is_utf8:
        # All bytes that aren't UTF-8 stand in cells that are ignored by now, so that it doesn't matter what they become.
        text = text.decode("utf-8", "replace").encode()
    numbers = np.arange(first, chunk.first + chunk.count) if places is None else np.array(places, np.int64)
    columns = _cut(chunk, text, header, len(numbers), width)
    is_plain = not chunk.is_quoted and b"\\" not in text and b"\t" not in text
    cells = {name: columns[at] for name, at in zip(header.names, header.kept, strict=True)}
    unnamed = {at: columns[at] for at in header.unnamed if at < width}
    return _without_blank(Rows(numbers, cells, findings, is_plain), header, unnamed)


def _width_to_cut(header: Header) -> int:
    """The header's width, or that of its named columns where short rows filled up would be beyond measure."""
    named = header.kept[-1] + 1
    return header.width if header.width - named <= _MOST_FILLED else named


def _from_row(chunk: Chunk, place: int) -> bytes:
    """The chunk's text from one of its rows on; nothing if it has no such row."""
    begin = 0
    for _ in range(min(place, chunk.count)):
        begin = chunk.text.index(chunk.end, begin) + 1
    return chunk.text[begin:]


def _unreadable(chunk: Chunk, header: Header) -> tuple[Collection[int], bool]:
    """Places of the rows that aren't UTF-8, old reports' cells left aside; and whether the whole chunk is UTF-8.

    U+FFFD counts as such: it stands where other bytes were lost, in our reports too, and must not be sent to anyone.
    """
    if chunk.text.isascii():
        return (), True
    text = _decoded(chunk.text)
    if text is not None and _LOST not in text:
        return (), True
    places = sorted(header.ignored)
    return {
        place
        for place, row in enumerate(chunk.each_row())
        if not _is_readable(without_fields(row, chunk.separator, places)[0] if places else row)
    }, text is not None


def _is_readable(row: bytes) -> bool:
    if row.isascii():
        return True
    text = _decoded(row)
    return text is not None and _LOST not in text


def _is_unseen(row: bytes) -> bool:
    """Whether a row has only characters that can't be seen."""
    rest = row.strip(_UNSEEN_BYTES)
    return not rest or (not rest.isascii() and (_decoded(rest) or "?").strip(_UNSEEN) == "")


def _decoded(text: bytes) -> str | None:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _regular(
    chunk: Chunk, header: Header, after: int, bad: Collection[int], cut: int
) -> tuple[bytes, list[int], RowFindings]:
    """The text of the rows that have their fields, `cut` of them each; their numbers; the others' findings."""
    malformed = frozenset(chunk.malformed)
    ignored = sorted(header.ignored)
    filled = frozenset[int]() if 0 in header.ignored else _FILLED
    kept: list[bytes] = []
    numbers: list[int] = []
    findings = RowFindings()
    for number, (row, width) in enumerate(zip(chunk.rows(), chunk.each_width(), strict=True), chunk.first):
        if number <= after or not row:
            continue
        place = number - chunk.first
        if width == header.width == cut and place not in malformed and place not in bad:
            kept.append(row)
            numbers.append(number)
            continue
        # Of most rows one byte tells that they aren't blank.
        is_filled = row[0] in filled
        own = width - bisect_left(ignored, width)
        checked: FindingCode | list[bytes] | None
        if place in malformed:
            checked = FindingCode.ROW_QUOTE_INVALID
        elif is_filled and place in bad:
            checked = FindingCode.ENCODING_INVALID
        elif is_filled and own < len(header.kept):
            checked = FindingCode.ROW_TOO_FEW_FIELDS
        else:
            checked = check_row(row, width, header, chunk.separator)
            if checked is not None and place in bad:
                checked = FindingCode.ENCODING_INVALID
        if (
            checked is FindingCode.ROW_TOO_FEW_FIELDS
            and not is_filled
            and _is_unseen(row.replace(chunk.separator, b""))
        ):
            own = 0
        if checked is FindingCode.ROW_TOO_MANY_FIELDS:
            # Empty fields at the end aren't counted: nobody sees them, and a report pads its rows with them.
            filled_width = row.rstrip(chunk.separator).count(chunk.separator) + 1
            own = filled_width - bisect_left(ignored, filled_width)
        if isinstance(checked, FindingCode):
            findings.add(checked, number, own)
        elif checked is not None:
            kept.append(chunk.separator.join(checked[:cut] + [b""] * (cut - len(checked))))
            numbers.append(number)
    kept.append(b"")
    return chunk.end.join(kept), numbers, findings


def _cut(chunk: Chunk, text: bytes, header: Header, count: int, width: int) -> dict[int, pl.Series]:
    """The columns that matter, by their place. Every row of `text` has `width` fields."""
    wanted = [at for at in range(width) if at not in header.ignored]
    # The text gets a first row of our own, because polars takes a byte order mark away from the first row and drops
    # lines of white space before it.
    guard = chunk.separator.join([b"-"] * width) + chunk.end
    frame = pl.read_csv(
        guard + text,
        has_header=False,
        schema={str(at): pl.String for at in range(width)},
        columns=wanted,
        separator=chunk.separator.decode(),
        eol_char=chunk.end.decode(),
        quote_char=None,
        empty_string_is_null=False,
    )[1:]
    if frame.height != count:
        raise RuntimeError("the columns have another number of rows than the chunk")
    return {at: _values(frame[str(at)], chunk) for at in wanted}


def _values(series: pl.Series, chunk: Chunk) -> pl.Series:
    """Values of fields as written: quotation marks around them taken off, line ends in them made LF."""
    if not chunk.is_quoted:
        return series
    quoted = series.str.starts_with('"')
    if not quoted.any():
        return series
    bare = series.str.strip_prefix('"').str.strip_suffix('"')
    for old, new in (('""', '"'), ("\r\n", "\n"), ("\r", "\n")):
        if bare.str.contains(old, literal=True).any():
            bare = bare.str.replace_all(old, new, literal=True)
    return bare if quoted.all() else bare.zip_with(quoted, series)


def _without_blank(rows: Rows, header: Header, unnamed: Mapping[int, pl.Series]) -> Rows:
    """Takes away rows of empty cells, and rows with a value under a column without a name: those are findings."""
    filled = np.zeros(len(rows.numbers), np.int64)
    for at, series in unnamed.items():
        filled[(series != "").to_numpy()] = at + 1 - sum(place < at for place in header.ignored)
    beyond = filled > 0
    blank = _blank_rows(list(rows.cells.values())) & ~beyond
    away = blank | beyond
    if not away.any():
        return rows
    for number, fields in zip(rows.numbers[beyond].tolist(), filled[beyond].tolist(), strict=True):
        rows.findings.add(FindingCode.ROW_TOO_MANY_FIELDS, number, fields)
    keep = pl.Series(~away)
    return Rows(
        rows.numbers[~away],
        {name: series.filter(keep) for name, series in rows.cells.items()},
        rows.findings,
        rows.is_plain,
    )


def _blank_rows(cells: Sequence[pl.Series]) -> npt.NDArray[np.bool_]:
    """The rows of empty cells, of which the first one may be of white space."""
    first = cells[0]
    # A cell that begins with a printable ASCII character is neither empty nor of white space.
    blank = ((first < "!") | (first > "~~")).to_numpy(writable=True)
    asked = np.flatnonzero(blank)
    if len(asked):
        blank[asked] = (first.gather(asked).str.strip_chars(WHITE_SPACE) == "").to_numpy()
        for series in cells[1:]:
            blank &= (series == "").to_numpy()
    return blank
