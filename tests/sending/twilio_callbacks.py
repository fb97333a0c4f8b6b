"""How the local Twilio server calls back: over kept connections, with the retries that the address's fragment asks for."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

_CONNECTIONS: Final = 16
_MOST_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Callback:
    """One callback, to be answered by a status 2xx."""

    url: SplitResult
    body: bytes


class Callbacks:
    """Sends callbacks, several at once, in the order of their making as far as that goes. `answers` counts what came back."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self._waiting: asyncio.Queue[Callback] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Callbacks that no connection has taken up."""
        return self._waiting.qsize()

    def send(self, url: str, fields: Mapping[str, str]) -> None:
        """Call back, soon."""
        self._waiting.put_nowait(Callback(urlsplit(url), urlencode(fields).encode()))
        if len(self._tasks) < _CONNECTIONS:
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def drop(self) -> None:
        """Send no more of those that wait."""
        while not self._waiting.empty():
            self._waiting.get_nowait()

    async def _work(self) -> None:
        connection: Connection | None = None
        while not self._waiting.empty():
            callback = self._waiting.get_nowait()
            options = dict(parse_qsl(callback.url.fragment))
            tries = 1 + int(options.get("rc", "1"))
            for _ in range(tries):
                if connection is None or connection.origin != callback.url[:2]:
                    connection = Connection(callback.url[:2])
                try:
                    async with asyncio.timeout(min(float(options.get("rt", "15000")) / 1000, _MOST_SECONDS)):
                        status = await connection.post(callback)
                except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as error:
                    connection.close()
                    connection = None
                    self.answers[type(error).__name__] += 1
                    await asyncio.sleep(0.1)
                    continue
                self.answers[str(status)] += 1
                if 200 <= status < 300:
                    break
        if connection is not None:
            connection.close()


class Connection:
    """A kept connection to one origin."""

    def __init__(self, origin: tuple[str, str]) -> None:
        self.origin = origin
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, callback: Callback) -> int:
        """The status of the answer. Raises OSError, IncompleteReadError."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await self._open(callback.url)
        url = callback.url
        self._writer.write(
            f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nUser-Agent: TwilioProxy/1.1\r\n"
            "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
            f"Content-Length: {len(callback.body)}\r\n\r\n".encode()
            + callback.body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length:")[2].partition("\r\n")[0].strip()
        await self._reader.readexactly(int(length or 0))
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1])

    async def _open(self, url: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = None
        if url.scheme == "https":
            # The certificates of tests are made for them.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        port = url.port or (443 if context else 80)
        return await asyncio.open_connection(url.hostname, port, ssl=context)

    def close(self) -> None:
        """Let go of it."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
