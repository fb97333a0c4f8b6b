"""An API process's work in this loop, and a client that says exactly the bytes that a test wants said."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from api.server import serve_api
from config.settings import Settings
from database.connections import open_pool
from messages.callback_urls import callback_url
from messages.news import AttemptKey
from processing.object_store import open_store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.body)

    @property
    def shape_a(self) -> bool:
        """Whether the body is the error shape about a request, for this status."""
        return self.body.startswith(b'{"message":"') and self.body.endswith(
            b'","statusCode":%d}' % self.status
        )


@dataclass
class ServedAPI:
    """A serving API: where it listens, and the keys that its callbacks are signed with, newest first."""

    port: int
    keys: list[bytes] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"

    def path_of(self, key: AttemptKey, data_key: bytes | None = None) -> str:
        """The path of this attempt's callback address."""
        return callback_url("http://x", key, [data_key] if data_key else self.keys).removeprefix("http://x")

    async def call(self, key: AttemptKey, status: str, **fields: str) -> Answer:
        """A callback as Twilio makes it."""
        return await self.post(self.path_of(key), {"MessageSid": "SM1", "MessageStatus": status, **fields})

    async def post(self, path: str, fields: Mapping[str, str]) -> Answer:
        """POST a form."""
        body = urlencode(fields).encode()
        head = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        return await self.say(
            f"POST {path} HTTP/1.1\r\nHost: x\r\n{head}Connection: close\r\n\r\n".encode() + body
        )

    async def get(self, path: str, method: str = "GET", headers: str = "") -> Answer:
        """A request without a body."""
        return await self.say(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n".encode()
        )

    async def say(self, request: bytes) -> Answer:
        """Say these bytes on a connection of their own, and read to its end."""
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self.tls)
        try:
            writer.write(request)
            async with asyncio.timeout(30):
                return parse_answer(await reader.read())
        finally:
            writer.close()


def parse_answer(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return Answer(int(first.split(" ")[1]), headers, body)


@asynccontextmanager
async def serving(settings: Settings, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Serve with these settings on a free port of `host`; gives the port."""
    stop, ready = asyncio.Event(), asyncio.Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=1024) as listening:
        async with (
            open_pool(settings.database, name="api") as pool,
            open_store(settings.s3) as store,
            asyncio.TaskGroup() as tasks,
        ):
            served = tasks.create_task(serve_api(settings, [listening], pool, store, stop, ready.set))
            is_ready = tasks.create_task(ready.wait())
            await asyncio.wait({served, is_ready}, return_when=asyncio.FIRST_COMPLETED)
            if served.done():
                is_ready.cancel()
                await served
            try:
                yield listening.getsockname()[1]
            finally:
                stop.set()


async def until(true: Callable[[], bool]) -> None:
    """Wait until it is true, 20 s at most."""

    async def value() -> bool:
        return true()

    await until_awaited(value, expected=True)


async def until_awaited(ask: Callable[[], Awaitable[T]], expected: T) -> None:
    """Ask until the answer is this, 20 s at most."""
    for _ in range(200):
        if await ask() == expected:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within 20 s: {expected}")
