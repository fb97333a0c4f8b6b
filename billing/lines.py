"""What reports, pages and sums are made of: lines of a bill, and their sums. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from rules.billing.outcomes import LOCAL

# The outcome of a line that a correction has added.
CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Line:
    """The attempts of one campaign with one outcome at one price.

    `destination`: `local` or `foreign`. `outcome`: as in the table `usage_days`, or `correction`, of which `segments` may be
    negative. `price`: mills a segment. What isn't `charged` is only counted.
    """

    campaign_id: str
    destination: str
    outcome: str
    own_expiry: bool
    price: int
    charged: bool
    attempts: int
    segments: int

    @property
    def mills(self) -> int:
        """What is charged."""
        return self.segments * self.price if self.charged else 0


@dataclass(frozen=True, slots=True)
class Sums:
    """What is charged of some lines. `messages` are attempts; amounts are in mills."""

    local_messages: int = 0
    local_segments: int = 0
    local_mills: int = 0
    foreign_messages: int = 0
    foreign_segments: int = 0
    foreign_mills: int = 0

    @classmethod
    def of(cls, lines: Iterable[Line]) -> "Sums":
        """The sums of what is charged of these lines."""
        local, foreign = [0, 0, 0], [0, 0, 0]
        for line in lines:
            if line.charged:
                sums = local if line.destination == LOCAL else foreign
                sums[0] += line.attempts
                sums[1] += line.segments
                sums[2] += line.mills
        return cls(*local, *foreign)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.local_messages + other.local_messages,
            self.local_segments + other.local_segments,
            self.local_mills + other.local_mills,
            self.foreign_messages + other.foreign_messages,
            self.foreign_segments + other.foreign_segments,
            self.foreign_mills + other.foreign_mills,
        )

    @property
    def messages(self) -> int:
        """Attempts charged, wherever to."""
        return self.local_messages + self.foreign_messages

    @property
    def segments(self) -> int:
        """Segments charged, wherever to."""
        return self.local_segments + self.foreign_segments

    @property
    def mills(self) -> int:
        """The whole cost."""
        return self.local_mills + self.foreign_mills
