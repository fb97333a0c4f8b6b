"""The listening sockets: each connection is counted, and then refused or begun, before the first byte of a key exchange."""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import asyncssh

from config.accepting import Acceptor
from config.addresses import Address, is_listed
from config.logs import get_logger
from config.proxy_protocol import ProxyHeaderInvalid, parse_proxy_header
from config.section import networks
from sftpd import metrics
from sftpd.connections.algorithms import options_for
from sftpd.connections.front_state import FrontState
from sftpd.connections.limits import Excess, share_of
from sftpd.connections.live_connections import LiveConnection
from sftpd.connections.ssh_connection import GuardedConnection
from sftpd.connections.ssh_server import FrontSSHServer

logger = get_logger("sftpd")

_HEADER_TIMEOUT: Final = 5.0
# Refused sockets are kept open for a moment, so that the client can read why: closing one that has unread bytes would reset
# the connection. At most so many are kept, for so many seconds.
_LINGERING_MOST: Final = 64
_LINGERING_SECONDS: Final = 1.0

_TEXTS: Final = {
    "shut_out": "too many failed logins from this address: please try again later",
    Excess.CONNECTIONS.value: "too many connections: please try again in a minute",
    Excess.CONNECTIONS_OF_ADDRESS.value: "too many connections from this address: please close some first",
    "stopping": "this service is restarting: please try again in a minute",
}


