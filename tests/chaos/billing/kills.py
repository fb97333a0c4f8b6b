"""Kills while outcomes come in and months are posted: of what records, of PostgreSQL, of `billing close` at each of its steps.

After each kill the totals are what an independent recount finds, posted months are as they were, each whole or not posted.
"""

import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
from pydantic import SecretStr

from billing.recount import list_campaigns, recount_campaign
from campaigns.creation import create_campaign
from config.fault_points import POINTS, VARIABLE
from config.sections import DatabaseSettings
from config.settings import variable_of
from database.connections import UNREACHABLE
from database.schema import migrate
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from gateway.embedded.stack import database_variables
from gateway.errors import EmbeddedError
from messages.statuses import MessageStatus
from rules.billing.periods import Month
from rules.characters.unsupported import UnsupportedRule
from tests.chaos.billing.totals import Books
from tests.chaos.testbed.testbed import until
from tests.conftest import ADMIN, CAMPAIGN_TEMPLATE
from tests.messages.builders import FOREIGN, LOCAL, make_batch

_DATABASE: Final = "postgres"
_POINTS: Final = tuple(point for point in POINTS if point.startswith("billing."))
_ROLES: Final = ("sender", "sender", "api", "api", "people")
WAYS: Final = (
    *_POINTS, "billing close", "PostgreSQL during billing close", "PostgreSQL killed", "sender", "api", "people",
)  # fmt: skip
_FIRST: Final = Month(2025, 7)
# Of so many attempts the last outcome is still awaited, at most.
_WAITING: Final = 200
_TIMEOUT: Final = 180.0
_AWAY: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, asyncpg.PostgresError)


@dataclass
class KillReport:
    """What a run of kills did and found."""

    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    books: Books = field(default_factory=Books)

    def lines(self) -> list[str]:
        """The totals, in sentences without their ends."""
        found = self.books
        kinds = ", ".join(f"{count} × {what}" for what, count in sorted(self.kills.items()))
        return [
            f"{self.kills.total()} kills ({kinds}) in {self.seconds:.0f} s",
            f"{found.attempts:,} attempts, {found.counted:,} counted in totals, {found.late:,} changed after their month",
            f"{len(found.posted)} months posted with {found.reports} reports; differences from the recount: {len(found.wrong)}",
        ]


