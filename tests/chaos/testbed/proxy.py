"""TCP proxies that misbehave on demand, as a network and a busy bucket or database do to a gateway."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from enum import Enum, auto
from typing import Final

_CHUNK: Final = 16 * 1024
# Bytes a second of the slow mode: 10 KB take a second, and 100 KB take longer than the 10 s that a CLOSE waits.
SLOW: Final = 10_000
_ERROR: Final = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>"


class ProxyMode(Enum):
    """How the proxy behaves towards the service's clients. A change of the mode cuts all connections."""

    PASSING = auto()
    AWAY = auto()  # refuses connections
    BUSY = auto()  # HTTP 503 SlowDown to each request
    FORBIDDING = auto()  # HTTP 403 AccessDenied to each request
    SLOW = auto()  # passes requests and answers on at SLOW bytes a second
    CUTTING_REQUESTS = auto()  # cuts the connection when half of a request has passed
    CUTTING_ANSWERS = auto()  # cuts it when the request and half of its answer have passed
    HANGING = auto()  # reads everything and never answers


_ANSWERS: Final = {
    ProxyMode.BUSY: (b"503 Slow Down", b"SlowDown"),
    ProxyMode.FORBIDDING: (b"403 Forbidden", b"AccessDenied"),
}


class Proxy:
    """Listens on loopback; `port` stays the same whatever the mode."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.mode = ProxyMode.PASSING
        self.troubles = 0
        """How many connections a mode other than PASSING has met."""
        self._target = target_port
        # How many more connections meet the mode before all pass again; None: every one.
        self._left: int | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def become(self, mode: ProxyMode, *, connections: int | None = None) -> None:
        """Change the mode, for all connections from now on or for the next `connections` only."""
        await self.close()
        self.mode, self._left = mode, connections
        if mode is not ProxyMode.AWAY:
            await self.open()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer, self._mode_of_next())
        except asyncio.CancelledError:
            # Asked for by `close`; asyncio's stream server would log it.
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    def _mode_of_next(self) -> ProxyMode:
        if self.mode is ProxyMode.PASSING or self._left == 0:
            return ProxyMode.PASSING
        if self._left is not None:
            self._left -= 1
        self.troubles += 1
        return self.mode

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: ProxyMode
    ) -> None:
        if mode in _ANSWERS:
            await _answer_all(reader, writer, *_ANSWERS[mode])
        elif mode is ProxyMode.HANGING:
            while await reader.read(_CHUNK):
                pass
        else:
            onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as both:
                    answers = both.create_task(_pass_answers(onward_reader, writer, mode))
                    both.create_task(_pass_requests(reader, onward, mode, answers))
            except* OSError:
                pass
            finally:
                onward.transport.abort()


async def _answer_all(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: bytes, code: bytes
) -> None:
    body = _ERROR % code
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length, expects = _length(head), b"100-continue" in head.lower()
        if not expects:
            await reader.readexactly(length)
        writer.write(
            b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (status, len(body), body)
        )
        await writer.drain()
        if expects:
            return


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _pass_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: ProxyMode) -> None:
    match mode:
        case ProxyMode.CUTTING_ANSWERS:
            while (head := await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100"):
                writer.write(head)
            # An answer without a body is not passed at all, since half of its head would be enough to understand it.
            if half := await reader.readexactly(_length(head) // 2):
                writer.write(head + half)
                await writer.drain()
            writer.close()
        case ProxyMode.SLOW:
            await _pass_slowly(reader, writer)
        case _:
            await _pass(reader, writer)


async def _pass_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(SLOW // 20):
        await asyncio.sleep(len(chunk) / SLOW)
        writer.write(chunk)
        await writer.drain()


async def _pass_requests(
    reader: asyncio.StreamReader, onward: asyncio.StreamWriter, mode: ProxyMode, answers: "asyncio.Task[None]"
) -> None:
    match mode:
        case ProxyMode.CUTTING_REQUESTS:
            head = await reader.readuntil(b"\r\n\r\n")
            if _length(head) == 0:
                # A GET has no body, so the first half of its head is passed.
                onward.write(head[: len(head) // 2])
            else:
                onward.write(head)
                onward.write(await reader.readexactly(_length(head) // 2))
            await onward.drain()
            answers.cancel()
            return
        case ProxyMode.SLOW:
            await _pass_slowly(reader, onward)
        case _:
            await _pass(reader, onward)
    answers.cancel()


class CommitCutter:
    """A proxy in front of PostgreSQL that passes a COMMIT on and then cuts, so that the client can't know whether it was done.

    `cut` counts how often it did. `marker`: what a chunk holds that commits, such as a value of a statement of its own. While it
    is `away`, it turns new connections away, and counts them.
    """

    def __init__(self, target_port: int, marker: bytes = b"COMMIT;") -> None:
        self.port = 0
        self.armed = False
        self.cut = 0
        self.away = False
        self.turned_away = 0
        self._target = target_port
        self._marker = marker
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            self.turned_away += 1
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        onward_reader, onward = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(_pass(onward_reader, writer))
        try:
            while chunk := await reader.read(_CHUNK):
                if self.armed and self._marker in chunk:
                    # The client hears nothing any more, and the server commits.
                    answers.cancel()
                    await asyncio.gather(answers, return_exceptions=True)
                    onward.write(chunk)
                    await onward.drain()
                    # The server answers when the transaction is committed.
                    await onward_reader.read(_CHUNK)
                    self.cut += 1
                    return
                onward.write(chunk)
                await onward.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            self._connections.discard(task)
            writer.transport.abort()
            onward.transport.abort()


@contextlib.asynccontextmanager
async def open_commit_cutter(target_port: int, marker: bytes = b"COMMIT;") -> AsyncIterator[CommitCutter]:
    """A proxy to PostgreSQL at that port of loopback, closed at the end. It passes everything until it is armed."""
    cutter = CommitCutter(target_port, marker)
    await cutter.open()
    try:
        yield cutter
    finally:
        await cutter.close()


@contextlib.asynccontextmanager
async def open_proxy(target_port: int) -> AsyncIterator[Proxy]:
    """A proxy that passes everything on to that port of loopback, closed at the end."""
    proxy = Proxy(target_port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