def refusal_bytes(version_name: str, text: str) -> bytes:
    """All that a refused client is sent: our version and one unencrypted SSH_MSG_DISCONNECT, whose text clients show."""
    words = text.encode("ascii")
    payload = b"\x01" + asyncssh.DISC_TOO_MANY_CONNECTIONS.to_bytes(4, "big")
    payload += len(words).to_bytes(4, "big") + words + (0).to_bytes(4, "big")
    # The padding is at least four bytes and makes the packet a multiple of eight (RFC 4253 §6).
    padding = 4 + -(5 + len(payload) + 4) % 8
    packet = (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + bytes(padding)
    return f"SSH-2.0-{version_name}\r\n".encode("ascii") + packet


class Listener:
    """Accepts connections for one process. The tasks that begin them belong to the task group given."""

    def __init__(
        self, front: FrontState, options: asyncssh.SSHServerConnectionOptions, tasks: asyncio.TaskGroup
    ) -> None:
        self._front: Final = front
        self._options: Final = options
        self._tasks: Final = tasks
        self._proxies: Final = networks(front.settings.proxy_protocol_from)
        self._most_headers: Final = share_of(front.settings).unauthenticated
        self._reading_headers: OrderedDict[asyncio.Task[None], None] = OrderedDict()
        self._refusals: Final = {
            cause: refusal_bytes(front.settings.version_name, text) for cause, text in _TEXTS.items()
        }
        self._acceptor = Acceptor(self._receive, self._tell_failure)
        self._lingering: dict[socket.socket, asyncio.TimerHandle] = {}

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from these sockets, which listen already. Closing them is left to the caller."""
        self._acceptor.open(sockets)

    def close(self) -> None:
        """Accept no more. Connections that the kernel has queued are left to the other processes, or to the next one."""
        self._acceptor.close()
        for task in self._reading_headers:
            task.cancel()
        for refused, timer in self._lingering.items():
            timer.cancel()
            refused.close()
        self._lingering.clear()

    def _tell_failure(self, number: int | None) -> None:
        self._front.sampled_log.log("accept_failed", self._front.now(), errno=number)

    def _receive(self, accepted: socket.socket, peer: Address) -> None:
        if not (self._proxies and is_listed(peer, self._proxies)):
            self._admit(accepted, peer, b"")
            return
        if len(self._reading_headers) >= self._most_headers:
            oldest, _ = self._reading_headers.popitem(last=False)
            oldest.cancel()
        task = self._tasks.create_task(self._read_header(accepted, peer))
        self._reading_headers[task] = None
        task.add_done_callback(lambda done: self._reading_headers.pop(done, None))

    async def _read_header(self, accepted: socket.socket, balancer: Address) -> None:
        """Learn from a listed load balancer whose connection it passes on, and admit that client as if it had come itself."""
        loop = asyncio.get_running_loop()
        received = b""
        try:
            async with asyncio.timeout(_HEADER_TIMEOUT):
                while (header := parse_proxy_header(received)) is None:
                    more = await loop.sock_recv(accepted, 4096)
                    if not more:
                        raise ProxyHeaderInvalid("closed before the header's end")
                    received += more
        except (ProxyHeaderInvalid, TimeoutError, OSError) as error:
            accepted.close()
            # A health check that only connects is not worth a line.
            if received:
                self._count_refusal("proxy_header", balancer, fault=str(error) or type(error).__name__)
            return
        except asyncio.CancelledError:
            accepted.close()
            raise
        self._admit(accepted, header.source or balancer, received[header.length :])

    def _admit(self, accepted: socket.socket, address: Address, early_bytes: bytes) -> None:
        front = self._front
        live_connection = LiveConnection(address, is_known=front.shutouts.is_known(address))
        if front.stopping:
            cause: str | None = "stopping"
        elif front.shutouts.is_shut_out(address, front.now()):
            cause = "shut_out"
        else:
            excess = front.limits.excess_for(live_connection.block)
            cause = excess.value if excess else None
        if cause is not None:
            self._count_refusal(cause, address)
            self._send_refusal(accepted, self._refusals[cause])
            return
        dropped = front.limits.enter(live_connection)
        if dropped is not None:
            dropped.drop()
            self._count_refusal(Excess.UNAUTHENTICATED.value, address)
        self._tasks.create_task(self._begin(accepted, live_connection, early_bytes))

    async def _begin(
        self, accepted: socket.socket, live_connection: LiveConnection, early_bytes: bytes
    ) -> None:
        loop = asyncio.get_running_loop()
        options = options_for(self._options, lambda: FrontSSHServer(self._front, live_connection))

        def make_connection() -> GuardedConnection:
            return GuardedConnection(
                loop,
                options,
                block=live_connection.block,
                pacer=self._front.pacer,
                turns=self._front.turns,
                settings=self._front.settings,
                early_bytes=early_bytes,
            )

        transport: asyncio.BaseTransport | None = None
        try:
            transport, _ = await loop.connect_accepted_socket(make_connection, accepted)
        except OSError:
            # The client is gone already.
            accepted.close()
        except Exception:  # one connection's trouble must not end all others
            logger.exception("connection_failed", connection_id=live_connection.connection_id)
            accepted.close()
        if live_connection.ssh_connection is None:
            # The protocol has not begun, so there will be no end of it that takes this connection out of the counts.
            self._front.limits.leave(live_connection)
            if transport is not None:
                transport.close()

    def _count_refusal(self, cause: str, address: Address, **facts: object) -> None:
        metrics.CONNECTIONS_REFUSED.labels(cause).inc()
        self._front.sampled_log.log(
            "connection_refused",
            self._front.now(),
            kind=f"connection_refused {cause}",
            # One line says that a limit is reached. How often it happens is for the metrics.
            most=1,
            reason=cause,
            source_address=str(address),
            **facts,
        )

    def _send_refusal(self, accepted: socket.socket, refusal: bytes) -> None:
        try:
            accepted.send(refusal)
            accepted.shutdown(socket.SHUT_WR)
        except OSError:
            accepted.close()
            return
        if len(self._lingering) >= _LINGERING_MOST:
            accepted.close()
            return
        loop = asyncio.get_running_loop()
        self._lingering[accepted] = loop.call_later(_LINGERING_SECONDS, self._close_lingering, accepted)

    def _close_lingering(self, accepted: socket.socket) -> None:
        del self._lingering[accepted]
        accepted.close()
