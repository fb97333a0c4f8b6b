"""Is this database the newest one? A database restored to yesterday would have its messages sent a second time.

Each minute the senders write the time of the newest committed claim to the bucket, once the database itself knows that it is
to be written. A database that doesn't know what the bucket has, or whose newest claim is older, is a restored or failed-over
one: all senders are paused there, until `sending resume --all`.

They are compared at the start, each minute, and whenever another database answers a claim than the one that was compared last:
what it gave is put back before anything of it leaves.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Final, Protocol

import asyncpg

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from config.logs import describe_exception, get_logger
from database.connections import UNREACHABLE, Pool
from database.queries import NamedQueries
from sending.claims import DatabaseIdentity
from sending.metrics import DATABASES_RESTORED, MARKS_UNCHECKED
from sending.pauses import RESTORED

SQL: Final = NamedQueries("sending.upkeep", "restored.sql")
NEWEST_CLAIM_KEY: Final = "sending/newest-claim"
# Seconds between two questions to a bucket that is away, before the first claim.
_ASK_AGAIN: Final = 2.0
_TROUBLES: Final[tuple[type[BaseException], ...]] = (asyncpg.PostgresError, *UNREACHABLE)

logger = get_logger("sending")


class ClaimMark(Protocol):
    """Where the newest claim's time is kept, outside of the database. Its calls raise OSError while that is away."""

    async def read(self) -> datetime | None:
        """The time written last (aware UTC), or None where none was ever written."""
        ...

    async def write(self, at: datetime) -> None:
        """Keep this time from now on."""
        ...


class DatabaseGuard:
    """Knows which database was compared with the bucket last."""

    def __init__(self, pool: Pool, mark: ClaimMark) -> None:
        self._pool = pool
        self._mark = mark
        self._compared: DatabaseIdentity | None = None
        self._comparing = asyncio.Lock()

    async def check(self) -> bool:
        """Pause all senders if the database is older than the mark; whether it was. Their rows must be there.

        Raises OSError or asyncpg's errors where bucket or database are away.
        """
        self._compared, is_restored = await _check(self._pool, await self._mark.read())
        return is_restored

    def knows(self, database: DatabaseIdentity | None) -> bool:
        """Whether what this database gives in claims may leave."""
        return database == self._compared

    async def meet(self, database: DatabaseIdentity, stop: asyncio.Event) -> None:
        """Return once a database that answered a claim has been compared, however long the bucket is away, or at `stop`."""
        async with self._comparing:
            if not self.knows(database):
                logger.warning("database_changed", started=database.started.isoformat())
                await check_before_claims(self.check, stop, waiting=lambda: None)


async def renew_mark(pool: Pool, mark: ClaimMark) -> None:
    """Write the newest committed claim's time to the bucket, unless the database is older than what stands there.

    Raises as `DatabaseGuard.check` does.
    """
    # Read before the database is: whatever stands there, the database knew by then.
    marked = await mark.read()
    _, is_restored = await _check(pool, marked)
    if is_restored:
        return
    async with pool.acquire() as connection:
        row = await connection.fetchrow(SQL["fetch_claims"])
        assert row is not None  # noqa: S101 - an aggregate always has a row
        newest = row["newest"]
        if newest is None or (marked is not None and newest <= marked):
            return
        await connection.execute(SQL["record_mark"], newest)
    await mark.write(newest)


async def pause_if_restored(pool: Pool, mark: ClaimMark) -> bool:
    """What `DatabaseGuard.check` does, at the command line: whether the database is older than the mark. It logs nothing."""
    _, names, _ = await _pause_if_older(pool, await mark.read())
    return names is not None


async def _check(pool: Pool, marked: datetime | None) -> tuple[DatabaseIdentity, bool]:
    """Which database it is, and whether it is older than the mark. Then all its senders are paused."""
    database, names, known = await _pause_if_older(pool, marked)
    if names is None or marked is None:
        return database, False
    DATABASES_RESTORED.inc()
    newest_here = known and known.isoformat()
    logger.error("database_restored", newest_claim=marked.isoformat(), newest_here=newest_here, senders=names)
    return database, True


async def _pause_if_older(
    pool: Pool, marked: datetime | None
) -> tuple[DatabaseIdentity, list[str] | None, datetime | None]:
    """Which database it is; the senders that were paused, or None where it isn't older; the newest claim that it knows."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(SQL["fetch_claims"])
        assert row is not None  # noqa: S101 - an aggregate always has a row
        database = DatabaseIdentity.of_row(row)
        # A new installation has nothing that could leave twice.
        known = row["marked"] or row["newest"]
        if marked is None or not row["has_batches"] or (known is not None and known >= marked):
            return database, None, known
        names = [sender["name"] for sender in await connection.fetch(SQL["pause_all"], marked, RESTORED)]
        details: EventDetails = {"senders": names, "reason": RESTORED}
        await record_event(connection, AuditEvent.SENDING_PAUSED, details=details)
    return database, names, known


async def check_before_claims(
    check: Callable[[], Awaitable[object]], stop: asyncio.Event, waiting: Callable[[], None]
) -> None:
    """Return once `check`, which pauses the senders of a restored database, has succeeded, or at `stop`: no claim before.

    `waiting` is called each time that the bucket or the database are away, so that the node needn't wait as well.
    """
    while not stop.is_set():
        try:
            await check()
        except _TROUBLES as error:
            MARKS_UNCHECKED.inc()
            logger.warning("newest_claim_unknown", **describe_exception(error))
            waiting()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _ASK_AGAIN)
        else:
            return


async def keep_mark(pool: Pool, mark: ClaimMark, *, every: float = 60) -> None:
    """Renew the mark each `every` seconds until cancelled, and pause all senders should the database turn out to be older."""
    while True:
        try:
            await renew_mark(pool, mark)
        except _TROUBLES as error:
            MARKS_UNCHECKED.inc()
            logger.warning("newest_claim_unknown", **describe_exception(error))
        await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def keeping_mark(pool: Pool, mark: ClaimMark) -> AsyncIterator[None]:
    """`keep_mark` until the block ends."""
    keeping = asyncio.create_task(keep_mark(pool, mark), name="newest claim")
    try:
        yield
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
