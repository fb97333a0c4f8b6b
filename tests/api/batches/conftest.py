"""A worker beside the serving API, which judges what is sent there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from config.environment import Environment
from config.settings import Settings
from database.connections import Pool
from database.job_queue import run_jobs
from processing.awaited.job import AwaitedVerdictJob
from processing.job import verdict_limits
from processing.object_store import ObjectStore, open_store
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.terms import Rules
from tests.conftest import CAMPAIGN_TEMPLATE

MakeWorker = Callable[..., AbstractAsyncContextManager[None]]


@asynccontextmanager
async def working(settings: Settings, pool: Pool, store: ObjectStore) -> AsyncIterator[None]:
    """A worker's queue of awaited verdicts, until the end of the block; what it has begun is finished."""
    processes = VerdictProcesses(verdict_limits(settings.worker), 1)
    job = AwaitedVerdictJob(
        pool,
        store,
        settings.worker,
        lambda template: make_rules(template, settings.environment, settings.messages),
        processes,
    )
    stop, connected = asyncio.Event(), asyncio.Event()
    async with processes, asyncio.TaskGroup() as tasks:
        # On a busy machine a child takes long to get warm, and a sender waits 25 s at most.
        async with processes.turn() as judging:
            await judging.judge(Rules(CAMPAIGN_TEMPLATE, Environment.TEST))
        tasks.create_task(run_jobs(settings.database, job.kind(), job, stop=stop, connected=connected.set))
        try:
            await asyncio.wait_for(connected.wait(), 30)
            yield
        finally:
            stop.set()


@pytest.fixture
async def worker(settings: Settings, pool: Pool) -> AsyncIterator[None]:
    """A worker for the length of the test."""
    async with open_store(settings.s3) as store, working(settings, pool, store):
        yield
