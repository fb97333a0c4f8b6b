"""How soon each way to the leader leads to the new one: an address that names all servers, and one HAProxy before them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from config.errors import ConfigError
from config.sections import DatabaseSettings
from database.connections import UNREACHABLE, connect

_PAUSE: Final = 0.05


@dataclass
class WayIn:
    """One address, asked again and again by the gateway's own connections. `first_after`: its first write after `since`."""

    name: str
    settings: DatabaseSettings
    since: float = 0.0
    first_after: float | None = None

    def expect(self) -> None:
        """Note the first write from here on that a new leader takes."""
        self.since, self.first_after = time.monotonic(), None

    async def run(self) -> None:
        """Write, each time on a connection of its own, until cancelled."""
        while True:
            with contextlib.suppress(ConfigError, *UNREACHABLE):
                began = time.monotonic()
                connection = await connect(self.settings, command_timeout=2)
                try:
                    await connection.fetchval("select pg_current_xact_id()")
                finally:
                    connection.terminate()
                if self.first_after is None and began >= self.since:
                    self.first_after = time.monotonic()
            await asyncio.sleep(_PAUSE)


@contextlib.asynccontextmanager
async def asking(addresses: dict[str, str]) -> AsyncIterator[list[WayIn]]:
    """Ask by all of them while the block runs."""
    ways = [WayIn(name, DatabaseSettings(url=SecretStr(url))) for name, url in addresses.items()]
    tasks = [asyncio.create_task(way.run(), name=f"by {way.name}") for way in ways]
    try:
        yield ways
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
