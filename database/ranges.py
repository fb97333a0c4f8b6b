"""The ranges of `messages`, `attempts` and `audit_events`: attached ahead of time, and begun anew with each month.

The functions of `migrations/0014_ranges_by_month.sql` do it, whoever calls them, one at a time. Every process that writes much
calls them now and then, so that no part of the gateway depends on another one for them. The view `record_ranges` has one row for
each range.
"""

import asyncio
from typing import Final

import asyncpg

from config.logs import describe_exception, get_logger
from database.connections import UNREACHABLE, Pool
from database.queries import NamedQueries

SQL: Final = NamedQueries("database", "ranges.sql")
# How many numbers each range of audit events has.
AUDIT_WIDTH: Final = 1_000_000_000_000
# Seconds. A month begins so much late at most, as far as ranges go.
INTERVAL: Final = 600.0
_TROUBLES: Final[tuple[type[BaseException], ...]] = (asyncpg.PostgresError, *UNREACHABLE)

logger = get_logger("database")


async def add_ranges(pool: Pool) -> None:
    """Attach the ranges that will be needed, and let numbers jump to the next where a month is over."""
    async with pool.acquire() as connection:
        added = await connection.fetchrow(SQL["add_ranges"])
    if added is not None and any(added.values()):
        logger.info("ranges_added", **added)


async def keep_adding_ranges(pool: Pool) -> None:
    """Do so until cancelled. Trouble with the database is for the next time."""
    while True:
        try:
            await add_ranges(pool)
        except _TROUBLES as error:
            logger.warning("ranges_postponed", **describe_exception(error))
        await asyncio.sleep(INTERVAL)
