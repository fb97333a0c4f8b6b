"""A chart of segments by month, as SVG that the server draws: where its bars stand, and what is written beside them. Pure.

Local and foreign segments are stacked. They differ by a pattern, not by colour alone; each bar has its figures as a text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 260
# Where the bars stand between the scale on the left, the legend above and the months below.
LEFT: Final = 84
RIGHT: Final = 8
TOP: Final = 34
BOTTOM: Final = 30
_LINES: Final = 4
# So that one segment beside a million is seen.
_LEAST: Final = 2.0
_BAR_SHARE: Final = 0.62


@dataclass(frozen=True, slots=True)
class Bar:
    """A month's bar: foreign segments stand on local ones. Places and sizes are in the picture's units, from its top left."""

    name: str
    local: int
    foreign: int
    x: float
    width: float
    local_y: float
    local_height: float
    foreign_y: float
    foreign_height: float

    @property
    def middle(self) -> float:
        """Where its name stands."""
        return round(self.x + self.width / 2, 1)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the scale."""

    value: int
    y: float


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it."""

    bars: Sequence[Bar]
    lines: Sequence[Line]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM


def draw(months: Sequence[tuple[str, int, int]]) -> Chart:
    """The chart of these months, each with its name, its local and its foreign segments. What is below nothing isn't drawn."""
    highest = max((max(local, 0) + max(foreign, 0) for _, local, foreign in months), default=0)
    top = scale_end(highest)
    room = HEIGHT - TOP - BOTTOM
    base = HEIGHT - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(len(months), 1)
    width = round(step * _BAR_SHARE, 1)
    bars = []
    for number, (name, local, foreign) in enumerate(months):
        local_height = _height(local, top, room)
        foreign_height = _height(foreign, top, room)
        local_y = base - local_height
        bars.append(
            Bar(
                name=name,
                local=local,
                foreign=foreign,
                x=round(LEFT + step * number + (step - width) / 2, 1),
                width=width,
                local_y=round(local_y, 1),
                local_height=local_height,
                foreign_y=round(local_y - foreign_height, 1),
                foreign_height=foreign_height,
            )
        )
    lines = [
        Line(top * number // _LINES, round(base - room * number / _LINES, 1)) for number in range(_LINES + 1)
    ]
    return Chart(bars, lines)


def scale_end(highest: int) -> int:
    """The end of a scale that has `highest` on it: its quarters are whole numbers, and round ones."""
    end = _LINES
    while end < highest:
        for factor in (2, 3, 5, 10):
            if end * factor >= highest or factor == 10:
                end *= factor
                break
    return end


def _height(segments: int, top: int, room: int) -> float:
    return round(max(_LEAST, segments / top * room), 1) if segments > 0 else 0.0
