"""A TCP relay between a client and the gateway, which limits the rate, counts the bytes and can be cut."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from typing import Final

_CHUNK: Final = 64 * 1024
# How often a second a slow relay passes something on.
_TICKS: Final = 50
# The buffer is small, so that what a client takes for sent is not far ahead of what has passed.
_BUFFER: Final = 32 * 1024
_RESET: Final = struct.pack("ii", 1, 0)


class Relay:
    """Passes TCP connections on to a port of loopback. `rate`: bytes a second towards the gateway, None: any."""

    def __init__(self, target_port: int, rate: int | None = None) -> None:
        self.port = 0
        self.rate = rate
        self.moved = 0
        self._target = target_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._progress = asyncio.Condition()
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def open(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=_BUFFER)
        self.port = listening.getsockname()[1]

    async def reached(self, count: int) -> None:
        """Wait until `count` bytes have gone towards the gateway, over all connections."""
        async with self._progress:
            await self._progress.wait_for(lambda: self.moved >= count)

    def stall(self) -> None:
        """Pass nothing on any more, in either direction, and still take connections: a network that swallows packets."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass on again, also what has come meanwhile."""
        self._flowing.set()

    async def cut(self) -> None:
        """Reset every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            with contextlib.suppress(OSError):
                # Closed by its other end already.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        both = {writer}
        try:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
            both.add(onward)
            self._writers |= both
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass_up(reader, onward))
                directions.create_task(self._pass_down(onward_reader, writer))
        except* OSError:
            pass
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pass_up(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(max(1, self.rate // _TICKS) if self.rate else _CHUNK):
            await self._flowing.wait()
            onward.write(chunk)
            await onward.drain()
            async with self._progress:
                self.moved += len(chunk)
                self._progress.notify_all()
            if self.rate:
                await asyncio.sleep(len(chunk) / self.rate)
        onward.write_eof()

    async def _pass_down(self, onward_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await onward_reader.read(_CHUNK):
            await self._flowing.wait()
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


@contextlib.asynccontextmanager
async def open_relay(target_port: int, rate: int | None = None) -> AsyncIterator[Relay]:
    """A line to that port, cut at the end."""
    relay = Relay(target_port, rate)
    await relay.open()
    try:
        yield relay
    finally:
        await relay.cut()
