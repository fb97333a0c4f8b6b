"""Connections of an address that floods us with wrong keys: they wait, unread, while those of all others are served.

To read a request and look its key up costs far more than to accept a connection. An address that has been told of wrong keys
faster than web.pacing allows is therefore not read for a while; when more of its kind come than may wait, the one that has waited
longest goes. Whoever calls with a right key from such an address waits with it: that costs nobody but its neighbours.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from config.addresses import Address
from web import metrics

# Connections of a process that wait, and for how many seconds.
MOST_WAITING: Final = 64
SECONDS: Final = 1.0


class WaitingLine:
    """Gives each connection to `admit` after SECONDS, or closes it to make room."""

    def __init__(self, admit: Callable[[socket.socket, Address], None]) -> None:
        self._admit: Final = admit
        self._waiting: Final[dict[socket.socket, asyncio.TimerHandle]] = {}

    def add(self, accepted: socket.socket, address: Address) -> None:
        """Let it wait."""
        if len(self._waiting) >= MOST_WAITING:
            oldest = next(iter(self._waiting))
            self._waiting.pop(oldest).cancel()
            oldest.close()
            metrics.CONNECTIONS_CUT.labels("flood").inc()
        loop = asyncio.get_running_loop()
        self._waiting[accepted] = loop.call_later(SECONDS, self._let_in, accepted, address)

    def close(self) -> None:
        """Close all that wait."""
        for accepted, timer in self._waiting.items():
            timer.cancel()
            accepted.close()
        self._waiting.clear()

    def _let_in(self, accepted: socket.socket, address: Address) -> None:
        del self._waiting[accepted]
        self._admit(accepted, address)
