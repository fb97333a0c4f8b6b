"""How long a request may take to come in, and how an endpoint allows one of its requests more.

A request has 10 s from its first byte to its last. Whoever is entitled to send much may take longer, as long as something comes:
`allow_long_body` says so, once the caller is known and before the body is read. It holds for that request alone.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Final

from starlette.types import Scope

# Seconds for a whole request, from its first byte or from the connection's beginning; and to skip the rest of a refused one.
REQUEST_SECONDS: Final = 10.0
# Seconds for a long body that was allowed; and those without a byte of it, while we are ready to take some.
LONG_BODY_SECONDS: Final = 15 * 60.0
QUIET_SECONDS: Final = 30.0
# Seconds without a byte taken of an answer that is being written.
ANSWER_SECONDS: Final = 30.0
# Seconds for which a client may go on sending after its last answer; and those without a byte of it.
LINGER_SECONDS: Final = 60.0
LINGER_QUIET_SECONDS: Final = 5.0


def allow_long_body(scope: Scope) -> None:
    """Let this request's body take up to LONG_BODY_SECONDS from now, if never QUIET_SECONDS pass without a byte of it.

    Call it after admission and before the first `receive`. Too slow a body ends the connection: `receive` then gives
    `http.disconnect` (starlette: ClientDisconnect). Reading is paused while the endpoint takes nothing, so that a body never
    needs more memory than the buffer of its connection, and such pauses of our own don't count as quiet.
    """
    allow: Callable[[], None] | None = scope["state"].get("allow_long_body")
    if allow is not None:
        allow()


class Deadline:
    """Calls `on_over` when a time is over, or when nothing has come for too long.

    One timer of the loop lasts for many deadlines: when it fires it looks whether it is due, and else begins anew. So a deadline
    that is set and cleared for each request costs next to nothing.
    """

    def __init__(self, on_over: Callable[[], None]) -> None:
        self._on_over: Final = on_over
        self._loop: Final = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ends_at = math.inf
        self._quiet = math.inf
        self._last_at = 0.0
        self._is_paused = False
        self.is_set = False

    def start(self, seconds: float, *, quiet: float = math.inf) -> None:
        """It is over after so many seconds, or after so many in which nothing came."""
        now = self._loop.time()
        self._ends_at, self._quiet, self._last_at = now + seconds, quiet, now
        self.is_set = True
        self._arm(min(self._ends_at, now + quiet))

    def clear(self) -> None:
        """There is none."""
        self._ends_at = self._quiet = math.inf
        self.is_set = False

    def touch(self) -> None:
        """Something came."""
        if self._quiet != math.inf:
            self._last_at = self._loop.time()

    def pause(self) -> None:
        """Nothing can come, by our own doing."""
        self._is_paused = True

    def resume(self) -> None:
        """Something can come again."""
        if self._is_paused:
            self._is_paused = False
            self.touch()

    def stop(self) -> None:
        """Nothing is called any more."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        quiet_at = (now if self._is_paused else self._last_at) + self._quiet
        due = min(self._ends_at, quiet_at)
        if due == math.inf:
            return
        # A timer may fire a hair early.
        if due - now > 0.001:
            self._arm(due)
            return
        self.clear()
        self._on_over()


class Outflow:
    """Lets an answer go out at the pace at which its client reads; one that reads nothing is cut.

    `on_stuck` is called when ANSWER_SECONDS pass and none of it went out."""

    def __init__(self, on_stuck: Callable[[], None]) -> None:
        self._on_stuck: Final = on_stuck
        self._open: Final = asyncio.Event()
        self._open.set()
        self._watch: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Return when more may be written."""
        await self._open.wait()

    def pause(self, transport: asyncio.WriteTransport) -> None:
        """The buffer is full."""
        self._open.clear()
        self._look(transport, math.inf)

    def resume(self) -> None:
        """The buffer is empty enough again, or the connection is over."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._open.set()

    def _look(self, transport: asyncio.WriteTransport, before: float) -> None:
        size = transport.get_write_buffer_size()
        if size >= before:
            self._watch = None
            self._on_stuck()
            return
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(ANSWER_SECONDS, self._look, transport, size)
