"""The end of a process that has batch sends under way: those that can end within its time do, and the others are given up in time
to withdraw and answer them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from api.errors import RequestRefused

# Of the time to drain, so many seconds are kept for withdrawing and answering.
_KEPT: Final = 4.0


class Drain:
    """`is_over`: the process has been told to stop, and whatever is under way must end now."""

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = max(seconds - _KEPT, seconds / 2)
        self._timeouts: Final[set[asyncio.Timeout]] = set()
        self._ends_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the time after the stop is over."""
        return self._ends_at is not None and asyncio.get_running_loop().time() >= self._ends_at

    def begin(self) -> None:
        """The process is to stop."""
        self._ends_at = asyncio.get_running_loop().time() + self._seconds
        for timeout in self._timeouts:
            when = timeout.when()
            if not timeout.expired() and (when is None or when > self._ends_at):
                timeout.reschedule(self._ends_at)

    @asynccontextmanager
    async def timeout(self, seconds: float | None) -> AsyncIterator[None]:
        """Raises TimeoutError after so many seconds, or at the end of the time after a stop, if that is sooner."""
        now = asyncio.get_running_loop().time()
        ends = [at for at in (None if seconds is None else now + seconds, self._ends_at) if at is not None]
        async with asyncio.timeout_at(min(ends, default=None)) as timeout:
            self._timeouts.add(timeout)
            try:
                yield
            finally:
                self._timeouts.discard(timeout)

    async def until_stop(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks, as they come. Raises RequestRefused (503) at the end of the time after a stop."""
        while True:
            try:
                async with self.timeout(None):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise RequestRefused(503) from None
            if chunk is None:
                return
            yield chunk
