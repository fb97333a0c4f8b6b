"""Bars as SVG, drawn here: their figures stand beside them in words. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000
# So that one message in a million is seen.
_LEAST: Final = 6


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a bar. `kind` is the colour's name in the style sheet."""

    kind: str
    x: int
    width: int


def stretches(parts: Sequence[tuple[str, int]]) -> Iterator[Stretch]:
    """A bar of these parts, each a kind and its count, side by side over the whole width; parts of nothing are left out."""
    shown = [(kind, count) for kind, count in parts if count]
    total = sum(count for _, count in shown)
    widths = [max(_LEAST, count * WIDTH // total) for _, count in shown]
    if widths:
        # The largest one takes what rounding left or took.
        largest = widths.index(max(widths))
        widths[largest] += WIDTH - sum(widths)
    x = 0
    for (kind, _), width in zip(shown, widths, strict=True):
        yield Stretch(kind, x, width)
        x += width
