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
from config.proxy_protocol import ProxyHeaderInvalid
from web import metrics
from web.deadlines import REQUEST_SECONDS
from web.events import Events
from web.floods import WaitingLine
from web.pacing import Pacer
from web.protocol import GuardedHTTP
from web.proxied import read_source

logger = get_logger("api")

# Connections of one process; and from one address, unless that is a listed proxy, or this machine.
MOST_OPEN: Final = 1024
MOST_OF_ADDRESS: Final = 64
# Seconds for a TLS handshake, and for the farewell at its end.
_HANDSHAKE_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 2.0

# Makes the protocol of a connection, which tells of it; the socket's peer; whom a listed proxy passes on, or the peer.
MakeProtocol = Callable[[Events, Address, Address], GuardedHTTP]


class _Open(Events):
    """One connection; `protocol` is there once its TLS session is."""

    def __init__(self, listener: "Listener", accepted: socket.socket, peer: Address) -> None:
        self._listener = listener
        self.accepted = accepted
        self.peer = self.source = peer
        # What it is counted under, unless that may have any number.
        self.block: Block | None = None
        self.protocol: GuardedHTTP | None = None

    def on_busy(self) -> None:
        """See Events."""
        self._listener.set_busy(self)

    def on_idle(self) -> None:
        """See Events."""
        self._listener.set_idle(self)

    def on_held(self) -> None:
        """See Events."""
        self._listener.set_held(self)

    def on_end(self) -> None:
        """See Events."""
        self._listener.forget(self)

    def on_slow(self) -> None:
        """See Events."""
        metrics.CONNECTIONS_CUT.labels("slow").inc()

    def cut(self) -> None:
        """End it at once."""
        if self.protocol is not None and self.protocol.transport is not None:
            self.protocol.make_room()
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
        pacer: Pacer,
    ) -> None:
        self._make_protocol: Final = make_protocol
        self._tls: Final = tls
        self._proxies: Final = proxies
        self._tasks: Final = tasks
        self._pacer: Final = pacer
        self._flooding: Final = WaitingLine(self._admit)
        self._acceptor = Acceptor(self._receive, lambda number: logger.warning("accept_failed", errno=number))
        self._open: set[_Open] = set()
        # Those that wait for a request, the one that has waited longest first.
        self._idle: dict[_Open, None] = {}
        # Those whose answer is held back: the first to go.
        self._held: dict[_Open, None] = {}
        self._of_block: Counter[Block] = Counter()

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from these sockets, which listen already. Closing them is left to the caller."""
        self._acceptor.open(sockets)

    def close(self) -> None:
        """Accept no more, and cut TLS handshakes. Connections that the kernel has queued are left to the other processes."""
        self._acceptor.close()
        self._flooding.close()
        for opened in self._open:
            if opened.protocol is None:
                opened.cut()

    def _receive(self, accepted: socket.socket, address: Address) -> None:
        if self._pacer.is_flooding(address) and not is_listed(address, self._proxies):
            self._flooding.add(accepted, address)
        else:
            self._admit(accepted, address)

    def _admit(self, accepted: socket.socket, address: Address) -> None:
        opened = _Open(self, accepted, address)
        if not self._count(opened):
            accepted.close()
            return
        if len(self._open) >= MOST_OPEN:
            metrics.CONNECTIONS_CUT.labels("total").inc()
            oldest = next(iter(self._held), None) or next(iter(self._idle), None)
            if oldest is None:
                self._uncount(opened)
                accepted.close()
                return
            self.set_busy(oldest)
            oldest.cut()
        self._open.add(opened)
        self._idle[opened] = None
        metrics.CONNECTIONS_OPEN.inc()
        self._tasks.create_task(self._begin(opened))

    def _count(self, opened: _Open) -> bool:
        """Count the connection for its address. Whether that may have another one."""
        if opened.source.is_loopback or is_listed(opened.source, self._proxies):
            return True
        block = block_of(opened.source)
        if self._of_block[block] >= MOST_OF_ADDRESS:
            metrics.CONNECTIONS_CUT.labels("address").inc()
            return False
        opened.block = block
        self._of_block[block] += 1
        return True

    def _uncount(self, opened: _Open) -> None:
        if opened.block is not None:
            self._of_block[opened.block] -= 1
            if not self._of_block[opened.block]:
                del self._of_block[opened.block]

    async def _begin(self, opened: _Open) -> None:
        def protocol() -> GuardedHTTP:
            opened.protocol = self._make_protocol(opened, opened.peer, opened.source)
            return opened.protocol

        try:
            if is_listed(opened.peer, self._proxies) and not await self._learn_source(opened):
                self.forget(opened)
                return
            seconds = {} if self._tls is None else {
                "ssl_handshake_timeout": _HANDSHAKE_SECONDS, "ssl_shutdown_timeout": _FAREWELL_SECONDS,
            }  # fmt: skip
            await asyncio.get_running_loop().connect_accepted_socket(
                protocol, opened.accepted, ssl=self._tls, **seconds
            )
        except OSError:
            # No TLS, a handshake that takes too long, or a client that is gone already.
            if self._tls is not None:
                metrics.CONNECTIONS_CUT.labels("tls").inc()
            self.forget(opened)
        except Exception:  # one connection's trouble must not end all others
            logger.exception("connection_failed")
            self.forget(opened)

    async def _learn_source(self, opened: _Open) -> bool:
        """Learn whose connection a listed proxy passes on. Whether it may go on."""
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                opened.source = await read_source(opened.accepted, opened.peer)
        except TimeoutError:
            metrics.CONNECTIONS_CUT.labels("slow").inc()
            return False
        except ProxyHeaderInvalid as error:
            metrics.CONNECTIONS_CUT.labels("proxy_header").inc()
            logger.warning("proxy_header_invalid", proxy=str(opened.peer), fault=str(error))
            return False
        return opened.source == opened.peer or self._count(opened)

    def set_busy(self, opened: _Open) -> None:
        """It must not be cut to make room."""
        self._idle.pop(opened, None)
        self._held.pop(opened, None)

    def set_idle(self, opened: _Open) -> None:
        """It may be cut to make room, after those that are idle already."""
        if opened in self._open:
            self._held.pop(opened, None)
            self._idle[opened] = None

    def set_held(self, opened: _Open) -> None:
        """It is cut to make room before all that are idle."""
        if opened in self._open:
            self._idle.pop(opened, None)
            self._held[opened] = None

    def forget(self, opened: _Open) -> None:
        """It is over."""
        if opened not in self._open:
            return
        self._open.discard(opened)
        self.set_busy(opened)
        metrics.CONNECTIONS_OPEN.dec()
        self._uncount(opened)
        if opened.protocol is None or opened.protocol.transport is None:
            opened.accepted.close()
