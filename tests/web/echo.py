"""A server of this room's own, without a database: an application that says what it was asked, and notes it."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import uvicorn
from starlette.types import Message, Receive, Scope, Send

from config.addresses import Network
from tests.api.served import Answer, parse_answer, until
from web.deadlines import allow_long_body
from web.gate import Gate
from web.listener import Listener
from web.pacing import Pacer
from web.protocol import GuardedHTTP


@dataclass
class Echo:
    """Where it listens, and what reached the application: method, path and body of each request."""

    port: int = 0
    host: str = "127.0.0.1"
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    # The events that requests to /wait were told of, in their order.
    told: list[str] = field(default_factory=list)
    # Bytes that requests to /slow have taken.
    taken: int = 0
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    # For how long answers of /held are held back, and how many were.
    held_seconds: float = 0.3
    held: int = 0
    pacer: Pacer = field(default_factory=Pacer)
    tls: ssl.SSLContext | None = None
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    live: set[GuardedHTTP] = field(default_factory=set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        match scope["path"]:
            case "/refuse":
                await answer(send, b"refused", 413)
            case "/close":
                await answer(send, b"refused", 413, close=True)
            case "/held":
                scope["state"]["answer_after"] = self.held_seconds
                if scope["query_string"] != b"unread":
                    await read_body(receive)
                await answer(send, b"held", 402)
                self.held += 1
            case "/wait":
                await self._wait(receive)
                await answer(send, b"waited")
            case "/slow":
                allow_long_body(scope)
                self.told.append("begun")
                await self._take_slowly(receive)
                await answer(send, b"%d" % self.taken)
            case "/crash":
                raise ValueError("secretword")
            case "/stream":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for piece in (b"one", b"two"):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            case "/large":
                await answer(send, b"x" * 8_000_000)
            case _:
                body, is_whole = await read_body(receive)
                if not is_whole:
                    await answer(send, b"cut off", 400)
                    return
                self.seen.append((scope["method"], scope["path"], body))
                told = {"method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(),
                        "address": str(scope["state"]["address"]), "length": len(body)}  # fmt: skip
                await answer(send, json.dumps(told).encode())

    async def _wait(self, receive: Receive) -> None:
        self.told.append("begun")
        await self.goes_on.wait()
        while True:
            message = await receive()
            self.told.append(message["type"])
            if message["type"] == "http.disconnect":
                return

    async def _take_slowly(self, receive: Receive) -> None:
        await self.goes_on.wait()
        while True:
            message = await receive()
            self.taken += len(message.get("body", b""))
            if not message.get("more_body"):
                return

    async def say(self, request: bytes) -> Answer:
        """Say these bytes on a connection of their own, and read to its end."""
        return (await self.say_all(request))[0]

    async def say_all(self, request: bytes) -> list[Answer]:
        """The same; all answers that came."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            async with asyncio.timeout(30):
                return parse_answers(await reader.read())
        finally:
            writer.close()

    async def connections(self, count: int) -> list[GuardedHTTP]:
        """The server's ends, when there are as many."""
        await until(lambda: len(self.live) == count)
        return list(self.live)

    async def connect(self, *, source: str = "") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection, which is closed at the end; from the address `source` of this machine, if that is given."""
        reader, writer = await asyncio.open_connection(
            self.host, self.port, ssl=self.tls,
            server_hostname="localhost" if self.tls else None,
            local_addr=(source, 0) if source else None,
        )  # fmt: skip
        self.writers.append(writer)
        return reader, writer


async def push_until_cut(writer: asyncio.StreamWriter, data: bytes, pause: float) -> int:
    """Send this again and again until the connection is over; how often it went. Fails where that takes half a minute."""
    times = 0
    async with asyncio.timeout(30):
        while await push(writer, data):
            times += 1
            await asyncio.sleep(pause)
    return times


async def push(writer: asyncio.StreamWriter, data: bytes) -> bool:
    """Send this; whether the connection still stands, as far as this end knows."""
    if writer.transport.is_closing():
        return False
    with contextlib.suppress(OSError, RuntimeError):
        writer.write(data)
        await writer.drain()
        return True
    return False


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """What still comes; nothing of a connection that is reset."""
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


async def read_body(receive: Receive) -> tuple[bytes, bool]:
    """The body, and whether it is whole."""
    body = b""
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            return body, False
        body += message["body"]
        if not message["more_body"]:
            return body, True


async def answer(send: Send, body: bytes, status: int = 200, *, close: bool = False) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def parse_answers(received: bytes) -> list[Answer]:
    """All answers in these bytes, each with a Content-Length."""
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        whole = parse_answer(head + b"\r\n\r\n")
        length = int(whole.headers.get("content-length", "0"))
        answers.append(Answer(whole.status, whole.headers, rest[:length]))
        received = rest[length:]
    return answers


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """One answer, of a connection that goes on."""
    async with asyncio.timeout(30):
        whole = parse_answer(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(whole.headers.get("content-length", "0")))
        return Answer(whole.status, whole.headers, body)


@asynccontextmanager
async def serving_echo(
    proxies: Sequence[Network] = (),
    tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    *,
    host: str = "127.0.0.1",
    keep_alive: int = 30,
) -> AsyncIterator[Echo]:
    """Serve on a free port."""
    served = Echo(tls=client_tls)
    config = uvicorn.Config(
        Gate(served, proxies, served.pacer),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=keep_alive,
    )
    config.load()
    server = uvicorn.Server(config)
    served.live = cast(set[GuardedHTTP], server.server_state.connections)
    with socket.create_server((host, 0), backlog=1024) as listening:
        served.port = listening.getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            listener = Listener(
                lambda events, peer, source: GuardedHTTP(config, server.server_state, events, peer, source),
                tls, proxies, tasks, served.pacer,
            )  # fmt: skip
            listener.open([listening])
            try:
                yield served
            finally:
                for writer in served.writers:
                    writer.close()
                listener.close()
                for connection in list(server.server_state.connections):
                    connection.shutdown()
                    if connection.transport is not None:
                        connection.transport.abort()
                for task in list(server.server_state.tasks):
                    task.cancel()
