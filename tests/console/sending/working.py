"""A worker beside the console that checks what is sent there, and makes its batches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.environment import Environment
from config.settings import Settings
from database.connections import Pool
from database.job_queue import run_jobs
from processing.checked.job import CheckJob
from processing.job import verdict_limits
from processing.object_store import open_store
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.terms import Rules
from tests.conftest import CAMPAIGN_TEMPLATE


@asynccontextmanager
async def working(settings: Settings, pool: Pool) -> AsyncIterator[None]:
    """A worker's queue of such files until the end of the block; what it has begun is finished."""
    processes = VerdictProcesses(verdict_limits(settings.worker), 1)
    stop, connected = asyncio.Event(), asyncio.Event()
    async with open_store(settings.s3) as store, processes, asyncio.TaskGroup() as tasks:
        job = CheckJob(
            pool, store, settings.worker,
            lambda template: make_rules(template, settings.environment, settings.messages), processes,
        )  # fmt: skip
        async with processes.turn() as judging:
            await judging.judge(Rules(CAMPAIGN_TEMPLATE, Environment.TEST))
        tasks.create_task(run_jobs(settings.database, job.kind(), job, stop=stop, connected=connected.set))
        try:
            await asyncio.wait_for(connected.wait(), 60)
            yield
        finally:
            stop.set()
