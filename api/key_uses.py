"""Counts what keys are used for, from which addresses: in memory, and every few seconds into the table that people are shown.

A call costs a look-up in a dictionary. How much is remembered is bounded, and nothing of it can fail a call.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from config.errors import ConfigError
from config.logs import get_logger
from database.connections import Pool, database_troubles
from keys.api_uses import KeyUses, record_uses

logger = get_logger("api")

# Seconds between two writes, and for one write.
_EVERY: Final = 5.0
_PATIENCE: Final = 4.0
# So many pairs of key and address are counted between two writes; of keys that weren't shown to be in force, so many. Those that
# come later are not counted: a flood of made-up keys takes no room from the others.
_MOST_PROVEN: Final = 10_000
_MOST_UNPROVEN: Final = 2_000


class Use(Enum):
    """What became of a call before any work: 401, 403 and 429 are the last three."""

    ADMITTED = auto()
    UNAUTHORIZED = auto()
    FORBIDDEN = auto()
    LIMITED = auto()


@dataclass(slots=True)
class _Counts:
    """What was counted of one key and address. `at`: the last call, in seconds since 1970 by the database's clock."""

    at: float = 0.0
    admitted: int = 0
    unauthorized: int = 0
    forbidden: int = 0
    limited: int = 0


class KeyUsesCounter:
    """The counts of one process. `now` tells what the database's clock shows at a local time. Run `run` in a task."""

    def __init__(self, pool: Pool, now: Callable[[float], float], *, every: float = _EVERY) -> None:
        self._pool: Final = pool
        self._now: Final = now
        self._every: Final = every
        self._proven: dict[tuple[str, str], _Counts] = {}
        self._unproven: dict[tuple[str, str], _Counts] = {}

    def count(self, prefix: str, address: str, use: Use) -> None:
        """Count a call by the key of this prefix from this address. Somebody must have been admitted or refused before."""
        is_unproven = use is Use.UNAUTHORIZED
        kept = self._unproven if is_unproven else self._proven
        counts = kept.get((prefix, address))
        if counts is None:
            if len(kept) >= (_MOST_UNPROVEN if is_unproven else _MOST_PROVEN):
                return
            counts = kept[prefix, address] = _Counts()
        counts.at = self._now(time.monotonic())
        match use:
            case Use.ADMITTED:
                counts.admitted += 1
            case Use.UNAUTHORIZED:
                counts.unauthorized += 1
            case Use.FORBIDDEN:
                counts.forbidden += 1
            case Use.LIMITED:
                counts.limited += 1

    async def run(self) -> None:
        """Write every few seconds until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(self._every)
                await self.write()
        finally:
            await self.write()

    async def write(self) -> None:
        """Write what was counted since the last time. What can't be written is lost: without the database nobody is admitted."""
        proven, unproven = self._proven, self._unproven
        if not proven and not unproven:
            return
        self._proven, self._unproven = {}, {}
        # The same pair may stand in both, and a statement can add to a row once only.
        uses: dict[tuple[str, str], KeyUses] = {}
        for (prefix, address), counts in (*proven.items(), *unproven.items()):
            other = proven.get((prefix, address), _Counts()) if counts.unauthorized else _Counts()
            uses[prefix, address] = KeyUses(
                prefix,
                address,
                datetime.fromtimestamp(max(counts.at, other.at), UTC),
                counts.admitted + other.admitted,
                counts.unauthorized,
                counts.forbidden + other.forbidden,
                counts.limited + other.limited,
            )
        try:
            with database_troubles():
                async with (
                    asyncio.timeout(_PATIENCE),
                    self._pool.acquire() as connection,
                    connection.transaction(),
                ):
                    await record_uses(connection, list(uses.values()))
        except ConfigError as error:
            logger.warning("key_uses_lost", count=len(uses), reason=str(error))
        except Exception:
            # Counting is worth no process.
            logger.exception("key_uses_failed", count=len(uses))
