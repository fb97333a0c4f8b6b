"""Writing to a client at the pace at which it reads; one that reads nothing is cut."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from web.deadlines import ANSWER_SECONDS


class Outflow:
    """What a connection's transport says of its buffer. `on_stuck` is called when ANSWER_SECONDS pass and none of it went out."""

    def __init__(self, on_stuck: Callable[[], None]) -> None:
        self._on_stuck: Final = on_stuck
        self._open: Final = asyncio.Event()
        self._open.set()
        self._watch: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Return when more may be written."""
        await self._open.wait()

    def pause(self, transport: asyncio.WriteTransport) -> None:
        """The buffer is full."""
        self._open.clear()
        self._look(transport, math.inf)

    def resume(self) -> None:
        """The buffer is empty enough again, or the connection is over."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._open.set()

    def _look(self, transport: asyncio.WriteTransport, before: float) -> None:
        size = transport.get_write_buffer_size()
        if size >= before:
            self._watch = None
            self._on_stuck()
            return
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(ANSWER_SECONDS, self._look, transport, size)
