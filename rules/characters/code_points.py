"""Sets of characters as the tables of this folder write them: code points in hexadecimal, single or ranges."""

from collections.abc import Iterable, Iterator
from typing import Final

# What Python's `str.strip()` takes: Unicode's White_Space and U+001C-001F.
WHITE_SPACE: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def code_points_of(ranges: str) -> Iterator[int]:
    """The code points of `41-43 005F`, in the order written."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def characters_of(ranges: str) -> frozenset[str]:
    """The same as characters."""
    return frozenset(map(chr, code_points_of(ranges)))


def ranges_of(points: Iterable[int]) -> list[tuple[int, int]]:
    """Code points as ascending ranges, first and last."""
    ranges: list[tuple[int, int]] = []
    for point in sorted(points):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = ranges[-1][0], point
        else:
            ranges.append((point, point))
    return ranges


def polars_class(points: Iterable[int], more: str = "") -> str:
    """A character class of polars' regular expressions; `more` is put in as it stands."""
    return "[" + "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in ranges_of(points)) + more + "]"
