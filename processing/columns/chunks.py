"""From bytes to chunks: some megabytes of whole rows each, every field and row end marked by one known byte.

A chunk without quotation marks is its own text: fields end in `,` and rows in LF (CRLF and CR made LF). One with
quotation marks is marked by `quotes`, so that whoever cuts it need not know of quoting. No stock CSV reader decides the
structure: they lose blank lines, CR-only files, or the difference between an empty field and a missing one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt

from processing.columns.quotes import Marked, mark_fields

CHUNK_BYTES: Final = 2 * 1024 * 1024
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
    """One chunk; where the first row is huge, that row and the rest, so that no array is as long as it."""
    text, malformed = marked.text, marked.malformed
    stop = text.index(marked.end) + 1
    if stop > chunk_bytes and stop < len(text):
        head, text = text[:stop], text[stop:]
        yield _chunk(marked, head, first, malformed[:1] if malformed[:1] == (0,) else ())
        first += 1
        malformed = tuple(place - 1 for place in malformed if place)
    yield _chunk(marked, text, first, malformed, unclosed=marked.unclosed)


def _chunk(
    marked: Marked, text: bytes, first: int, malformed: tuple[int, ...], *, unclosed: bool = False
) -> Chunk:
    count, widths = _count_fields(text, marked.separator, marked.end)
    return Chunk(text, marked.separator, marked.end, first, count, widths, malformed, unclosed)


def _count_fields(text: bytes, separator: bytes, end: bytes) -> tuple[int, Widths]:
    """The number of rows, and of fields in each."""
    count, separators = text.count(end), text.count(separator)
    if count == 1 or not separators:
        return count, separators + 1
    codes = np.frombuffer(text, np.uint8)
    if separators % count == 0:
        width = separators // count + 1
        places = np.flatnonzero((codes == separator[0]) | (codes == end[0]))
        if (codes[places[width - 1 :: width]] == end[0]).all():
            return count, width
    commas = np.flatnonzero(codes == separator[0])
    before = np.searchsorted(commas, np.flatnonzero(codes == end[0]))
    return count, np.diff(before, prepend=0).astype(np.int32) + 1
