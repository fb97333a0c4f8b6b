"""A reader of server-sent events, as a browser's EventSource is one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.console.served import Browser


@dataclass
class Event:
    """One event. A comment has the kind `comment`, and what sets the time to wait the kind `retry`."""

    kind: str
    data: str = ""
    id: str = ""


@dataclass
class Events:
    """Events of a stream, one after the other."""

    pieces: AsyncIterator[bytes]
    head: str = ""
    _ready: list[Event] = field(default_factory=list)
    _rest: str = ""

    async def next(self, kind: str, timeout: float = 20) -> Event:
        """The next event of that kind; what comes before it is passed over."""
        async with asyncio.timeout(timeout):
            while True:
                while self._ready:
                    if (event := self._ready.pop(0)).kind == kind:
                        return event
                await self._read()

    async def rows_with(self, text: str) -> Event:
        """The next event of rows that has this text in it."""
        while text not in (event := await self.next("rows")).data:
            pass
        return event

    async def end(self, timeout: float = 20) -> None:
        """Read until the stream ends."""
        async with asyncio.timeout(timeout):
            while await self._read(may_end=True):
                pass

    async def _read(self, *, may_end: bool = False) -> bool:
        try:
            piece = await anext(self.pieces)
        except StopAsyncIteration:
            assert may_end, "the stream has ended"
            return False
        *events, self._rest = (self._rest + piece.decode()).split("\n\n")
        self._ready += [_event_of(text) for text in events]
        return True


def _event_of(text: str) -> Event:
    event, lines = Event("comment"), []
    for line in text.split("\n"):
        name, _, value = line.partition(": ")
        match name:
            case "event":
                event.kind = value
            case "data":
                lines.append(value)
            case "id":
                event.id = value
            case "retry":
                event = Event("retry", value)
            case _:
                pass
    event.data = event.data or "\n".join(lines)
    return event


@asynccontextmanager
async def streaming(
    browser: Browser, path: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Events]:
    """Ask for a stream, and read it until the caller has seen enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.port)
    try:
        given = {"Host": f"127.0.0.1:{browser.port}", "Accept": "text/event-stream", **(headers or {})}
        given["Cookie"] = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        async with asyncio.timeout(20):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        yield Events(_chunks(reader), head)
    finally:
        writer.close()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int(await reader.readline() or b"0", 16):
        yield await reader.readexactly(size)
        await reader.readline()
