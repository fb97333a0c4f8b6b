"""A worker that only lost its queue connection is taken for dead and goes on: two at one upload give it one outcome."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from config.settings import Settings
from database.connections import Pool
from database.job_queue import release_jobs_of_dead, run_jobs
from processing.intake import Intake
from processing.job import verdict_limits
from processing.object_store import ObjectStore, S3ObjectStore
from processing.verdict_process import VerdictProcesses
from tests.processing.conftest import BAD, GOOD, HoldingStore, MakeSpool, make_verdict_job


@asynccontextmanager
async def worker(pool: Pool, store: ObjectStore, settings: Settings) -> AsyncIterator[None]:
    """A worker's queue of verdicts, running until the end of the block; what it has begun is finished."""
    verdicts = VerdictProcesses(verdict_limits(settings.worker), 1)
    job = make_verdict_job(pool, store, settings, verdicts)
    stop, connected = asyncio.Event(), asyncio.Event()
    async with verdicts, asyncio.TaskGroup() as tasks:
        tasks.create_task(run_jobs(settings.database, job.kind(), job, stop=stop, connected=connected.set))
        await asyncio.wait_for(connected.wait(), 30)
        yield
        stop.set()


@pytest.mark.parametrize(
    ("data", "status"), [pytest.param(GOOD, "accepted", id="good"), pytest.param(BAD, "rejected", id="bad")]
)
async def test_an_upload_taken_over_from_a_worker_that_still_runs_has_one_outcome(
    data: bytes,
    status: str,
    pool: Pool,
    store: S3ObjectStore,
    settings: Settings,
    intake: Intake,
    make_spool: MakeSpool,
) -> None:
    await intake.store(make_spool(data))
    held = HoldingStore(store)
    async with asyncio.timeout(60), worker(pool, held, settings):
        await held.asked.wait()
        ended = await pool.fetchval(
            "select count(pg_terminate_backend(pid, 30000)) from pg_stat_activity"
            " where application_name like 'sftp-gateway queue %' and datname = current_database()"
        )
        assert ended == 1
        async with pool.acquire() as connection:
            assert await release_jobs_of_dead(connection) == 1
        async with worker(pool, store, settings):
            while not await pool.fetchval("select finished_at from uploads"):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.02)
            held.let_go.set()
    row = await pool.fetchrow("select status, outcome, attempts from uploads")
    assert row is not None
    assert tuple(row) == (status, 1, 2)
    assert await pool.fetchval("select count(*) from notifications") == 1
    assert await pool.fetchval("select count(*) from batches") == (status == "accepted")
    assert await pool.fetchval("select count(*) from messages") == 2 * (status == "accepted")
