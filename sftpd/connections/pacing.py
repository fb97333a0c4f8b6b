"""Key exchanges cost milliseconds each, so they are spread over time: a crowd of them must not slow sessions down.

A key exchange takes a unit from a bucket that fills at a steady rate. When the bucket is empty, connections wait for their
turn, and addresses take turns: one that opens hundreds of connections delays itself and not the next customer.
"""

import asyncio
from collections import OrderedDict, deque
from typing import Final

from config.addresses import Block

# A unit is one curve25519 key exchange, about 4 ms. At this rate they take about a third of one processor.
UNITS_PER_SECOND: Final = 80.0
BURST: Final = 160.0


class Pacer:
    """Gives out turns for key exchanges, round-robin over addresses. `run` must be running for those who wait to get theirs."""

    def __init__(self, rate: float = UNITS_PER_SECOND, burst: float = BURST) -> None:
        self._rate: Final = rate
        self._burst: Final = burst
        self._units = burst
        self._filled_at: float | None = None
        self._waiting: OrderedDict[Block, deque[asyncio.Future[None]]] = OrderedDict()
        self._wanted = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many connections wait for their turn."""
        return sum(len(queue) for queue in self._waiting.values())

    async def take_turn(self, block: Block) -> None:
        """Return when a connection from `block` may have its key exchange: at once, unless there is a crowd."""
        self._fill()
        if not self._waiting and self._units >= 1:
            self._units -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(block, deque()).append(turn)
        self._wanted.set()
        await turn

    def charge(self, units: float) -> None:
        """Take more units for a costlier key exchange, once its algorithm is known. The bucket may become overdrawn."""
        self._units = max(self._units - units, -self._burst)

    async def run(self) -> None:
        """Deal turns until cancelled."""
        while True:
            await self._wanted.wait()
            self._fill()
            if self._units < 1:
                await asyncio.sleep((1 - self._units) / self._rate)
                continue
            self._deal_one()

    def _deal_one(self) -> None:
        if not self._waiting:
            self._wanted.clear()
            return
        block, queue = self._waiting.popitem(last=False)
        turn = queue.popleft()
        if queue:
            self._waiting[block] = queue
        # A connection that has gone away while it waited has cancelled its turn.
        if not turn.done():
            self._units -= 1
            turn.set_result(None)

    def _fill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._filled_at is not None:
            self._units = min(self._units + (now - self._filled_at) * self._rate, self._burst)
        self._filled_at = now
