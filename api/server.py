"""An API process: what it starts, in this order with the listening sockets last; a stop goes through it backwards."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from config.settings import Settings
from database.connections import Pool


async def serve_api(
    settings: Settings,
    listening: Sequence[socket.socket],
    pool: Pool,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve HTTP from sockets that listen already, until `stop`; then answer the requests that are there.

    `ready` is called when clients are let in. The sockets and the pool stay the caller's to close. Raises ConfigError.
    """
    _ = settings, listening, pool
    ready()
    await stop.wait()
