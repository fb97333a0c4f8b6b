"""What is done again and again, on every node at once: look-ups, polls, expiries, ends of batches, ranges of messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import asyncpg

from config.logs import describe_exception, get_logger
from config.sending_sections import SendingSettings
from database.connections import UNREACHABLE, Pool, affected
from database.queries import NamedQueries
from database.ranges import add_ranges
from messages.attempts import in_transaction
from messages.changes import stop_batch_of_deleted_campaign
from messages.news import AttemptKey, Ending
from messages.statuses import ErrorCode, MessageStatus
from sending.composing import Composer
from sending.metrics import RECEIPTS_UNMATCHED, count_recorded
from sending.outcomes import delete_old_groups
from sending.parts import count_strays, delete_old, match_receipts, stray_after
from sending.upkeep.look_ups import LookUps, ProviderOf, record_apart

SQL: Final = NamedQueries("sending.upkeep", "sweeps.sql")
# How many attempts a sweep gives up on at most, and in one transaction. The next sweep goes on.
_IN_A_SWEEP: Final = 100_000
_AT_ONCE: Final = 2_000
_BATCHES: Final = 100
_NEVER_LEFT: Final = frozenset({MessageStatus.CREATED, MessageStatus.ENQUEUED})
_TROUBLES: Final[tuple[type[BaseException], ...]] = (asyncpg.PostgresError, *UNREACHABLE)

logger = get_logger("sending")


@contextlib.asynccontextmanager
async def open_sweeps(
    pool: Pool, settings: SendingSettings, provider_of: ProviderOf, composer: Composer | None = None
) -> AsyncIterator[None]:
    """Run all sweeps until the block ends. With the `composer` of those who send, what they find out holds here too."""
    sweeping = asyncio.create_task(sweep_forever(pool, settings, provider_of, composer), name="sweeps")
    try:
        yield
    finally:
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping


async def sweep_forever(
    pool: Pool, settings: SendingSettings, provider_of: ProviderOf, composer: Composer | None = None
) -> None:
    """Run all sweeps until cancelled: each at its own pace, as the settings say. Safe on every node at once."""
    look_ups = LookUps(pool, settings, provider_of, composer)
    sweeps = Sweeps(pool, settings)
    poll_every = settings.twilio.poll_every
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_repeat(sweeps.sweep, settings.sweep_every))
        tasks.create_task(_repeat(look_ups.look_up_due, min(poll_every, *settings.look_up_after)))
        tasks.create_task(_repeat(look_ups.look_through, min(poll_every, settings.sweep_every)))


async def _repeat(work: Callable[[datetime], Awaitable[object]], every: float) -> None:
    while True:
        try:
            await work(datetime.now(UTC))
        except _TROUBLES as error:
            logger.warning("sweep_postponed", **describe_exception(error))
        except Exception as error:  # noqa: BLE001 - a bug in one sweep must end neither the others nor the process
            logger.error("sweep_failed", **describe_exception(error))  # noqa: TRY400 - its text may hold rows
        await asyncio.sleep(every)


class Sweeps:
    """What time alone does to batches, and what their campaigns' ends do."""

    def __init__(self, pool: Pool, settings: SendingSettings) -> None:
        self._pool = pool
        self._stale_after = settings.stale_after
        self._expire_after = settings.expire_after
        self._stray_after = stray_after(settings)

    async def sweep(self, now: datetime) -> None:
        """Do all of it once."""
        await self.stop_deleted()
        await self.follow_lanes()
        await self.hold_stale(now)
        await self.expire_never_left(now)
        await add_ranges(self._pool)
        await self.match_receipts(now)
        async with self._pool.acquire() as connection:
            await delete_old_groups(connection)

    async def match_receipts(self, now: datetime) -> None:
        """Receipts and parts that a process stored and could not match any more; what no part has missed, and what is old."""
        more = True
        while more:
            async with self._pool.acquire() as connection:
                recorded, more = await in_transaction(
                    connection, partial(match_receipts, connection, None, now=now)
                )
            count_recorded(recorded)
        async with self._pool.acquire() as connection:
            RECEIPTS_UNMATCHED.inc(await count_strays(connection, after=self._stray_after))
            await delete_old(connection)

    async def stop_deleted(self) -> None:
        """What has not left of deleted campaigns becomes `stopped`."""
        last = 0
        async with self._pool.acquire() as connection:
            while rows := await connection.fetch(SQL["fetch_batches_of_deleted"], _BATCHES, last):
                for row in rows:
                    stopped = await stop_batch_of_deleted_campaign(connection, row["id"])
                    logger.info("batch_stopped", batch_id=row["id"], messages=stopped)
                last = rows[-1]["batch_no"]

    async def follow_lanes(self) -> None:
        """What must go again, or be looked up, is its lane's sender's."""
        async with self._pool.acquire() as connection:
            moved = affected(await connection.execute(SQL["follow_lanes"]))
        if moved:
            logger.info("due_moved", messages=moved)

    async def hold_stale(self, now: datetime) -> None:
        """What could not begin in time waits for `batch release`."""
        async with self._pool.acquire() as connection:
            for row in await connection.fetch(SQL["hold_stale"], now, self._stale_after):
                logger.warning("batch_held", batch_id=row["id"], held_because="stale")

    async def expire_never_left(self, now: datetime) -> None:
        """What should have left long ago fails: surely it never left."""
        async with self._pool.acquire() as connection:
            for row in await connection.fetch(SQL["end_never_left"], now, self._expire_after):
                logger.warning("batch_expired", batch_id=row["id"])
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(SQL["fetch_never_left"], now, self._expire_after, _IN_A_SWEEP)
        keys = [AttemptKey(row["batch_no"], row["row_number"], row["attempt"]) for row in rows]
        for begin in range(0, len(keys), _AT_ONCE):
            some = keys[begin : begin + _AT_ONCE]
            endings = [Ending(key, ErrorCode.SERVER_UNKNOWN_ERROR, _NEVER_LEFT, now) for key in some]
            await record_apart(self._pool, endings, now)
