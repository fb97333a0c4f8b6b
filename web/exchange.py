"""One request and its answer, as an ASGI application sees them.

uvicorn's own is not used: it tells `http.disconnect` as soon as a client hangs up, though a whole body may be here unread. Ours
gives the body first. A client that hangs up is told to the application only after it.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Message

from config.logs import get_logger
from web.answers import error_body, status_line
from web.heads import Head

logger = get_logger("api")

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNFIT_NAME: Final = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_UNFIT_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS: Final = frozenset({204, 304})


class Line(Protocol):
    """The connection that an exchange is on."""

    def ask_for_body(self) -> None:
        """The application waits for more of the body."""

    def can_go_on(self) -> bool:
        """Whether another request may follow this one, whose answer begins now."""

    async def write(self, written: bytes) -> None:
        """Write a part of the answer, as soon as the client takes it."""

    def finish(self, written: bytes, *, close: bool, seconds: float) -> None:
        """Write the last part of the answer, after so many seconds; then close the connection, or go on."""

    def abort(self) -> None:
        """Cut the connection: the answer can't be ended as it was begun."""


class Exchange:
    """Gives an application `receive` and `send`; the connection gives it the body."""

    def __init__(
        self, line: Line, head: Head, scope: dict[str, Any], headers: Sequence[tuple[bytes, bytes]]
    ) -> None:
        self._line: Final = line
        self._head: Final = head
        self._scope: Final = scope
        self._headers: Final = headers
        self._news = asyncio.Event()
        # The body: what the application hasn't taken; whether all of it is here, or was taken; whether the client is gone.
        self._pieces: list[bytes] = []
        self.untaken = 0
        self._is_whole = False
        self._is_taken = False
        self._is_gone = False
        self.awaits_continue = head.expects_continue
        # The answer: what is to be written before its next part; bytes that its Content-Length leaves; whether it is in chunks.
        self._begun: bytes | None = None
        self._length_left: int | None = None
        self._ends_without_length = False
        self._is_chunked = False
        self._closes = False
        self._is_written = False
        self.is_answered = False

    def take(self, piece: bytes) -> None:
        """A part of the body has come."""
        self.awaits_continue = False
        if not self.is_answered:
            self._pieces.append(piece)
            self.untaken += len(piece)
            self._news.set()

    def take_end(self) -> None:
        """The whole body has come."""
        self.awaits_continue = False
        self._is_whole = True
        self._news.set()

    def hang_up(self) -> None:
        """The client is gone, or sends no more of what it began."""
        self._is_gone = True
        self._news.set()

    async def run(self, app: ASGIApp) -> None:
        """Let the application answer."""
        request_id = self._scope["state"].get("request_id")
        try:
            await app(self._scope, self.receive, self.send)
            if not self.is_answered and not self._is_gone:
                logger.error("answer_missing", request_id=request_id)
        except asyncio.CancelledError:
            self._line.abort()
            raise
        except Exception:  # the client gets an answer all the same
            logger.exception("answer_crashed", request_id=request_id)
        if self.is_answered:
            return
        if self._is_written or self._is_gone:
            self._line.abort()
            return
        body = error_body(500)
        self._begin(500, [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))])
        await self._go_on(body, is_last=True)

    async def receive(self) -> Message:
        """See ASGI."""
        while not self.is_answered:
            if self._pieces or (self._is_whole and not self._is_taken):
                self._is_taken = self._is_whole
                body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
                self._pieces.clear()
                self.untaken = 0
                return {"type": "http.request", "body": body, "more_body": not self._is_whole}
            if self._is_gone:
                break
            if self.awaits_continue:
                self.awaits_continue = False
                await self._line.write(_CONTINUE)
                # Meanwhile the body may have come, or the client gone.
                continue
            self._news.clear()
            self._line.ask_for_body()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """See ASGI."""
        match message["type"]:
            case "http.response.start" if self._begun is None and not self.is_answered:
                self._begin(message["status"], list(message.get("headers", ())))
            case "http.response.body" if self._begun is not None and not self.is_answered:
                await self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))
            case _:
                raise RuntimeError("an answer has a start, and then its body")

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._length_left = None
        self._closes = not self._head.keeps_alive or not self._line.can_go_on()
        lines = [status_line(status)]
        for name, value in (*self._headers, *headers):
            if _UNFIT_NAME.search(name) or _UNFIT_VALUE.search(value):
                raise RuntimeError("a header has characters that end a line, or mean something else")
            if name == b"content-length":
                self._length_left = int(value)
            elif name == b"connection":
                self._closes = self._closes or value.lower() == b"close"
                continue
            lines += (name, b": ", value, b"\r\n")
        self._ends_without_length = (
            self._length_left is None and self._head.method != "HEAD" and status not in _BODILESS
        )
        self._begun = b"".join(lines)

    async def _go_on(self, body: bytes, *, is_last: bool) -> None:
        """Write this part of the body, and before it what wasn't written of the head."""
        assert self._begun is not None  # noqa: S101 - send has looked
        parts: list[bytes] = []
        if not self._is_written:
            self._is_written = True
            parts.append(self._begun)
            if self._ends_without_length:
                if is_last:
                    parts.append(b"content-length: %d\r\n" % len(body))
                    self._length_left = len(body)
                elif self._head.is_1_0:
                    self._closes = True
                else:
                    parts.append(b"transfer-encoding: chunked\r\n")
                    self._is_chunked = True
            parts.append(b"connection: close\r\n\r\n" if self._closes else b"\r\n")
        if self._head.method == "HEAD":
            self._length_left = None
        elif self._is_chunked:
            parts += (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            parts += (b"0\r\n\r\n",) if is_last else ()
        else:
            self._count(len(body), is_last=is_last)
            parts.append(body)
        written = b"".join(parts)
        if not is_last:
            await self._line.write(written)
            return
        self.is_answered = True
        self._pieces.clear()
        self.untaken = 0
        self._news.set()
        seconds: float = self._scope["state"].get("answer_after", 0.0)
        self._line.finish(written, close=self._closes, seconds=seconds)

    def _count(self, written: int, *, is_last: bool) -> None:
        if self._length_left is None:
            return
        self._length_left -= written
        if self._length_left < 0 or (is_last and self._length_left):
            raise RuntimeError("the body hasn't the length that was announced")
