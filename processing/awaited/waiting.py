"""Waits for outcomes, for a process that answers senders: by announcements, and by asking each second, as one may go unheard.

That somebody waits is an advisory lock on a connection of the process's own. It ends with the process, whatever ends that, and
whoever gives an outcome looks at it in the outcome's own transaction.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from config.errors import ConfigError
from config.logs import describe_exception, get_logger
from config.sections import DatabaseSettings
from database.connections import UNREACHABLE, Pool, connect, database_troubles
from database.errors import ServiceUnreachable
from processing import metrics
from processing.awaited.uploads import (
    AwaitedOutcome,
    Withdrawal,
    fetch_outcome,
    hold_waiter,
    release_waiter,
    withdraw,
)

if TYPE_CHECKING:
    import asyncpg

logger = get_logger("processing")

CHANNEL: Final = "sftp_gateway_verdicts"
# Seconds: for a statement on the connection, between two looks at it, before another attempt to open it.
_STATEMENT: Final = 5.0
_PROBE_INTERVAL: Final = 2.0
_RECONNECT: Final = 0.3
# Seconds that a new sender waits for a connection that is just being opened anew.
_CONNECTED_WITHIN: Final = 3.0
# Seconds between two questions for an outcome that may have been announced unheard.
_POLL: Final = 1.0
_TROUBLES: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, ConfigError)


class Waiting:
    """What one process waits for. `run` it in a task."""

    def __init__(self, database: DatabaseSettings, pool: Pool) -> None:
        self._database: Final = database
        self._pool: Final = pool
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._connected: Final = asyncio.Event()
        # A connection runs one statement at a time.
        self._turn: Final = asyncio.Lock()
        # The locks that this process holds, or takes again once it can; and of these, those that it holds.
        self._wanted: Final[set[int]] = set()
        self._held: Final[set[int]] = set()
        self._heard: Final[dict[str, asyncio.Event]] = {}

    async def run(self) -> None:
        """Keep the connection, and the locks on it, until cancelled."""
        while True:
            try:
                connection = await connect(self._database, command_timeout=_STATEMENT)
                try:
                    await self._keep(connection)
                finally:
                    self._connection = None
                    self._connected.clear()
                    self._held.clear()
                    with contextlib.suppress(*UNREACHABLE):
                        await connection.close(timeout=1)
            except _TROUBLES as error:
                logger.warning("outcome_watch_lost", **describe_exception(error))
            await asyncio.sleep(_RECONNECT)

    async def _keep(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(CHANNEL, lambda *announcement: self._hear(str(announcement[-1])))
        self._connection = connection
        self._connected.set()
        while not lost.is_set():
            for key in self._wanted - self._held:
                await self._hold(connection, key)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_INTERVAL):
                    await lost.wait()
            if not lost.is_set():
                async with self._turn:
                    await connection.fetchval("select 1")

    def _hear(self, upload_id: str) -> None:
        if heard := self._heard.get(upload_id):
            heard.set()

    async def _hold(self, connection: "asyncpg.Connection[asyncpg.Record]", key: int) -> None:
        async with self._turn:
            if key in self._wanted and await hold_waiter(connection, key):
                self._held.add(key)

    @contextlib.asynccontextmanager
    async def waiter(self) -> AsyncIterator[int]:
        """The number of a lock that is held until the end of the block, or until a `withdraw`. Raises ServiceUnreachable."""
        key = secrets.randbits(63)
        self._wanted.add(key)
        try:
            with database_troubles():
                async with asyncio.timeout(_CONNECTED_WITHIN):
                    await self._connected.wait()
                    if self._connection is not None:
                        await self._hold(self._connection, key)
            if key not in self._held:
                raise ServiceUnreachable("the database can't be reached: nobody could wait for an outcome")
            yield key
        finally:
            await self._release(key)

    async def _release(self, key: int) -> None:
        """Wait no more. A lock that can't be released ends with its connection."""
        self._wanted.discard(key)
        async with self._turn:
            if key in self._held and self._connection is not None:
                self._held.discard(key)
                with contextlib.suppress(*UNREACHABLE):
                    await release_waiter(self._connection, key)

    async def outcome(self, upload_id: str) -> AwaitedOutcome:
        """The outcome, once there is one. The caller sets the limit of time."""
        heard = self._heard.setdefault(upload_id, asyncio.Event())
        try:
            while True:
                heard.clear()
                # Also where a new login is refused, as while a password is changed.
                with contextlib.suppress(ConfigError):
                    if found := await self._fetch(upload_id):
                        return found
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await heard.wait()
        finally:
            del self._heard[upload_id]

    async def _fetch(self, upload_id: str) -> AwaitedOutcome | None:
        with database_troubles():
            async with self._pool.acquire() as connection:
                return await fetch_outcome(connection, upload_id)

    async def withdraw(self, key: int, upload_id: str, cause: Withdrawal) -> AwaitedOutcome | None:
        """Wait no more, and let nothing be accepted. Returns the outcome that there is then: withdrawn, or one that was faster.

        None where no such upload was taken. A worker that is writing an outcome just now sees at its end that nobody waits, and
        withdraws the upload itself. The caller sets the limit of time: before the database has said so, nothing is certain.
        """
        await self._release(key)
        while True:
            try:
                with database_troubles():
                    async with self._pool.acquire() as connection, connection.transaction():
                        support_id = await withdraw(connection, upload_id, cause)
                outcome = await self._fetch(upload_id)
            except ConfigError as error:
                logger.warning("withdrawal_repeated", upload_id=upload_id, reason=str(error))
                await asyncio.sleep(_RECONNECT)
            else:
                if support_id is not None:
                    metrics.UPLOADS_WITHDRAWN.labels(cause.value).inc()
                    logger.info(
                        "upload_withdrawn", upload_id=upload_id, support_id=support_id, reason=cause.value
                    )
                return outcome
