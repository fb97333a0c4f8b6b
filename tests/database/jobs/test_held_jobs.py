"""Jobs that crash again and again: counted however they crash, held, and run again only when somebody says so."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from config.settings import Settings
from database.connections import Pool
from database.held_jobs import HeldJob, fetch_held, give_up_held, is_on_queue, list_held, requeue
from database.job_queue import (
    JobKind,
    RunningJob,
    enqueue,
    release_jobs_of_dead,
    run_jobs,
    subjects_without_job,
)

KIND = JobKind("probe", 2, 100)
# Takes one job, and dies of it as a process does that the kernel kills.
KILLED_BY_ITS_JOB = """
import asyncio, os, signal, sys
from pydantic import SecretStr
from config.sections import DatabaseSettings
from database.job_queue import JobKind, run_jobs

async def handler(job):
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(run_jobs(
    DatabaseSettings(url=SecretStr(sys.argv[1])), JobKind("probe", 2, 100), handler, stop=asyncio.Event(),
    connected=lambda: None, most_crashes=2,
))
"""


@asynccontextmanager
async def running(
    settings: Settings, handler: Callable[[RunningJob], Awaitable[None]], most_crashes: int = 2
) -> AsyncIterator[None]:
    stop, connected = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            run_jobs(
                settings.database,
                KIND,
                handler,
                stop=stop,
                connected=connected.set,
                most_crashes=most_crashes,
            )
        )
        await asyncio.wait_for(connected.wait(), 30)
        try:
            yield
        finally:
            stop.set()


async def put(pool: Pool, subject_id: str) -> int:
    async with pool.acquire() as connection, connection.transaction():
        await enqueue(connection, KIND.entrypoint, subject_id)
    job_id: int = await pool.fetchval("select max(id) from pgqueuer")
    return job_id


async def held(pool: Pool) -> list[HeldJob]:
    async with pool.acquire() as connection:
        return await list_held(connection, limit=10)


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Ask until the answer is true; TimeoutError after 60 s."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - it happens inside PostgreSQL, which tells nobody
            await asyncio.sleep(0.05)


async def until_held(pool: Pool) -> HeldJob:
    async def is_held() -> bool:
        # What was put back for later needs not be waited for.
        await pool.execute("update pgqueuer set execute_after = now() where status = 'queued'")
        return bool(await held(pool))

    await until(is_held)
    (job,) = await held(pool)
    return job


async def test_a_job_whose_handler_crashes_is_held_and_runs_again_when_it_is_requeued(
    pool: Pool, settings: Settings
) -> None:
    runs: list[str] = []
    is_mended = False
    done = asyncio.Event()

    async def crash(job: RunningJob) -> None:
        runs.append(job.subject_id)
        if not is_mended:
            raise ValueError("6591234567")
        done.set()

    job_id = await put(pool, "s1")
    async with running(settings, crash):
        job = await until_held(pool)
        assert (job.id, job.entrypoint, job.subject_id, job.crashes) == (job_id, "probe", "s1", 2)
        assert runs == ["s1", "s1"]
        async with pool.acquire() as connection:
            assert await fetch_held(connection, ["other", "probe"], "s1") == job
            assert await fetch_held(connection, ["other"], "s1") is None
            # No sweeper gives it another job.
            assert await subjects_without_job(connection, "probe", ["s1", "s2"]) == ["s2"]
            assert not await is_on_queue(connection, job_id)
            is_mended = True
            async with connection.transaction():
                assert await requeue(connection, job_id) == job
                assert await is_on_queue(connection, job_id)
                assert await requeue(connection, job_id) is None
        await asyncio.wait_for(done.wait(), 30)
        await until(lambda: pool.fetchval("select count(*) = 0 from pgqueuer"))
    assert runs == ["s1"] * 3


async def test_a_job_that_kills_its_worker_each_time_is_held(
    pool: Pool, settings: Settings, database_url: str
) -> None:
    job_id = await put(pool, "poison")
    for _ in range(2):
        killed = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", KILLED_BY_ITS_JOB, database_url], timeout=60, check=False
        )
        assert killed.returncode == -signal.SIGKILL
        async with pool.acquire() as connection:
            # PostgreSQL ends a killed process's connections a moment later.
            await until(partial(release_jobs_of_dead, connection))

    async def survive(_job: RunningJob) -> None:
        raise AssertionError("a job that is held was run")

    async with running(settings, survive):
        job = await until_held(pool)
        assert (job.id, job.subject_id, job.crashes) == (job_id, "poison", 2)


async def test_a_queue_that_is_cut_off_from_the_database_counts_no_crash(
    pool: Pool, settings: Settings
) -> None:
    runs: asyncio.Queue[RunningJob] = asyncio.Queue()

    async def work(job: RunningJob) -> None:
        await runs.put(job)
        if runs.qsize() < 4:
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'sftp-gateway queue %' and datname = current_database()"
            )

    job_id = await put(pool, "cut off")
    async with running(settings, work), asyncio.timeout(60):
        while runs.qsize() < 4:
            assert await held(pool) == []
            await asyncio.sleep(0.05)
        while await pool.fetchval("select count(*) from pgqueuer where id = $1", job_id):
            assert not await pool.fetchval("select headers ? 'crashes' from pgqueuer where id = $1", job_id)
            await asyncio.sleep(0.05)


async def test_what_is_held_for_long_runs_once_more_to_be_given_up(pool: Pool, settings: Settings) -> None:
    given_up: list[bool] = []
    done = asyncio.Event()

    async def crash(job: RunningJob) -> None:
        given_up.append(job.is_given_up)
        if not job.is_given_up:
            raise ValueError
        done.set()

    job_id = await put(pool, "s1")
    async with running(settings, crash, most_crashes=1):
        await until_held(pool)
        async with pool.acquire() as connection, connection.transaction():
            assert await give_up_held(connection, ["probe"], timedelta(hours=1)) == []
            assert await give_up_held(connection, ["other"], timedelta(0)) == []
            assert [job.id for job in await give_up_held(connection, ["probe"], timedelta(0))] == [job_id]
        await asyncio.wait_for(done.wait(), 30)
    assert given_up == [False, True]


async def test_a_held_job_whose_subject_has_another_one_is_forgotten_for_it(pool: Pool) -> None:
    first = await put(pool, "s1")
    await pool.execute("update pgqueuer set status = 'failed'")
    second = await put(pool, "s1")
    async with pool.acquire() as connection, connection.transaction():
        assert await requeue(connection, first) is not None
    assert [row["id"] for row in await pool.fetch("select id from pgqueuer")] == [second]
