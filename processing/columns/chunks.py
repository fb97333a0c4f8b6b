"""From bytes to chunks: at most some megabytes of whole rows each, every field and row end marked by one known byte.

A chunk without quotation marks is its own text: fields end in `,` and rows in LF (CRLF and CR made LF). One with
quotation marks is marked by `quotes`, so that whoever cuts it need not know of quoting. No stock CSV reader decides the
structure: they lose blank lines, CR-only files, or the difference between an empty field and a missing one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from processing.columns.quotes import Marked, mark_fields

CHUNK_BYTES: Final = 2 * 1024 * 1024
# A chunk has at most one field for so many bytes that it may have. Most files have longer fields and never meet this.
_BYTES_PER_FIELD: Final = 8
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

# The number of fields of each row of a chunk; one number where all have the same.
Widths = int | npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows. `first` is the number of the first one in the file, from 1; every row ends in `end`."""

    text: bytes
    separator: bytes
    end: bytes
    first: int
    count: int
    widths: Widths
    # The places in the chunk, ascending, of the rows whose quotation marks are wrong.
    malformed: tuple[int, ...] = ()
    # The last row is malformed because its last quotation mark is never closed.
    unclosed: bool = False

    @property
    def is_quoted(self) -> bool:
        """Fields that begin with a quotation mark are in quotes."""
        return self.separator != b","

    @property
    def widest(self) -> int:
        """Fields of the widest row."""
        return self.widths if isinstance(self.widths, int) else int(self.widths.max())

    def has_width(self, width: int) -> bool:
        """Whether every row has so many fields."""
        return isinstance(self.widths, int) and self.widths == width

    def width_of(self, place: int) -> int:
        """Fields of one row."""
        return self.widths if isinstance(self.widths, int) else int(self.widths[place])

    def each_width(self) -> Iterable[int]:
        """Fields of each row."""
        return repeat(self.widths, self.count) if isinstance(self.widths, int) else self.widths.tolist()

    def each_row(self) -> Iterator[bytes]:
        """The rows one by one, without their ends, not all at once in memory."""
        begin = 0
        while begin < len(self.text):
            stop = self.text.index(self.end, begin)
            yield self.text[begin:stop]
            begin = stop + 1

    def rows(self) -> list[bytes]:
        """The rows, without their ends."""
        rows = self.text.split(self.end)
        rows.pop()
        return rows


def read_chunks(source: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """The rows of `source` from where it stands, a byte order mark dropped.

    A chunk is longer than `chunk_bytes` only where one row is.
    """
    carry = source.read(len(BYTE_ORDER_MARK)).removeprefix(BYTE_ORDER_MARK)
    first = 1
    while True:
        # A row longer than a chunk is looked at again with each block. As a block is as long as what was carried over, the
        # lengths looked at double each time, and their sum is at most some twice the row's.
        block = source.read(max(chunk_bytes, len(carry)))
        carry += block
        if not carry:
            return
        marked, used = _mark(carry, at_end=not block, chunk_bytes=chunk_bytes)
        if marked is not None:
            for chunk in _chunks_of(marked, first, chunk_bytes):
                yield chunk
                first += chunk.count
        carry = carry[used:]
        if not block and not carry:
            return


def _mark(data: bytes, *, at_end: bool, chunk_bytes: int) -> tuple[Marked | None, int]:
    """Marks the whole rows that `data` begins with; returns also how many of its bytes they are."""
    if b'"' in data:
        return mark_fields(data, at_end=at_end, alone=len(data) > 2 * chunk_bytes)
    # A CR that ends the data may be half of a CRLF.
    used = len(data) if at_end else max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
    if not used:
        return None, 0
    text = data if used == len(data) else data[:used]
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return Marked(text if text.endswith(b"\n") else text + b"\n", b",", b"\n"), used


def _chunks_of(marked: Marked, first: int, chunk_bytes: int) -> Iterator[Chunk]:
    """The rows in chunks bounded in bytes and in fields: what is found in a field may take far more memory than the field."""
    text, end = marked.text, marked.end
    begin, done = 0, 0
    while begin < len(text):
        stop = len(text)
        if stop - begin > 2 * chunk_bytes or text.index(end, begin) + 1 - begin > chunk_bytes:
            stop = (text.rfind(end, begin, begin + chunk_bytes) + 1) or (text.index(end, begin) + 1)
        part = text if stop - begin == len(text) else text[begin:stop]
        for piece, count, widths in _cut_by_fields(part, marked, max(1, chunk_bytes // _BYTES_PER_FIELD)):
            low, high = bisect_left(marked.malformed, done), bisect_left(marked.malformed, done + count)
            malformed = tuple(place - done for place in marked.malformed[low:high])
            begin += len(piece)
            unclosed = marked.unclosed and begin == len(text)
            yield Chunk(piece, marked.separator, end, first + done, count, widths, malformed, unclosed)
            done += count


def _cut_by_fields(text: bytes, marked: Marked, most: int) -> Iterator[tuple[bytes, int, Widths]]:
    """The text in pieces of whole rows with at most so many fields each, a row with more than that being a piece of its own.

    With each piece come the number of its rows, and of the fields in each.
    """
    separator, end = marked.separator, marked.end
    if text.index(end) + 1 == len(text):
        yield text, 1, text.count(separator) + 1
        return
    codes = np.frombuffer(text, np.uint8)
    stops = np.flatnonzero((codes == separator[0]) | (codes == end[0]))
    # For each row, how many fields there are up to its end.
    fields = np.flatnonzero(codes[stops] == end[0]) + 1
    begin = row = before = 0
    while row < len(fields):
        last = max(row + 1, int(np.searchsorted(fields, before + most, side="right")))
        widths = np.diff(fields[row:last], prepend=before)
        is_even = (widths == widths[0]).all()
        before = int(fields[last - 1])
        stop = int(stops[before - 1]) + 1
        yield text[begin:stop], last - row, int(widths[0]) if is_even else widths.astype(np.int32)
        begin, row = stop, last