@dataclass
class Rig:
    """A database, and the processes that write into it."""

    folder: Path
    postgres: PostgreSQLServer
    campaigns: Sequence[str]
    chance: random.Random
    recorders: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    next_month: Month = _FIRST
    started: int = 0

    @property
    def url(self) -> str:
        return self.postgres.socket_url(_DATABASE)

    # What records.

    async def start_recorder(self, place: int) -> None:
        self.started += 1
        self.recorders[place] = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.chaos.billing.recorder",
                self.url,
                str(self.started),
                _ROLES[place],
            )
        )

    async def kill_recorder(self, role: str) -> None:
        place = self.chance.choice([place for place, one in enumerate(_ROLES) if one == role])
        process = self.recorders[place]
        assert process.returncode is None, f"a recorder has ended by itself, with status {process.returncode}"
        process.kill()
        await process.wait()
        await self.start_recorder(place)

    async def end(self) -> None:
        for process in self.recorders.values():
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    # PostgreSQL.

    async def kill_database(self) -> None:
        await asyncio.to_thread(self.postgres.kill)

        async def started() -> bool:
            # It refuses to start while processes of the killed server still live.
            try:
                await asyncio.to_thread(self.postgres.start)
            except EmbeddedError:
                return False
            return True

        await until(started, "PostgreSQL again", _TIMEOUT)

    # Posting.

    async def start_closing(self) -> asyncio.subprocess.Process:
        """`billing close` of the next month, on its day."""
        month = self.next_month
        environment = {
            **os.environ,
            **database_variables(self.url),
            variable_of("environment"): "production",
            # Nothing asks them.
            variable_of("s3.bucket"): "none",
            variable_of("smtp.host"): "127.0.0.1",
            variable_of("smtp.sender"): "gateway@agency.gov.sg",
            VARIABLE: str(self.folder / "fault-points"),
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "gateway", "billing", "close", "--month", str(month)),
            *("--as-of", month.posted_from.isoformat()),
            env={**environment, "PYTHONPATH": str(Path.cwd())},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def close(self) -> None:
        """Post the next month, undisturbed, though a killed call may have done so before."""
        process = await self.start_closing()
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        self.next_month = self.next_month.next

    async def kill_closing_at(self, point: str) -> None:
        fault = self.folder / "fault-points" / point
        fault.touch()
        process = await self.start_closing()
        printed, _ = await process.communicate()
        assert not fault.exists(), printed.decode()
        await self.close()

    async def kill_closing(self) -> None:
        process = await self.start_closing()
        await asyncio.sleep(self.chance.random() * 3)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
        await self.close()

    async def kill_database_during_closing(self) -> None:
        process = await self.start_closing()
        await asyncio.sleep(self.chance.random() * 3)
        await self.kill_database()
        await process.communicate()
        await self.close()

    async def kill(self, way: str) -> None:
        """Kill in this way once, at a random moment."""
        await asyncio.sleep(self.chance.random() / 2)
        match way:
            case "billing close":
                await self.kill_closing()
            case "PostgreSQL during billing close":
                await self.kill_database_during_closing()
            case "PostgreSQL killed":
                await self.kill_database()
            case "sender" | "api" | "people":
                await self.kill_recorder(way)
            case point:
                await self.kill_closing_at(point)

    # What there is to do.

    async def feed(self, enough: asyncio.Event) -> None:
        """Keep some hundred attempts waiting for their outcome, around the ends of the months that are posted next."""
        while not enough.is_set():
            with contextlib.suppress(*_AWAY):
                connection = await asyncpg.connect(self.url, timeout=10)
                try:
                    await self._feed(connection)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    async def _feed(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        waiting = await connection.fetchval("select count(*) from attempts where status < 5")
        for _ in range(5 if waiting < _WAITING else 0):
            month = self.next_month if self.chance.random() < 0.7 else self.next_month.next
            at = month.begins_at + timedelta(seconds=self.chance.randrange(28 * 86400))
            if self.chance.random() < 0.4:
                at = month.ends_at - timedelta(seconds=self.chance.randrange(90))
            async with connection.transaction():
                await make_batch(
                    connection,
                    self.chance.choice(self.campaigns),
                    [MessageStatus.SENDING] * self.chance.randrange(1, 12),
                    unclaimed=self.chance.randrange(3),
                    recipient=self.chance.choice((LOCAL, FOREIGN)),
                    at=at,
                )

    async def look(self, books: Books) -> None:
        """Compare everything; PostgreSQL may just be starting."""

        async def looked() -> bool:
            try:
                connection = await asyncpg.connect(self.url, timeout=10)
            except _AWAY:
                return False
            try:
                await books.look(connection)
            finally:
                connection.terminate()
            return True

        await until(looked, "a look at the totals", _TIMEOUT)


@contextlib.asynccontextmanager
async def open_rig(seed: int) -> AsyncIterator[Rig]:
    """A database with three campaigns, and processes that record."""
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True))
        )
        (folder / "fault-points").mkdir()
        postgres = stack.enter_context(postgres_server(folder / "pg"))
        await migrate(DatabaseSettings(url=SecretStr(postgres.socket_url(_DATABASE))))
        connection = await asyncpg.connect(postgres.socket_url(_DATABASE))
        campaigns = [
            await create_campaign(
                connection,
                name=f"Harbour {number}",
                template=CAMPAIGN_TEMPLATE,
                notify_email="a@b.gov.sg",
                unsupported=UnsupportedRule(),
                actor=ADMIN,
            )
            for number in range(3)
        ]
        await connection.close()
        rig = Rig(folder, postgres, [one.id for one in campaigns], random.Random(seed))
        stack.push_async_callback(rig.end)
        for place in range(len(_ROLES)):
            await rig.start_recorder(place)
        yield rig


async def run_kills(rig: Rig, kills: int) -> KillReport:
    """Kill `kills` times: in each way once, then at random. After each the totals are looked at."""
    report = KillReport()
    enough = asyncio.Event()
    began = time.monotonic()

    async def kill() -> None:
        try:
            each_once = rig.chance.sample(WAYS, min(kills, len(WAYS)))
            for way in [*each_once, *rig.chance.choices(WAYS, k=kills - len(each_once))]:
                await rig.kill(way)
                report.kills[way] += 1
                await rig.look(report.books)
                report.books.check()
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(kill())
        tasks.create_task(rig.feed(enough))
    await rig.end()
    await rig.look(report.books)
    report.books.wrong += await _recounted_by_ourselves(rig)
    report.seconds = time.monotonic() - began
    return report


async def _recounted_by_ourselves(rig: Rig) -> list[str]:
    """The gateway's own recount finds no difference either."""
    connection = await asyncpg.connect(rig.url)
    try:
        return [
            f"billing check: {difference}"
            for campaign_id in await list_campaigns(connection)
            for difference in await recount_campaign(connection, campaign_id, now=datetime.now(UTC))
        ]
    finally:
        await connection.close()
