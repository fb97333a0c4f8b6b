"""A part that the gateway doesn't have: it answers every connection with its name. Its row, its process, and a node with it."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack

from config.settings import Settings, load_settings
from gateway.ops.dependencies import Dependency
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.node import run_node
from gateway.processes.parts import WORKER, Listening, Part

GREETING = b"made up\n"

MADE_UP = Part(
    name="made-up",
    module="tests.gateway.processes.made_up_part",
    processes=lambda settings: settings.sftp.processes,
    drain_seconds=lambda settings: settings.sftp.drain_timeout,
    dependencies=frozenset({Dependency.SPOOL}),
    listening=Listening("sftp", lambda settings: (settings.sftp.host, settings.sftp.port)),
    command="made-up",
    help="Only the made-up part.",
    example="Example: sftp-gateway made-up",
)


async def greet(
    _settings: Settings, inherited: Inheritance, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        await writer.drain()
        writer.close()

    async with AsyncExitStack() as stack:
        for listening in inherited.sockets:
            await stack.enter_async_context(await asyncio.start_server(answer, sock=listening))
        ready()
        await stop.wait()


def main() -> int:
    """The whole life of such a process."""
    return run_child(MADE_UP, greet)


if __name__ == "__main__":
    sys.exit(run_node(None, load_settings(None), [WORKER, MADE_UP]))
