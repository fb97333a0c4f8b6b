"""Composition root of an API process: what it opens, in order, the listening sockets last."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import AsyncExitStack

from api.server import serve_api
from config.settings import Settings
from database.connections import open_pool
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.parts import API
from processing.object_store import open_store


async def api(
    settings: Settings, inherited: Inheritance, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Serve HTTP until `stop`, then drain. Raises ConfigError where it can't start."""

    def serve() -> None:
        # What was loaded by now stays until the end. Python's collector would look through all of it again and again, and hold up
        # the calls of that moment for a tenth of a second.
        gc.collect()
        gc.freeze()
        ready()

    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(open_pool(settings.database, name="api"))
        store = await stack.enter_async_context(open_store(settings.s3))
        await serve_api(settings, inherited.sockets, pool, store, stop, serve)


def main() -> int:
    """The whole life of such a process, from its command line to its exit status (`begin`)."""
    return run_child(API, api)
