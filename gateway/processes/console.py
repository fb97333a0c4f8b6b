"""Composition root of a console process: what it opens, in order, the listening sockets last."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from config.settings import Settings
from console.server import serve_console
from database.connections import open_pool
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.parts import CONSOLE
from notifications.mailer import SMTPMailer
from processing.object_store import open_store


async def console(
    settings: Settings, inherited: Inheritance, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Serve the pages until `stop`, then drain. Raises ConfigError where it can't start."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings.database, name="console"))
        store = await stack.enter_async_context(open_store(settings.s3))
        await serve_console(settings, inherited.sockets, pool, store, SMTPMailer(settings.smtp), stop, ready)


def main() -> int:
    """The whole life of such a process, from its command line to its exit status (`begin`)."""
    return run_child(CONSOLE, console)
