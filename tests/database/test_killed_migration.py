"""`sftp-gateway migrate`, killed in the middle and run again, on a database that the first release has used."""

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.connections import Connection
from database.migrations.files import read_migrations
from database.schema import migrate
from gateway.processes.child_handle import python_environment
from tests.database.first_release import OUT_OF_STEP, UPLOADS

INDEX = "select indisvalid from pg_index where indexrelid = to_regclass('uploads_by_support_id')"


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[Connection]:
    """A database whose back-fill has three pieces."""
    connection = await asyncpg.connect(empty_database_url, command_timeout=60)
    await migrate(DatabaseSettings(url=SecretStr(empty_database_url)), migrations=read_migrations()[:1])
    await connection.execute(UPLOADS.format(count=2500))
    yield connection
    await connection.close()


class Migrate:
    """The command, running; what it says on standard error is kept."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    async def until_said(self, part: str) -> None:
        assert self._process.stderr is not None
        async with asyncio.timeout(60):
            while part not in self.said:
                line = await self._process.stderr.readline()
                assert line, self.said
                self.said += line.decode()

    async def killed(self) -> None:
        self._process.kill()
        await self._process.wait()

    async def ended(self) -> str:
        """What it printed in the end."""
        async with asyncio.timeout(60):
            printed, said = await self._process.communicate()
        self.said += said.decode()
        assert self._process.returncode == 0, self.said
        return printed.decode()


Start = Callable[[], Awaitable[Migrate]]


@pytest.fixture
async def start(gateway_variables: dict[str, str], empty_database_url: str) -> AsyncIterator[Start]:
    """Starts the command on that database."""
    environment = {**os.environ, **gateway_variables, "SFTP_GATEWAY_DATABASE__URL": empty_database_url}
    async with contextlib.AsyncExitStack() as stack:

        async def start() -> Migrate:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "gateway", "migrate"),
                env=python_environment(environment),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(_end, process)
            return Migrate(process)

        yield start


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


@contextlib.asynccontextmanager
async def _held(url: str, statement: str) -> AsyncIterator[None]:
    """A transaction that has carried out this statement and stays open."""
    connection = await asyncpg.connect(url)
    transaction = connection.transaction(isolation="repeatable_read")
    await transaction.start()
    await connection.execute(statement)
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.close()


async def _until(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - it happens inside PostgreSQL, which tells nobody
            await asyncio.sleep(0.02)


async def test_killed_in_the_middle_of_a_back_fill_it_goes_on_where_it_stood(
    start: Start, connection: Connection, empty_database_url: str
) -> None:
    # The first step, which changes the tables, would wait for the locks that hold the back-fill up.
    first_step = dataclasses.replace(read_migrations()[1], steps=read_migrations()[1].steps[:1])
    await migrate(
        DatabaseSettings(url=SecretStr(empty_database_url)), migrations=[*read_migrations()[:1], first_step]
    )
    await connection.execute("update schema_migrations set finished = false where number = 2")
    async with _held(empty_database_url, "select from notifications where upload_id > 'upload_8' for update"):
        first = await start()
        await first.until_said("0002_notification_ends, step 2 of 3: others hold a lock")
        await first.killed()
    position = await connection.fetchval("select position from schema_migrations where number = 2")
    assert position is not None
    second = await start()
    assert (await second.ended()).startswith("applied 0002_notification_ends\n")
    assert f"goes on with the back-fill behind {position}" in second.said
    assert await connection.fetchval(OUT_OF_STEP) == 0


async def test_killed_in_the_middle_of_an_index_build_it_builds_the_index_again(
    start: Start, connection: Connection, empty_database_url: str
) -> None:
    # An index that is built concurrently waits for whoever began before.
    async with _held(empty_database_url, "select now()"):
        first = await start()
        await _until(lambda: connection.fetchval(INDEX.replace("indisvalid", "true")))
        await first.killed()
        second = await start()
        await second.until_said(
            "drops uploads_by_support_id, which an interrupted build left, and builds it again"
        )
    assert "applied 0002_notification_ends\n" in await second.ended()
    assert await connection.fetchval(INDEX) is True
    assert await connection.fetchval(OUT_OF_STEP) == 0


async def test_killed_while_it_waits_for_the_table_of_audit_events_it_stops_no_writer_and_goes_on(
    start: Start, connection: Connection, empty_database_url: str
) -> None:
    settings = DatabaseSettings(url=SecretStr(empty_database_url))
    last = read_migrations()[13]
    write = "insert into audit_events (at, event) values (now() - interval '40 days', 'upload_received')"
    for steps in (0, 2):
        begun = [dataclasses.replace(last, steps=last.steps[:steps])] if steps else []
        await migrate(settings, migrations=[*read_migrations()[:13], *begun])
        await connection.execute("update schema_migrations set finished = false where number = 14")
        async with _held(empty_database_url, "select from audit_events"):
            killed = await start()
            await killed.until_said(f"0014_ranges_by_month, step {steps + 1} of 5: others hold a lock")
            await connection.execute(write)
            await killed.killed()
    again = await start()
    assert (await again.ended()).startswith("applied 0014_ranges_by_month\n")
    ranges = "select from_no, state, first_at is not null as used from record_ranges where table_name = 'audit_events' order by 1"
    assert [tuple(row) for row in await connection.fetch(ranges)] == [
        (0, "ended", True), (1_000_000_000_000, "open", False), (2_000_000_000_000, "ahead", False)
    ]  # fmt: skip
    assert await connection.fetchval("select count(*) from audit_events") == 2
