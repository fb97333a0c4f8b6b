"""The connections of one process: counted from their first packet, TLS handshakes too; the oldest idle one makes room."""

import asyncio
import contextlib
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from config.accepting import Acceptor
from config.addresses import Address, Block, Network, block_of, is_listed
from config.logs import get_logger
from web import metrics
from web.protocol import GuardedHTTP

logger = get_logger("api")

# Connections of one process; and from one address, unless that is a listed proxy, or this machine.
MOST_OPEN: Final = 1024
MOST_OF_ADDRESS: Final = 64
# Seconds for a TLS handshake, and for the farewell at its end.
_HANDSHAKE_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 2.0

# Makes the protocol of a connection, which calls the four: on_busy, on_idle, on_end, on_slow.
MakeProtocol = Callable[
    [Callable[[], None], Callable[[], None], Callable[[], None], Callable[[], None]], GuardedHTTP
]


class _Open:
    """One connection; `protocol` is there once its TLS session is."""

    def __init__(self, accepted: socket.socket, block: Block | None) -> None:
        self.accepted = accepted
        self.block = block
        self.protocol: GuardedHTTP | None = None

    def cut(self) -> None:
        if self.protocol is not None and self.protocol.transport is not None:
            self.protocol.transport.abort()
        else:
            # The handshake's task sees the end, and counts it. A client that is gone already has no connection to shut down.
            with contextlib.suppress(OSError):
                self.accepted.shutdown(socket.SHUT_RDWR)


class Listener:
    """Accepts connections for one process. The tasks that begin them belong to the task group given."""

    def __init__(
        self,
        make_protocol: MakeProtocol,
        tls: ssl.SSLContext | None,
        proxies: Sequence[Network],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._make_protocol: Final = make_protocol
        self._tls: Final = tls
        self._proxies: Final = proxies
        self._tasks: Final = tasks
        self._acceptor = Acceptor(self._admit, lambda number: logger.warning("accept_failed", errno=number))
        self._open: set[_Open] = set()
        # Those that wait for a request, the one that has waited longest first.
        self._idle: dict[_Open, None] = {}
        self._of_block: Counter[Block] = Counter()

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from these sockets, which listen already. Closing them is left to the caller."""
        self._acceptor.open(sockets)

    def close(self) -> None:
        """Accept no more, and cut TLS handshakes. Connections that the kernel has queued are left to the other processes."""
        self._acceptor.close()
        for opened in self._open:
            if opened.protocol is None:
                opened.cut()

    def _admit(self, accepted: socket.socket, address: Address) -> None:
        is_near = address.is_loopback or is_listed(address, self._proxies)
        block = None if is_near else block_of(address)
        if block is not None and self._of_block[block] >= MOST_OF_ADDRESS:
            metrics.CONNECTIONS_CUT.labels("address").inc()
            accepted.close()
            return
        if len(self._open) >= MOST_OPEN:
            metrics.CONNECTIONS_CUT.labels("total").inc()
            oldest = next(iter(self._idle), None)
            if oldest is None:
                accepted.close()
                return
            del self._idle[oldest]
            oldest.cut()
        opened = _Open(accepted, block)
        self._open.add(opened)
        self._idle[opened] = None
        if block is not None:
            self._of_block[block] += 1
        metrics.CONNECTIONS_OPEN.inc()
        self._tasks.create_task(self._begin(opened))

    async def _begin(self, opened: _Open) -> None:
        def protocol() -> GuardedHTTP:
            opened.protocol = self._make_protocol(
                lambda: self._set_busy(opened),
                lambda: self._set_idle(opened),
                lambda: self._forget(opened),
                metrics.CONNECTIONS_CUT.labels("slow").inc,
            )
            return opened.protocol

        seconds = {} if self._tls is None else {
            "ssl_handshake_timeout": _HANDSHAKE_SECONDS, "ssl_shutdown_timeout": _FAREWELL_SECONDS,
        }  # fmt: skip
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol, opened.accepted, ssl=self._tls, **seconds
            )
        except OSError:
            # No TLS, a handshake that takes too long, or a client that is gone already.
            if self._tls is not None:
                metrics.CONNECTIONS_CUT.labels("tls").inc()
            self._forget(opened)
        except Exception:  # one connection's trouble must not end all others
            logger.exception("connection_failed")
            self._forget(opened)

    def _set_busy(self, opened: _Open) -> None:
        self._idle.pop(opened, None)

    def _set_idle(self, opened: _Open) -> None:
        if opened in self._open:
            self._idle[opened] = None

    def _forget(self, opened: _Open) -> None:
        if opened not in self._open:
            return
        self._open.discard(opened)
        self._idle.pop(opened, None)
        metrics.CONNECTIONS_OPEN.dec()
        if opened.block is not None:
            self._of_block[opened.block] -= 1
            if not self._of_block[opened.block]:
                del self._of_block[opened.block]
        if opened.protocol is None or opened.protocol.transport is None:
            opened.accepted.close()
