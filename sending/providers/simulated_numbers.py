"""In the test environment the simulator's seven numbers never reach a real provider (7-sending.md §3)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from messages.news import Receipt
from sending.providers.provider import Absent, HandOver, OpenAttempt, Outgoing, PartNews, Provider
from sending.providers.simulator import SIMULATED_ERRORS, Simulator


class SimulatedNumbers:
    """A `Provider` in front of a real one, which has the seven numbers answered by the simulator."""

    def __init__(self, provider: Provider, simulator: Simulator) -> None:
        self._provider = provider
        self._simulator = simulator

    @property
    def most_at_once(self) -> int:
        """What the real one takes."""
        return self._provider.most_at_once

    async def hand_over(self, message: Outgoing) -> HandOver:
        """Give it to whom its number belongs."""
        provider = self._simulator if message.recipient in SIMULATED_ERRORS else self._provider
        return await provider.hand_over(message)

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """Ask whom each number belongs to."""
        simulated = [attempt for attempt in attempts if attempt.recipient in SIMULATED_ERRORS]
        others = [attempt for attempt in attempts if attempt.recipient not in SIMULATED_ERRORS]
        found = await self._simulator.look_up(simulated)
        return [*found, *await self._provider.look_up(others)] if others else found

    async def receipts(self) -> AsyncIterator[Receipt | PartNews]:
        """The news of both, as they come."""
        sources: list[AsyncIterator[Receipt | PartNews]] = [
            self._provider.receipts(),
            self._simulator.receipts(),
        ]
        awaited = {asyncio.ensure_future(anext(source)): source for source in sources}
        try:
            while awaited:
                done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    source = awaited.pop(future)
                    with suppress(StopAsyncIteration):
                        yield future.result()
                        awaited[asyncio.ensure_future(anext(source))] = source
        finally:
            for future in awaited:
                future.cancel()
            await asyncio.gather(*awaited, return_exceptions=True)

    async def close(self) -> None:
        """Close both."""
        await self._provider.close()
        await self._simulator.close()
