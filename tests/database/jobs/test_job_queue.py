"""The queue as we use it: transactional, once per subject, alive through restarts of PostgreSQL, free of texts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from pydantic import SecretStr

from config.sections import DatabaseSettings
from config.settings import Settings
from database.connections import Pool, open_pool
from database.job_queue import (
    Handler,
    JobKind,
    RunningJob,
    TryAgain,
    enqueue,
    release_jobs_of_dead,
    run_jobs,
    subjects_without_job,
)
from gateway.embedded.postgres import PostgreSQLServer

KIND = JobKind("probe", 2, 5)


@asynccontextmanager
async def running(
    database: DatabaseSettings, handler: Handler, answer_timeout: float = 10, kind: JobKind = KIND
) -> AsyncIterator[None]:
    """The queue, running until the end of the block."""
    stop, connected = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            run_jobs(
                database, kind, handler, stop=stop, connected=connected.set, answer_timeout=answer_timeout
            )
        )
        await asyncio.wait_for(connected.wait(), 10)
        yield
        stop.set()


class Wire:
    """A way to PostgreSQL that can lose, without a word, whoever is on it: as when its machine dies and another takes over."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target = target_port
        self._lost = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._pass_both, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()

    def lose_all(self) -> None:
        """From now on nothing passes between those connected; newcomers are served."""
        self._lost.set()
        self._lost = asyncio.Event()

    async def _pass_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lost = self._lost
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, onward]
        await asyncio.gather(self._pass(reader, onward, lost), self._pass(onward_reader, writer, lost))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(65536):
                if lost.is_set():
                    return
                writer.write(chunk)
            writer.transport.abort()


async def put(pool: Pool, subject_id: str, *, priority: int = 0) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await enqueue(connection, KIND.entrypoint, subject_id, priority=priority)


class Recorder:
    """A handler that remembers what it was given, and fails the first `failures` times."""

    def __init__(self, failures: int = 0, error: Exception | None = None) -> None:
        self.jobs: asyncio.Queue[RunningJob] = asyncio.Queue()
        self._failures = failures
        self._error = error or TryAgain(timedelta(0), "not yet")

    async def __call__(self, job: RunningJob) -> None:
        await self.jobs.put(job)
        if self._failures:
            self._failures -= 1
            raise self._error

    async def next(self) -> RunningJob:
        return await asyncio.wait_for(self.jobs.get(), 30)


async def test_a_job_runs_only_when_its_transaction_commits(pool: Pool, settings: Settings) -> None:
    recorder = Recorder()
    async with running(settings.database, recorder):
        async with pool.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            await enqueue(connection, KIND.entrypoint, "rolled back")
            await transaction.rollback()
        await put(pool, "committed")
        assert (await recorder.next()).subject_id == "committed"
    assert recorder.jobs.empty()


async def test_a_subject_is_queued_once(pool: Pool, settings: Settings) -> None:
    await put(pool, "same")
    await put(pool, "same")
    assert await pool.fetchval("select count(*) from pgqueuer") == 1


async def test_a_subject_without_a_job_is_named_be_its_neighbour_s_queued_or_running(
    pool: Pool, settings: Settings
) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def work(_job: RunningJob) -> None:
        begun.set()
        await finish.wait()

    await put(pool, "running")
    async with running(settings.database, work, kind=JobKind(KIND.entrypoint, 1, 5)):
        await asyncio.wait_for(begun.wait(), 30)
        await put(pool, "queued")
        async with pool.acquire() as connection, connection.transaction():
            await enqueue(connection, "another entrypoint", "lost 1")
            asked = ["lost 2", "queued", "running", "lost 1"]
            assert await subjects_without_job(connection, KIND.entrypoint, asked) == ["lost 2", "lost 1"]
        finish.set()


async def test_a_job_put_back_comes_again_with_its_attempts_counted(pool: Pool, settings: Settings) -> None:
    recorder = Recorder(failures=2)
    await put(pool, "again")
    async with running(settings.database, recorder):
        assert [(await recorder.next()).attempts for _ in range(3)] == [0, 1, 2]


