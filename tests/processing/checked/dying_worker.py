"""A process that runs the job of one upload of the console, once: a test has it killed at a fault point."""

import asyncio
import sys

from config.settings import load_settings
from database.connections import open_pool
from database.job_queue import RunningJob
from processing.checked.job import CheckJob
from processing.job import verdict_limits
from processing.object_store import open_store
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictProcesses


async def main(upload_id: str) -> None:
    settings = load_settings(None)
    async with (
        open_pool(settings.database, name="worker") as pool,
        open_store(settings.s3) as store,
        VerdictProcesses(verdict_limits(settings.worker), 1) as verdicts,
    ):
        job = CheckJob(
            pool, store, settings.worker,
            lambda template: make_rules(template, settings.environment, settings.messages), verdicts,
        )  # fmt: skip
        await job(RunningJob(upload_id, 0))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
