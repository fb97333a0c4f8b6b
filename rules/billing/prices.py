"""What a message segment costs (10-billing.md §1, §4). Pure.

Money is counted in mills, thousandths of a Singapore dollar, and rounded only where a figure is shown. Prices are before GST.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

# Mills a segment since 1 July 2025: to numbers that begin with 65, and to all others.
LOCAL_MILLS: Final = 46
FOREIGN_MILLS: Final = 230
_LOCAL_PREFIX: Final = "65"
_MILLS_IN_CENT: Final = 10


def is_local(recipient: str) -> bool:
    """Whether a number, digits with its country code in front, is priced as a local one, wherever the phone is."""
    return recipient.startswith(_LOCAL_PREFIX)


@dataclass(frozen=True, slots=True)
class Cost:
    """How many segments go to local and to other numbers."""

    local_segments: int = 0
    foreign_segments: int = 0

    @property
    def segments(self) -> int:
        """All segments."""
        return self.local_segments + self.foreign_segments

    @property
    def mills(self) -> int:
        """What they cost on the public channel in production, in mills, before GST."""
        return self.local_segments * LOCAL_MILLS + self.foreign_segments * FOREIGN_MILLS


def cost_of(messages: Iterable[tuple[str, int]]) -> Cost:
    """The cost of messages, each given by its recipient and its number of segments."""
    local = foreign = 0
    for recipient, segments in messages:
        if is_local(recipient):
            local += segments
        else:
            foreign += segments
    return Cost(local, foreign)


def shown_cost(mills: int) -> str:
    """An amount as it is shown: `SGD 63.85`, half a cent rounded up."""
    cents = (mills + _MILLS_IN_CENT // 2) // _MILLS_IN_CENT
    return f"SGD {cents // 100:,}.{cents % 100:02}"
