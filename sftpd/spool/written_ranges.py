"""Which bytes of an upload have been written, since clients may send them in any order. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class WrittenRanges:
    """Half-open ranges [start, end), sorted, never touching one another."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __len__(self) -> int:
        return len(self._starts)

    def pairs(self) -> Iterable[tuple[int, int]]:
        """The ranges, in order."""
        return zip(self._starts, self._ends, strict=True)

    def covers(self, size: int) -> bool:
        """Whether exactly the bytes [0, size) were written, with no hole."""
        if size == 0:
            return not self._starts
        return len(self._starts) == 1 and self._starts[0] == 0 and self._ends[0] == size

    def add(self, start: int, end: int) -> None:
        """Note a write. It is merged with the ranges that it overlaps or touches."""
        if start >= end:
            return
        if self._ends and self._ends[-1] == start:
            self._ends[-1] = end
            return
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        if first < last:
            start = min(start, self._starts[first])
            end = max(end, self._ends[last - 1])
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]

    def truncate(self, size: int) -> None:
        """Forget what lies at or beyond `size`."""
        keep = bisect_left(self._starts, size)
        del self._starts[keep:], self._ends[keep:]
        if self._ends:
            self._ends[-1] = min(self._ends[-1], size)
