"""Composition root of a front process: what it opens, in order, the listening sockets last."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from config.sections import SFTPSettings
from config.settings import Settings
from database.connections import open_pool
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.parts import FRONT
from processing.intake import Intake, IntakeSettings
from processing.object_store import open_store
from processing.refusals import RefusalBudgets
from processing.verdicts.queueing import HourlyBudget
from sftpd.front import serve_front


async def front(
    settings: Settings, inherited: Inheritance, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Serve SFTP until `stop`, then drain. Raises ConfigError or KeysError where it can't start."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings.database, name="front"))
        store = await stack.enter_async_context(open_store(settings.s3))
        intake = Intake(pool, store, intake_settings(settings.sftp))
        await serve_front(settings, inherited.sockets, pool, intake, stop, ready)


def intake_settings(settings: SFTPSettings) -> IntakeSettings:
    """What the intake is told of the SFTP front's settings."""
    return IntakeSettings(
        acknowledge_timeout=settings.acknowledge_timeout,
        max_upload_bytes=settings.max_upload_bytes,
        refusal_budgets=RefusalBudgets(
            names_and_sizes=settings.max_not_csv_notifications,
            interrupted=settings.max_interrupted_notifications,
        ),
        verdict_budget=HourlyBudget(settings.max_bytes_per_hour, settings.max_rows_per_hour),
    )


def main() -> int:
    """The whole life of such a process, from its command line to its exit status (`begin`)."""
    return run_child(FRONT, front)
