"""HTTP/1.1 for strangers: whoever says half a request, or too long a one, holds nothing for long.

A connection has one request at a time; what a client sends ahead waits, unread. Heads are read by `web.heads`, bodies divided by
`web.bodies`. uvicorn's own protocol is not used: it begins requests that are sent ahead, and closes a connection whose client
still sends, which makes the kernel throw the answer away.
"""

import asyncio
from enum import Enum, auto
from typing import Any, Final, cast

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from config.addresses import Address
from web import metrics
from web.answers import raw_error
from web.bodies import Body, body_of
from web.deadlines import (
    LINGER_QUIET_SECONDS,
    LINGER_SECONDS,
    LONG_BODY_SECONDS,
    QUIET_SECONDS,
    REQUEST_SECONDS,
    Deadline,
    Outflow,
)
from web.events import Events
from web.exchange import Exchange
from web.heads import Head, RequestMalformed, check_beginning, parse_head

# Bytes that a connection holds of a body that the application doesn't take, or of requests sent ahead, before it reads no more.
_MOST_HELD: Final = 64 * 1024
# Bytes of an unread body after which the connection can still go on.
_MOST_SKIPPED: Final = 64 * 1024
# Bytes that are thrown away so that a client that still sends gets its answer: twice the longest body.
_MOST_LINGERED: Final = 64 * 1024 * 1024


class _State(Enum):
    HEAD = auto()  # A request is awaited, or a part of its head is here.
    BODY = auto()  # The body is coming in.
    ANSWER = auto()  # The whole request is here; its answer isn't yet.
    BROKEN = auto()  # What came isn't a body, or its client sends no more of it; the answer isn't here yet.
    SKIP = auto()  # The answer is given, and the rest of a short body is skipped.
    LINGER = auto()  # The last answer is given; whatever comes is thrown away until the client is gone.


