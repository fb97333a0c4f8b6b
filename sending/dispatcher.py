"""What a sender process does all the time: takes batches up, keeps a line for each sender, and wakes those that have work.

It is woken by the NOTIFY of a batch, and looks each second besides, since a notification may be lost with its connection.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, TypeAlias

import asyncpg

from config.errors import ConfigError
from config.fault_points import reach
from config.logs import describe_exception, get_logger
from config.sections import DatabaseSettings
from config.sending_sections import SendingSettings
from database.clock import DatabaseClock
from database.connections import UNREACHABLE, Connection, Pool, connect
from sending.composing import Composer
from sending.outcomes import Outcomes
from sending.providers.provider import Provider
from sending.sender_line import SenderLine
from sending.senders import (
    SenderPlan,
    SenderState,
    fetch_senders,
    record_moved_lanes,
    record_senders,
)
from sending.taking import BatchTaking
from sending.upkeep.restored import DatabaseGuard

logger = get_logger("sending")

# A batch that was committed; a campaign that was suspended or resumed.
_CHANNELS: Final = ("sftp_gateway_batches", "sftp_gateway_access")
# All are in seconds. A server may vanish without closing the connection, which a question now and then finds out.
_POLL_INTERVAL: Final = 1.0
# Where batches are announced all the time, as single sends are, they are taken up together.
_LEAST_INTERVAL: Final = 0.05
_PROBE_INTERVAL: Final = 5.0
_PROBE_TIMEOUT: Final = 3.0
_RECONNECT: Final = 1.0
_TROUBLES: Final[tuple[type[BaseException], ...]] = (ConfigError, asyncpg.PostgresError, *UNREACHABLE)

# Opens the provider of a sender; None where it has none, or it can't be opened now.
ProviderOpener: TypeAlias = Callable[[SenderState], Awaitable[Provider | None]]
# The senders as settings and accounts want them.
SenderPlanner: TypeAlias = Callable[[Connection], Awaitable[list[SenderPlan]]]


class Dispatcher:
    """All senders of this gateway, as far as this process sends for them; other processes and nodes do the same."""

    def __init__(
        self,
        pool: Pool,
        database: DatabaseSettings,
        settings: SendingSettings,
        *,
        outcomes: Outcomes,
        composer: Composer,
        guard: DatabaseGuard,
        taking: BatchTaking,
        plan_senders: SenderPlanner,
        open_provider: ProviderOpener,
    ) -> None:
        self._pool = pool
        self._database = database
        self._outcomes = outcomes
        self._taking = taking
        self._plan_senders = plan_senders
        self._open_provider = open_provider
        self._stale_after = timedelta(seconds=settings.stale_after)
        self._composer = composer
        self._guard = guard
        self._clock = DatabaseClock()
        self._wake = asyncio.Event()
        # What this process's settings wanted at its last look, and the senders that other nodes want otherwise.
        self._planned: list[SenderPlan] = []
        self._told: set[str] = set()
        self._lines: dict[int, SenderLine] = {}
        self._versions: dict[int, tuple[object, ...]] = {}

    async def provider_of(self, sender_id: int) -> Provider | None:
        """The provider of a sender, for look-ups and polls; None where there is none, or it isn't open yet."""
        line = self._lines.get(sender_id)
        return None if line is None else line.provider

    async def run(self, stop: asyncio.Event, ready: Callable[[], None], *, drain_seconds: float) -> None:
        """Send until `stop`; then put back what hasn't left, and wait for hand-overs under way for `drain_seconds` at most.

        `ready` is called once, when the first look at the database succeeded.
        """
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen(), name="announcements of batches")
            stopped = tasks.create_task(stop.wait(), name="stop of the dispatcher")
            stopped.add_done_callback(lambda _task: self._wake.set())
            was_ready = False
            while not stop.is_set():
                self._wake.clear()
                try:
                    await self._look(tasks, drain_seconds)
                except _TROUBLES as error:
                    logger.warning("sending_postponed", **describe_exception(error))
                else:
                    if not was_ready:
                        ready()
                        was_ready = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_INTERVAL):
                        await asyncio.sleep(_LEAST_INTERVAL)
                        await self._wake.wait()
            listening.cancel()
            for line in self._lines.values():
                line.stop()

    async def _look(self, tasks: asyncio.TaskGroup, drain_seconds: float) -> None:
        """Make the senders what they should be, take batches up, and see to it that each sender with work has its line."""
        async with self._pool.acquire() as connection:
            plans = await self._plan_senders(connection)
            self._tell_changed(plans, await record_senders(connection, plans))
            await record_moved_lanes(connection)
        if await self._taking.take():
            reach("sending.taken")
        async with self._pool.acquire() as connection:
            states = await fetch_senders(connection)
        for state in states:
            await self._keep_line(state, tasks, drain_seconds)

    def _tell_changed(self, plans: Sequence[SenderPlan], changed: Sequence[SenderPlan]) -> None:
        """Tell once of a sender that a node with other settings has made otherwise since the last look."""
        for plan in changed:
            if plan in self._planned and plan.name not in self._told:
                self._told.add(plan.name)
                logger.warning(
                    "sender_settings_differ", sender=plan.name, provider=plan.provider, rate=plan.rate
                )
        self._planned = list(plans)

    async def _keep_line(self, state: SenderState, tasks: asyncio.TaskGroup, drain_seconds: float) -> None:
        line = self._lines.get(state.id)
        version = (state.name, state.provider, state.account_set_at, state.secret_key_id)
        if line is not None and self._versions[state.id] != version:
            # Another provider, other credentials or, after `secrets rotate`, another key: the old line ends what it has begun.
            line.stop()
            del self._lines[state.id]
            line = None
        if line is None:
            provider = await self._open_provider(state)
            if provider is None:
                return
            line = SenderLine(
                state,
                provider,
                pool=self._pool,
                outcomes=self._outcomes,
                composer=self._composer,
                clock=self._clock,
                guard=self._guard,
                stale_after=self._stale_after,
            )
            self._lines[state.id] = line
            self._versions[state.id] = version
            tasks.create_task(line.run(drain_seconds=drain_seconds), name=f"sender {state.name}")
        line.adopt(state)

    async def _listen(self) -> None:
        """Let each announcement wake the dispatcher, on a connection of its own, opened anew whenever it is lost."""
        while True:
            try:
                connection = await connect(self._database)
                try:
                    await self._listen_on(connection)
                finally:
                    with contextlib.suppress(*UNREACHABLE):
                        await connection.close(timeout=1)
            except _TROUBLES as error:
                logger.warning("announcements_lost", **describe_exception(error))
            await asyncio.sleep(_RECONNECT)

    async def _listen_on(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        for channel in _CHANNELS:
            await connection.add_listener(channel, lambda *_announcement: self._wake.set())
        self._wake.set()
        while not lost.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_INTERVAL):
                    await lost.wait()
            if not lost.is_set():
                await connection.fetchval("select 1", timeout=_PROBE_TIMEOUT)
