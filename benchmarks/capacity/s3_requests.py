"""A way to the object store that passes everything on and counts the requests, by their method."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

_CHUNK = 256 * 1024


class RequestCounter:
    """Listens on loopback, before a server of HTTP/1.1 that listens there too. Bodies are as long as Content-Length says."""

    def __init__(self, target_port: int) -> None:
        self.requests: Counter[str] = Counter()
        self._target = target_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def endpoint_url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(_pass_on(onward_reader, writer))
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._pass_requests(reader, onward)
        except asyncio.CancelledError:
            # Asked for by `close`; asyncio's stream server would log it.
            pass
        finally:
            answers.cancel()
            self._connections.discard(task)
            writer.transport.abort()
            onward.transport.abort()

    async def _pass_requests(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests[head.partition(b" ")[0].decode()] += 1
            onward.write(head)
            left = _length(head)
            while left:
                chunk = await reader.read(min(left, _CHUNK))
                if not chunk:
                    return
                left -= len(chunk)
                onward.write(chunk)
                await onward.drain()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the server ends the connection, which the client is told then."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def counting_requests(target_port: int) -> AsyncIterator[RequestCounter]:
    """A counter before that port of loopback, closed at the end."""
    counter = RequestCounter(target_port)
    await counter.open()
    try:
        yield counter
    finally:
        await counter.close()
