"""Whether this process could accept a call now, as the health page tells: it looks at the database every few seconds.

It looks in the background, so that a flood of requests for the page asks the database nothing.
"""

import asyncio
from typing import Final

from config.errors import ConfigError
from config.logs import get_logger
from database.connections import Pool, database_troubles

logger = get_logger("api")

_INTERVAL: Final = 2.0
_PATIENCE: Final = 4.0


class Health:
    """`is_well`: at the last look the database answered, and took writes. Before the first one it is not."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self.is_well = False

    async def look(self) -> None:
        """Look now. Whatever is wrong is told by `is_well`, and once in the log."""
        try:
            with database_troubles():
                async with asyncio.timeout(_PATIENCE), self._pool.acquire() as connection:
                    # A standby answers, and admits no call, since that is written down.
                    is_well = not await connection.fetchval("select pg_is_in_recovery()")
        except ConfigError as error:
            if self.is_well:
                logger.warning("api_unhealthy", reason=str(error))
            is_well = False
        self.is_well = is_well

    async def keep_looking(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.look()
