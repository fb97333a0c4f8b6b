"""How fast wrong keys are told so: whoever has many is told later and later, so that guessing costs nobody else anything.

An address is told BURST times at once, and then RATE times a second: the connection (web.protocol) holds its answers back, at
most MOST_SECONDS, without a task, and reads nothing more before. A right key of the same address is answered at once.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import Scope

from config.addresses import Address, Block, block_of
from web import metrics

RATE: Final = 20.0
BURST: Final = 20
MOST_SECONDS: Final = 5.0
# An address whose next answer would wait so many seconds floods.
FLOOD_SECONDS: Final = 2.0
# Addresses that are remembered: the ones that were refused last.
MOST_ADDRESSES: Final = 10_000


class Pacer:
    """Remembers when each address is told the next time. A process has one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now: Final = now
        self._next: OrderedDict[Block, float] = OrderedDict()

    def hold(self, scope: Scope) -> None:
        """Hold the answer to this request back for as long as its address deserves."""
        state = scope["state"]
        seconds = self.seconds_for(state["address"] or state["peer"])
        if seconds > 0:
            metrics.ANSWERS_HELD.inc()
            state["answer_after"] = seconds

    def is_flooding(self, address: Address) -> bool:
        """Whether so many answers to this address are held back that it should not be read. Whoever asks tells of one more."""
        if self._next.get(block_of(address), 0.0) - self._now() < FLOOD_SECONDS:
            return False
        self.seconds_for(address)
        return True

    def seconds_for(self, address: Address) -> float:
        """For how many seconds an answer to this address is held back; it counts as given."""
        now, block = self._now(), block_of(address)
        # As many answers as may come at once are those that an address has saved by keeping quiet.
        earliest = now - BURST / RATE
        due = max(self._next.pop(block, earliest), earliest) + 1 / RATE
        seconds = min(max(due - now, 0.0), MOST_SECONDS)
        self._next[block] = min(due, now + MOST_SECONDS)
        if len(self._next) > MOST_ADDRESSES:
            self._next.popitem(last=False)
        return seconds