async def test_no_text_of_an_exception_reaches_the_queues_tables(pool: Pool, settings: Settings) -> None:
    recorder = Recorder(failures=1, error=ValueError("6591234567"))
    await put(pool, "crashing")
    async with running(settings.database, recorder):
        await recorder.next()
        logged = None
        async with asyncio.timeout(10):
            while not logged:
                logged = await pool.fetchval(
                    "select string_agg(traceback::text, ' ') from pgqueuer_log where traceback is not null"
                )
    assert "internal error" in logged
    assert "6591234567" not in logged
    assert "ValueError" not in logged


async def test_the_higher_priority_goes_first_then_the_older(pool: Pool, settings: Settings) -> None:
    for subject_id, priority in (("a", 0), ("b", -1), ("c", -2), ("d", 0)):
        await put(pool, subject_id, priority=priority)
    recorder = Recorder()
    async with running(settings.database, recorder):
        order = [(await recorder.next()).subject_id for _ in range(4)]
    assert order == ["a", "d", "b", "c"]


async def test_one_at_a_time_is_one_at_a_time(pool: Pool, settings: Settings) -> None:
    at_once: list[int] = []
    running_now = 0
    done = asyncio.Semaphore(0)

    async def work(_job: RunningJob) -> None:
        nonlocal running_now
        running_now += 1
        at_once.append(running_now)
        # Long enough for the queue to take another one, were it to run it.
        await pool.execute("select pg_sleep(0.2)")
        running_now -= 1
        done.release()

    for subject_id in "abcd":
        await put(pool, subject_id)
    async with running(settings.database, work, kind=JobKind(KIND.entrypoint, 1, 5)):
        for _ in "abcd":
            await asyncio.wait_for(done.acquire(), 30)
    assert at_once == [1, 1, 1, 1]


async def test_a_dead_process_s_job_is_taken_over_without_waiting_for_its_heartbeat(
    pool: Pool, settings: Settings
) -> None:
    await put(pool, "left behind")
    # As a process leaves it that was killed: picked, just now, by a queue whose connection is gone.
    await pool.execute(
        "update pgqueuer set status = 'picked', queue_manager_id = gen_random_uuid(), heartbeat = now()"
    )
    recorder = Recorder()
    async with pool.acquire() as connection:
        assert await release_jobs_of_dead(connection) == 1
        assert await release_jobs_of_dead(connection) == 0
    patient = JobKind(KIND.entrypoint, KIND.concurrency, 100)
    async with running(settings.database, recorder, kind=patient), asyncio.timeout(60):
        assert (await recorder.next()).subject_id == "left behind"


async def test_a_living_process_keeps_its_jobs(pool: Pool, settings: Settings) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def work(_job: RunningJob) -> None:
        begun.set()
        await finish.wait()

    await put(pool, "under way")
    async with running(settings.database, work):
        await asyncio.wait_for(begun.wait(), 30)
        async with pool.acquire() as connection:
            assert await release_jobs_of_dead(connection) == 0
        finish.set()


async def test_a_restart_of_postgresql_stops_no_worker(own_postgres: PostgreSQLServer) -> None:
    database = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    recorder = Recorder()
    async with running(database, recorder):
        async with open_pool(database, name="test") as pool:
            await put(pool, "before")
            assert (await recorder.next()).subject_id == "before"
        await asyncio.to_thread(own_postgres.restart)
        async with open_pool(database, name="test") as pool:
            await put(pool, "after")
            while (await recorder.next()).subject_id != "after":
                pass


async def test_a_database_that_vanished_without_a_word_stops_no_worker(
    own_postgres: PostgreSQLServer,
) -> None:
    wire = Wire(own_postgres.port)
    recorder = Recorder()
    near = DatabaseSettings(url=SecretStr(own_postgres.tcp_url("postgres")))
    async with wire.laid(), open_pool(near, name="test") as pool:
        url = near.url.get_secret_value().replace(f":{own_postgres.port}/", f":{wire.port}/")
        async with running(DatabaseSettings(url=SecretStr(url)), recorder, answer_timeout=1):
            await put(pool, "before")
            assert (await recorder.next()).subject_id == "before"
            wire.lose_all()
            await put(pool, "after")
            while (await recorder.next()).subject_id != "after":
                pass
