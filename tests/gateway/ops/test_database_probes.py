"""What `check` says of standbys and of poolers: what works is used here, and what doesn't is refused with its cure."""

import asyncio
import itertools
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.connections import connect, open_pool
from database.job_queue import JobKind, RunningJob, enqueue, run_jobs
from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.server_process import ServerProcess
from gateway.errors import ExitStatus
from gateway.ops.database_probes import examine_database
from tests.chaos.testbed.testbed import until
from tests.database.failover.poolers import pgbouncer

_numbers = itertools.count()
KIND = JobKind("probe", concurrency=1, heartbeat_timeout=5)


@pytest.fixture(scope="module")
def session_mode(short_folder: Path, postgres: PostgreSQLServer) -> Iterator[int]:
    """The port of a PgBouncer in session mode."""
    with pgbouncer(short_folder / f"bouncer{next(_numbers)}", postgres, "session") as port:
        yield port


@pytest.fixture(scope="module")
def transaction_mode(short_folder: Path, postgres: PostgreSQLServer) -> Iterator[int]:
    """The port of a PgBouncer in transaction mode, as Debian sets it up: without prepared statements."""
    with pgbouncer(short_folder / f"bouncer{next(_numbers)}", postgres, "transaction") as port:
        yield port


def through(port: int, database_url: str) -> SecretStr:
    name = urlsplit(database_url).path.removeprefix("/")
    return SecretStr(f"postgresql://postgres@127.0.0.1:{port}/{name}?sslmode=disable")


async def test_a_server_without_standbys_and_poolers_has_no_line(database_url: str) -> None:
    settings = DatabaseSettings(url=SecretStr(database_url))
    assert await examine_database(settings) == []
    # And one that is away has its own.
    away = settings.model_copy(update={"url": SecretStr("postgresql://u@127.0.0.1:1/x")})
    assert await examine_database(away) == []


async def test_so_many_ranges_that_locks_may_run_out_are_a_warning(database_url: str) -> None:
    settings = DatabaseSettings(url=SecretStr(database_url))
    connection = await asyncpg.connect(database_url)
    # Four years of months.
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email) values ('clinic', 'c', 'c', 'ops@clinic.example');"
        "insert into batches (id, campaign_id, original_file_name, total_messages, batch_no)"
        " values ('batch_1', 'clinic', 'x.csv', 1, 192000000)"
    )
    await connection.execute("select add_message_ranges()")
    await connection.close()
    (answer,) = await examine_database(settings)
    assert (answer.name, answer.status, answer.is_warning) == ("locks", ExitStatus.DONE, True)
    assert "Set max_locks_per_transaction, which is 64, to 256" in answer.detail


async def test_a_standby_for_which_no_commit_waits_is_a_warning_that_says_what_it_costs(
    own_postgres: PostgreSQLServer, tmp_path: Path
) -> None:
    settings = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    # It takes the log as a standby does.
    standby = ServerProcess(
        "standby",
        [own_postgres._programs / "pg_receivewal", "-h", own_postgres.folder, "-p", str(own_postgres.port),
         "-U", "postgres", "-D", tmp_path, "--no-loop"],
        log=tmp_path / "standby.log", end_signal=signal.SIGKILL,
    )  # fmt: skip
    connection = await asyncpg.connect(own_postgres.socket_url("postgres"))
    try:

        async def follows() -> bool:
            return bool(await connection.fetchval("select exists (select from pg_stat_replication)"))

        await until(follows, "a standby that follows", 30)
        await connection.execute("alter system set synchronous_standby_names = 'standby1'")
        for statement, is_warning, words in (
            ("alter role postgres set synchronous_commit = on", False, "waits for one"),
            ("alter role postgres set synchronous_commit = local", True, "synchronous_commit is local"),
            ("alter system reset synchronous_standby_names", True, "acknowledged in the moments before"),
        ):
            await connection.execute(statement)
            await connection.execute("select pg_reload_conf()")

            async def told(words: str = words, is_warning: bool = is_warning) -> bool:
                (answer,) = await examine_database(settings)
                assert answer.is_well
                return words in answer.detail and answer.is_warning == is_warning

            await until(told, words, 30)
    finally:
        await connection.close()
        standby.stop()


async def test_all_works_through_a_pooler_in_session_mode(session_mode: int, database_url: str) -> None:
    settings = DatabaseSettings(url=through(session_mode, database_url))
    (answer,) = await examine_database(settings)
    assert (answer.name, answer.status) == ("pooler", ExitStatus.DONE)
    assert "session mode" in answer.detail
    ran = asyncio.Event()
    stop = asyncio.Event()

    async def note(_job: RunningJob) -> None:
        ran.set()

    async with open_pool(settings, name="test") as pool, asyncio.TaskGroup() as tasks:
        tasks.create_task(run_jobs(settings, KIND, note, stop=stop, connected=lambda: None))
        async with pool.acquire() as connection, connection.transaction():
            await enqueue(connection, KIND.entrypoint, "one", delay=timedelta(0))
            assert await connection.fetchval("show transaction_isolation") == "read committed"
        async with asyncio.timeout(30):
            await ran.wait()
        stop.set()


async def test_a_pooler_in_transaction_mode_is_refused_with_the_cure(
    transaction_mode: int, session_mode: int, database_url: str
) -> None:
    pooled, direct = through(transaction_mode, database_url), SecretStr(database_url)
    for settings, words in (
        (DatabaseSettings(url=pooled), "no announcements"),
        (DatabaseSettings(url=direct, direct_url=pooled), "DIRECT_URL leads to a pooler"),
        (DatabaseSettings(url=pooled, direct_url=direct), "prepared statements: put it into session mode"),
        (DatabaseSettings(url=direct, direct_url=through(session_mode, "/postgres")), "different databases"),
    ):
        (answer,) = await examine_database(settings)
        assert (answer.name, answer.status) == ("pooler", ExitStatus.CONFIGURATION)
        assert words in answer.detail


async def test_what_a_pooler_can_not_do_goes_past_it(transaction_mode: int, database_url: str) -> None:
    settings = DatabaseSettings(
        url=through(transaction_mode, database_url), direct_url=SecretStr(database_url)
    )
    connection = await connect(settings)
    try:
        # Through the pooler the numbers would differ.
        assert await connection.fetchval("select pg_backend_pid()") == connection.get_server_pid()
    finally:
        await connection.close()
