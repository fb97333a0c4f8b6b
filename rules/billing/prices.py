"""What a message segment costs (10-billing.md §1, §4). Pure.

Money is counted in mills, thousandths of a Singapore dollar, and rounded only where a figure is shown. Prices are before GST.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

_LOCAL_PREFIX: Final = "65"
_MILLS_IN_CENT: Final = 10
_DOLLARS: Final = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,3}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Price:
    """Mills a segment: to numbers that begin with 65, and to all others."""

    local_mills: int
    foreign_mills: int


# Since 1 July 2025; later ones are added to the table `prices`.
FIRST_PRICE: Final = Price(local_mills=46, foreign_mills=230)


@dataclass(frozen=True, slots=True)
class PriceList:
    """All prices with the days from which they hold, in the order of these."""

    entries: Sequence[tuple[date, Price]]

    def on(self, day: date) -> Price:
        """The price for what is sent on a day of Singapore's: the newest that isn't after it, else the first."""
        place = bisect_right([valid_from for valid_from, _ in self.entries], day)
        return self.entries[max(place - 1, 0)][1]


def parse_price(text: str) -> int | None:
    """Mills of a price in dollars such as `0.046`; None where the text is none, or is finer than a mill."""
    match = _DOLLARS.fullmatch(text)
    return int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0")) if match else None


def shown_price(mills: int) -> str:
    """A price as people write it: `0.046`, `0.23`."""
    whole, rest = divmod(mills, 1000)
    digits = f"{rest:03}"
    return f"{whole}.{digits if digits[2] != '0' else digits[:2]}"


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

    def mills(self, price: Price) -> int:
        """What they cost on the public channel in production, in mills, before GST."""
        return self.local_segments * price.local_mills + self.foreign_segments * price.foreign_mills


def cost_of(messages: Iterable[tuple[str, int]]) -> Cost:
    """The segments of messages, each given by its recipient and its number of segments."""
    local = foreign = 0
    for recipient, segments in messages:
        if is_local(recipient):
            local += segments
        else:
            foreign += segments
    return Cost(local, foreign)


def shown_amount(mills: int) -> str:
    """An amount in dollars with two decimals, half a cent rounded up (away from zero): `63.85`."""
    cents = (abs(mills) + _MILLS_IN_CENT // 2) // _MILLS_IN_CENT
    return f"{'-' if mills < 0 and cents else ''}{cents // 100:,}.{cents % 100:02}"


def shown_cost(mills: int) -> str:
    """An amount as it is shown: `SGD 63.85`."""
    return f"SGD {shown_amount(mills)}"
