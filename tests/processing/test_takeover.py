"""A worker that only lost its queue connection is taken for dead and goes on: two at one upload give it one outcome."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from config.settings import Settings
from database.connections import Pool
from database.held_jobs import fetch_held, give_up_held, requeue
from database.job_queue import RunningJob, release_jobs_of_dead, run_jobs
from processing.intake import Intake
from processing.job import verdict_limits
from processing.object_store import ObjectStore, S3ObjectStore
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import ENTRYPOINT, VERDICT_ENTRYPOINTS, sweep_uploads
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


@pytest.mark.parametrize("is_decided", [False, True], ids=["before the outcome", "after the outcome"])
@pytest.mark.parametrize("is_seen_to", [True, False], ids=["retried", "given up"])
async def test_an_upload_whose_job_is_held_gets_one_outcome_in_the_end(
    is_decided: bool,
    is_seen_to: bool,
    pool: Pool,
    store: S3ObjectStore,
    settings: Settings,
    intake: Intake,
    make_spool: MakeSpool,
) -> None:
    spool = make_spool(GOOD)
    await intake.store(spool)
    is_mended = asyncio.Event()
    async with VerdictProcesses(verdict_limits(settings.worker), 1) as verdicts:
        judge = make_verdict_job(pool, store, settings, verdicts)

        async def crash_until_mended(job: RunningJob) -> None:
            if is_mended.is_set() or is_decided:
                await judge(job)
            if not is_mended.is_set():
                raise AssertionError("a bug")

        stop = asyncio.Event()
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            tasks.create_task(
                run_jobs(
                    settings.database, judge.kind(), crash_until_mended, stop=stop, connected=lambda: None, most_crashes=1
                )
            )  # fmt: skip
            async with pool.acquire() as connection:
                while not (held := await fetch_held(connection, VERDICT_ENTRYPOINTS, spool.upload_id)):  # noqa: ASYNC110 - as below
                    await asyncio.sleep(0.02)
                # The sweep knows that it is held.
                async with connection.transaction():
                    assert await sweep_uploads(connection, timedelta(0)) == 0
                    is_mended.set()
                    if is_seen_to:
                        assert await requeue(connection, held.id) is not None
                    else:
                        assert await give_up_held(connection, VERDICT_ENTRYPOINTS, timedelta(0)) == [held]
            while await pool.fetchval("select count(*) from pgqueuer where entrypoint = $1", ENTRYPOINT):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.02)
            stop.set()
    status = "accepted" if is_decided or is_seen_to else "failed"
    assert [tuple(row) for row in await pool.fetch("select status, outcome from uploads")] == [(status, 1)]
    assert await pool.fetchval("select count(*) from notifications") == 1
    assert await pool.fetchval("select count(*) from batches") == (status == "accepted")
