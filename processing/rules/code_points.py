"""Sets of characters as the tables of this folder write them: code points in hexadecimal, single or ranges."""

from collections.abc import Iterator


def code_points_of(ranges: str) -> Iterator[int]:
    """The code points of `41-43 005F`, in the order written."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def characters_of(ranges: str) -> frozenset[str]:
    """The same as characters."""
    return frozenset(map(chr, code_points_of(ranges)))
