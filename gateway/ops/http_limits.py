"""What keeps the ops endpoint answering, and to whom: limits for connections, and names that it may be asked by.

It has no login, so it listens on loopback; but everything on the machine reaches that, a web page in a browser there too.
"""

import asyncio
import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

# An IPv6 address in a Host header, with or without a port.
_BRACKETED: Final = re.compile(r"\[([0-9a-fA-F:.]+)\](?::\d+)?")
# Seconds for the whole head of a request, and for the whole connection, which serves one request.
_REQUEST_SECONDS: Final = 5.0
_CONNECTION_SECONDS: Final = 30.0
# So many connections may wait for the rest of their request, and so many be open at all. Beyond it the oldest is cut, as a new
# one may be the one that asks whether this node lives.
_MOST_WAITING: Final = 64
_MOST_OPEN: Final = 256


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, but nobody can hold a connection by saying half of a request, or by not reading."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._since = self.loop.time()
        self._deadlines: list[asyncio.TimerHandle] = []

    @property
    def is_waiting(self) -> bool:
        """Whether the head of its request hasn't come yet."""
        return self.cycle is None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn declares it
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._deadlines = [
            self.loop.call_later(_REQUEST_SECONDS, self._cut_if_waiting),
            self.loop.call_later(_CONNECTION_SECONDS, transport.abort),
        ]
        opened = [one for one in self.connections if isinstance(one, LimitedProtocol)]
        waiting = [one for one in opened if one.is_waiting]
        for connections, most in ((waiting, _MOST_WAITING), (opened, _MOST_OPEN)):
            if len(connections) > most:
                min(connections, key=lambda one: one._since).transport.abort()  # noqa: SLF001 - of its own class

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        for deadline in self._deadlines:
            deadline.cancel()
        super().connection_lost(exc)

    def _cut_if_waiting(self) -> None:
        if self.is_waiting:
            self.transport.abort()


def is_trusted_host(host: str | None, allowed: Collection[str]) -> bool:
    """Whether a request with this Host header may be told more than that the node lives.

    An address is trusted, and `localhost`, and the names in `allowed`. A web page that has its own name lead to this endpoint
    (DNS rebinding), and so could read it past the browser's rule of same origin, comes with that name.
    """
    if not host:
        # Not a browser: each sends the name.
        return True
    bracketed = _BRACKETED.fullmatch(host)
    name = bracketed[1] if bracketed else host.partition(":")[0]
    try:
        ip_address(name)
    except ValueError:
        return name.lower().rstrip(".") in {"localhost", *(one.lower() for one in allowed)}
    return True
