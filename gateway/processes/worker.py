"""Composition root of a worker process: verdicts and notifications."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

from config.settings import Settings
from database.connections import open_pool
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.parts import Part
from notifications.mailer import SMTPMailer
from processing.object_store import open_store
from processing.worker import run_worker


async def worker(
    settings: Settings,
    inherited: Inheritance,  # noqa: ARG001 - a worker inherits no sockets
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Decide uploads and send e-mails until `stop`, then finish what is begun. Raises ConfigError where it can't start."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            open_pool(settings.database, name="worker", command_timeout=60)
        )
        store = await stack.enter_async_context(open_store(settings.s3))
        mailer = SMTPMailer(settings.smtp)
        await run_worker(settings, pool, store, mailer, stop=stop, ready=ready)


if __name__ == "__main__":
    sys.exit(run_child(Part.WORKER, worker))