class GuardedHTTP(asyncio.Protocol):
    """One connection. `peer` is whom its socket is connected with, `source` whom a listed proxy passes on, or the peer."""

    def __init__(
        self, config: Config, server_state: ServerState, events: Events, peer: Address, source: Address
    ) -> None:
        self._app: Final[ASGIApp] = cast(ASGIApp, config.loaded_app)
        self._keep_alive_seconds: Final = config.timeout_keep_alive
        self._server_state: Final = server_state
        self._connections: Final = cast(set[GuardedHTTP], server_state.connections)
        self._events: Final = events
        self._state_of_app: Final = {"peer": peer, "source": source, "allow_long_body": self._allow_long_body}
        self._deadline: Final = Deadline(self._cut)
        self.transport: asyncio.Transport | None = None
        self._ends: dict[str, Any] = {}
        self._state = _State.HEAD
        # What was received and isn't taken yet; how much of it was looked at; whether an empty line before it was skipped.
        self._received = b""
        self._scanned = 0
        self._has_skipped_line = False
        self._body: Body = body_of(0)
        self._exchange: Exchange | None = None
        # Whether the deadline is that of a request: not while the next one is awaited, which may take longer.
        self._is_timed = True
        self._is_reading = True
        self._is_stopping = False
        self._has_ended = False
        self._linger_left = 0
        self._held: tuple[asyncio.TimerHandle, bytes, bool] | None = None
        self._outflow: Final = Outflow(self._cut_slow)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self.transport = made = cast(asyncio.Transport, transport)
        self._ends = {
            "server": get_local_addr(made),
            "client": get_remote_addr(made),
            "scheme": "https" if is_ssl(made) else "http",
        }
        self._connections.add(self)
        self._deadline.start(REQUEST_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as asyncio calls it
        """See asyncio.Protocol."""
        self._connections.discard(self)
        self._deadline.stop()
        self._outflow.resume()
        if self._held is not None:
            self._held[0].cancel()
            self._held = None
        if self._exchange is not None:
            self._exchange.hang_up()
        self._events.on_end()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._deadline.touch()
        if self._state in {_State.BROKEN, _State.LINGER}:
            self._throw_away(len(data))
            return
        self._received = self._received + data if self._received else data
        self._advance()

    def eof_received(self) -> bool:
        """See asyncio.Protocol. Over plain TCP, a client that sends no more may still wait for its answer."""
        if self._exchange is None:
            return False
        self._has_ended = True
        self._deadline.clear()
        if self._state is _State.BODY:
            self._state = _State.BROKEN
        self._exchange.hang_up()
        return bool(self._ends["scheme"] == "http")

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._outflow.pause(self._wire)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._outflow.resume()

    # What the listener and uvicorn's server call.

    def make_room(self) -> None:
        """End the connection; an answer that is held back is given first."""
        if self._held is None:
            self._wire.abort()
            return
        self._is_stopping = True
        self._release()

    def shutdown(self) -> None:
        """Answer the request that is here, and close."""
        self._is_stopping = True
        if self._held is not None:
            self._release()
        elif self._exchange is None:
            self._wire.close()

    # What the exchange calls.

    def ask_for_body(self) -> None:
        """See web.exchange.Line."""
        self._set_reading(True)

    def can_go_on(self) -> bool:
        """See web.exchange.Line."""
        if self._is_stopping or self._has_ended or self._state is _State.BROKEN:
            return False
        if self._state is _State.ANSWER:
            return True
        # One that waits for "100 Continue" may send its body after all, or another request: nobody can tell.
        exchange, left = self._exchange, self._body.left
        return left is not None and left <= _MOST_SKIPPED and not (exchange and exchange.awaits_continue)

    async def write(self, written: bytes) -> None:
        """See web.exchange.Line."""
        await self._outflow.wait()
        if not self._wire.is_closing():
            self._wire.write(written)

    def finish(self, written: bytes, *, close: bool, seconds: float) -> None:
        """See web.exchange.Line."""
        if seconds > 0 and not self._is_stopping and not self._wire.is_closing():
            timer = asyncio.get_running_loop().call_later(seconds, self._release)
            self._held = (timer, written, close)
            self._events.on_held()
            if self._state is _State.BODY:
                # The rest of the body is thrown away after the answer, and need not come before.
                self._set_reading(False)
            return
        self._write_last(written, close=close)

    def abort(self) -> None:
        """See web.exchange.Line."""
        self._wire.abort()

    # Requests.

    @property
    def _wire(self) -> asyncio.Transport:
        assert self.transport is not None  # noqa: S101 - nothing happens before the connection is made
        return self.transport

    def _advance(self) -> None:
        try:
            while self._take_next():
                pass
        except RequestMalformed as error:
            self._refuse(error.status)
            return
        waits = (
            len(self._received) if self._exchange is None else self._exchange.untaken + len(self._received)
        )
        if waits > _MOST_HELD:
            self._set_reading(False)

    def _take_next(self) -> bool:
        """Take the next thing of what was received. Whether there may be another one. Raises RequestMalformed."""
        match self._state:
            case _State.HEAD:
                return self._take_head()
            case _State.BODY | _State.SKIP:
                return self._take_body()
            case _State.ANSWER | _State.BROKEN | _State.LINGER:
                return False

    def _take_head(self) -> bool:
        if not self._has_skipped_line and self._received.startswith(b"\r\n"):
            # Some clients end a body with a line end that isn't counted (RFC 9112 §2.2).
            self._has_skipped_line = True
            self._received = self._received[2:]
        if not self._received:
            return False
        end = self._received.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0:
            check_beginning(self._received, self._scanned)
            self._scanned = len(self._received)
            self._time_request()
            return False
        head = parse_head(self._received[: end + 4])
        self._received = self._received[end + 4 :]
        self._scanned, self._has_skipped_line = 0, False
        self._begin(head)
        return True

    def _begin(self, head: Head) -> None:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.0" if head.is_1_0 else "1.1",
            **self._ends,
            "method": head.method,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "root_path": "",
            "headers": head.headers,
            "state": self._state_of_app.copy(),
        }
        self._state = _State.BODY
        self._body = body_of(head.length)
        self._exchange = exchange = Exchange(self, head, scope, self._server_state.default_headers)
        tasks = self._server_state.tasks
        task = asyncio.get_running_loop().create_task(exchange.run(self._app))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _take_body(self) -> bool:
        if not self._body.is_whole:
            try:
                piece, self._received = self._body.split(self._received)
            except RequestMalformed:
                self._give_up_body()
                return False
            if piece and self._exchange is not None:
                self._exchange.take(piece)
        if not self._body.is_whole:
            self._time_request()
            return False
        self._deadline.clear()
        self._is_timed = False
        if self._exchange is None:
            self._await_request()
            return True
        self._state = _State.ANSWER
        self._exchange.take_end()
        self._events.on_busy()
        return False

    def _give_up_body(self) -> None:
        """What comes is no body. The application is told that nothing more comes; its answer is the last one here."""
        self._received = b""
        self._deadline.clear()
        if self._exchange is None:
            self._linger(_MOST_LINGERED)
            return
        self._state = _State.BROKEN
        self._linger_left = _MOST_LINGERED
        self._exchange.hang_up()

    def _refuse(self, status: int) -> None:
        """Answer what is no request, or has too long a head, and close the connection."""
        metrics.REQUESTS.labels("none", str(status)).inc()
        self._wire.write(raw_error(status, self._server_state.default_headers, self._received))
        self._linger(_MOST_LINGERED)

    # Between an answer and what follows it.

    def _release(self) -> None:
        if self._held is not None:
            timer, written, close = self._held
            timer.cancel()
            self._held = None
            self._write_last(written, close=close)

    def _write_last(self, written: bytes, *, close: bool) -> None:
        self._exchange = None
        self._server_state.total_requests += 1
        if self._wire.is_closing():
            return
        self._wire.write(written)
        is_whole = self._state is _State.ANSWER
        if self._has_ended or ((close or self._is_stopping) and is_whole):
            self._wire.close()
        elif close or self._is_stopping or self._state is _State.BROKEN:
            left = None if self._state is _State.BROKEN else self._body.left
            self._linger(_MOST_LINGERED if left is None else min(left, _MOST_LINGERED))
        else:
            if is_whole:
                self._await_request()
            else:
                self._state = _State.SKIP
                self._deadline.start(REQUEST_SECONDS)
                self._set_reading(True)
            self._advance()

    def _await_request(self) -> None:
        self._state = _State.HEAD
        self._deadline.start(self._keep_alive_seconds)
        self._set_reading(True)
        self._events.on_idle()

    def _linger(self, most: int) -> None:
        """Say that no more is said, but read on: a connection closed with bytes unread is reset, and its last answer lost."""
        self._state = _State.LINGER
        self._received = b""
        self._linger_left = most
        self._deadline.start(LINGER_SECONDS, quiet=LINGER_QUIET_SECONDS)
        self._set_reading(True)
        self._events.on_idle()
        if self._wire.can_write_eof() and not self._wire.is_closing():
            self._wire.write_eof()

    def _throw_away(self, count: int) -> None:
        self._linger_left -= count
        if self._linger_left <= 0:
            self._wire.close()

    # Time and flow.

    def _time_request(self) -> None:
        """The request isn't whole: it has REQUEST_SECONDS from its first byte, or, on a new connection, from its beginning."""
        if not self._is_timed:
            self._is_timed = True
            self._deadline.start(REQUEST_SECONDS)

    def _allow_long_body(self) -> None:
        if self._state is _State.BODY:
            self._is_timed = True
            self._deadline.start(LONG_BODY_SECONDS, quiet=QUIET_SECONDS)
            self._events.on_busy()

    def _set_reading(self, reads: bool) -> None:
        if reads == self._is_reading or self._wire.is_closing():
            return
        self._is_reading = reads
        if reads:
            self._deadline.resume()
            self._wire.resume_reading()
        else:
            self._deadline.pause()
            self._wire.pause_reading()

    def _cut(self) -> None:
        """The time is over."""
        if self._state is _State.LINGER or (self._state is _State.HEAD and not self._is_timed):
            self._wire.close()
        else:
            self._cut_slow()

    def _cut_slow(self) -> None:
        self._events.on_slow()
        self._wire.abort()
