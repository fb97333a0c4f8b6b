"""How many requests to a provider are under way at once: fewer when it says that they are too many, slowly more afterwards."""

import asyncio
from collections import deque
from typing import Final

_FEWEST: Final = 1.0


class Concurrency:
    """A limit that is halved by `throttled` and grows by one for each round of good answers, as TCP's does."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._limit = float(most)
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        # Counts the halvings: a request begun before the last one says nothing about the limit since then.
        self._halvings = 0

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return int(self._limit)

    async def begin(self) -> int:
        """Wait for a turn, which ends by `end`. What it gives is handed back to `throttled`."""
        while self._running >= self.limit:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                # The turn may have been given already: the next one takes it.
                self._wake()
                raise
        self._running += 1
        return self._halvings

    def end(self) -> None:
        """The request is over, well or not."""
        self._running -= 1
        self._wake()

    def throttled(self, begun_at: int) -> None:
        """The provider refused a request, as there were too many. `begun_at` is what `begin` gave."""
        if begun_at == self._halvings:
            self._halvings += 1
            self._limit = max(_FEWEST, self.limit / 2)

    def succeeded(self) -> None:
        """The provider answered one."""
        self._limit = min(self._most, self._limit + 1 / self._limit)

    def _wake(self) -> None:
        free = self.limit - self._running
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
