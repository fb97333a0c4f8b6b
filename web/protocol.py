"""HTTP/1.1 as uvicorn speaks it, for strangers: whoever says half a request, or too long a one, holds nothing for long."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from web.answers import error_body
from web.deadlines import LONG_BODY_SECONDS, REQUEST_SECONDS

# Bytes of a request's head (8-api.md §1), and of its path with the query.
MOST_HEAD_BYTES: Final = 32 * 1024
MOST_PATH_BYTES: Final = 2 * 1024


class GuardedHTTP(H11Protocol):
    """One connection. It tells `on_busy` when it has a whole request to answer, and `on_idle` when it waits for one again."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        *,
        on_busy: Callable[[], None],
        on_idle: Callable[[], None],
        on_end: Callable[[], None],
        on_slow: Callable[[], None],
    ) -> None:
        super().__init__(config, server_state, {"allow_long_body": self._allow_long_body})
        self._on_busy, self._on_idle, self._on_end, self._on_slow = on_busy, on_idle, on_end, on_slow
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_deadline()
        super().connection_lost(exc)
        self._on_end()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._deadline is None and not self._is_busy():
            self._start_deadline()
        super().data_received(data)
        if self._is_busy():
            self._stop_deadline()
            self._on_busy()

    def on_response_complete(self) -> None:
        """See uvicorn: the answer has been written, and the next request may have come already."""
        super().on_response_complete()
        if not self._is_busy():
            self._on_idle()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text says no more than the status does
        """Answer what is no HTTP, or has too long a head, and close the connection."""
        received, _ = self.conn.trailing_data
        status = 400
        if len(received) > MOST_HEAD_BYTES:
            status = 431 if b"\n" in received[:MOST_HEAD_BYTES] else 414
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # The answer to this request has begun, or been given: nothing more can be said on this connection.
            self.transport.close()
            return
        body = error_body(status)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _is_busy(self) -> bool:
        """Whether a whole request is here that has not been answered."""
        cycle: Any = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._cut)

    def _allow_long_body(self) -> None:
        if self._deadline is not None:
            self._stop_deadline()
            self._deadline = self.loop.call_later(LONG_BODY_SECONDS, self._cut)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        self._on_slow()
        self.transport.abort()
