"""asyncssh's server connection with what it lacks: limits before a login, and texts of our own at a disconnect.

Each method of `asyncssh.SSHServerConnection` that is overridden here has a test, which fails when asyncssh changes.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final

import asyncssh
from asyncssh.packet import SSHPacket, SSHPacketLogger

from sftpd.connections.algorithms import COSTLY_KEY_EXCHANGES
from sftpd.connections.pacing import Pacer
from sftpd.connections.source_addresses import Block

_MSG_KEXINIT: Final = 20  # RFC 4253 §12
_MSG_USERAUTH_REQUEST: Final = 50  # RFC 4252 §6
# REQUEST_SUCCESS and REQUEST_FAILURE, the replies to a global request (RFC 4254 §4).
_GLOBAL_REPLIES: Final = frozenset((81, 82))

# A login needs some 8 KB. A client that sends far more before it is logged in is after our processor.
_BYTES_BEFORE_LOGIN: Final = 256 * 1024
# The event loop reads up to 256 KB at once, and with every packet of 32 KB asyncssh copies all the rest. In pieces of two
# packets, a big upload costs the front a fifth less processor.
_MOST_AT_ONCE: Final = 64 * 1024
# How many bytes of answers may wait for a client to read them. The busiest client has 64 requests in flight, whose answers
# have a hundred bytes each.
_BYTES_UNREAD: Final = 4 * 1024 * 1024
# A client makes two requests for each key: a probe and a signature. Others are `none`, and passwords tried in vain.
_REQUESTS_PER_KEY: Final = 2
_OTHER_REQUESTS: Final = 8

# What a client is told when asyncssh ends the connection. Its own texts would hold what was negotiated, or an exception's.
DISCONNECT_TEXTS: Final = {
    asyncssh.DISC_PROTOCOL_ERROR: "protocol error",
    asyncssh.DISC_KEY_EXCHANGE_FAILED: "no algorithm in common: this client is too old for this service, see its agency guide",
    asyncssh.DISC_MAC_ERROR: "protocol error",
    asyncssh.DISC_COMPRESSION_ERROR: "protocol error",
    asyncssh.DISC_SERVICE_NOT_AVAILABLE: "protocol error",
    asyncssh.DISC_PROTOCOL_VERSION_NOT_SUPPORTED: "only SSH version 2 is spoken here",
    asyncssh.DISC_CONNECTION_LOST: "connection lost",
    asyncssh.DISC_BY_APPLICATION: "this session was ended",
    asyncssh.DISC_ILLEGAL_USER_NAME: "this is no user name of this service",
}


# A longer offer is cut in the log. OpenSSH's longest list has some 600 characters.
_OFFER_LOGGED: Final = 1000


@dataclass(frozen=True, slots=True)
class RejectedOffer:
    """What a client offered where we had nothing in common with it, ready for the log: printable ASCII of limited length.

    `what` says which list it was, such as "key exchange"; `client` is the version string with which the client introduced itself.
    """

    what: str
    algorithms: str
    client: str


def _printable(text: bytes, most: int) -> str:
    return text.decode("latin-1").encode("unicode_escape").decode()[:most]


class FixedText(str):
    """A text of one line that we wrote for a client. The type tells our disconnects from asyncssh's."""

    __slots__ = ()


class DisconnectWithText(asyncssh.DisconnectError):
    """Raised in one of asyncssh's hooks, it ends the connection with a text of our own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, FixedText(text))


TOO_MANY_REQUESTS: Final = "too many login attempts on one connection"


class GuardedConnection(asyncssh.SSHServerConnection):
    """One connection. `early_bytes` are those that the client has sent already, behind a PROXY header."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        *,
        block: Block,
        pacer: Pacer,
        max_keys_tried: int,
        early_bytes: bytes = b"",
    ) -> None:
        super().__init__(loop, options)
        self._block: Final = block
        self._pacer: Final = pacer
        self._requests_left = max_keys_tried * _REQUESTS_PER_KEY + _OTHER_REQUESTS
        self._bytes_left = _BYTES_BEFORE_LOGIN
        self._early_bytes = early_bytes
        self.logged_in = False
        # Whether the client has asked for a login, whatever became of that. Otherwise it is a mere probe.
        self.asked_for_login = False
        self.key_exchanges = 0
        self.rejected_offer: RejectedOffer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the bytes that have come already."""
        super().connection_made(transport)
        if self._early_bytes:
            self.data_received(self._early_bytes)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Take what the client sends. Before a login, a client that sends more than any login needs is cut."""
        if not self.logged_in:
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                self.abort()
                return
        for start in range(0, len(data), _MOST_AT_ONCE):
            if self._transport is None:
                # The bytes before these have ended the connection.
                return
            super().data_received(data[start : start + _MOST_AT_ONCE], datatype)

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """Before a login, let the key exchange wait for its turn, and count the client's requests.

        A reply to a global request that nobody waits for is ignored, as OpenSSH does. The host keys are announced by a request
        that wants no reply, and phpseclib before 3.0.48 and Dropbear reply all the same; asyncssh would end the connection.
        """
        if pkttype in _GLOBAL_REPLIES and not self._global_request_waiters:
            return True
        if self.logged_in:
            return super().process_packet(pkttype, pktid, packet)
        if pkttype == _MSG_KEXINIT:
            self.key_exchanges += 1
            if self.key_exchanges > 1:
                raise DisconnectWithText(
                    asyncssh.DISC_PROTOCOL_ERROR, "one key exchange is enough before a login"
                )
            return self._exchange_keys_in_turn(pkttype, pktid, packet)
        if pkttype == _MSG_USERAUTH_REQUEST:
            self.asked_for_login = True
            self._requests_left -= 1
            if self._requests_left < 0:
                raise DisconnectWithText(asyncssh.DISC_PROTOCOL_ERROR, TOO_MANY_REQUESTS)
        return super().process_packet(pkttype, pktid, packet)

    async def _exchange_keys_in_turn(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        await self._pacer.take_turn(self._block)
        if self.is_closed():
            return
        result = super().process_packet(pkttype, pktid, packet)
        if isinstance(result, Awaitable):
            await result

    def _choose_alg(self, alg_type: str, local_algs: Sequence[bytes], remote_algs: Sequence[bytes]) -> bytes:
        """Choose an algorithm. Where there is none in common, keep what the client offered for the log.

        asyncssh's own refusal fails with a UnicodeDecodeError where a name in the offer is not ASCII.
        """
        if set(local_algs).isdisjoint(remote_algs):
            self._keep_rejected_offer(alg_type, remote_algs)
            raise asyncssh.KeyExchangeFailed("no algorithm in common")
        return super()._choose_alg(alg_type, local_algs, remote_algs)

    def choose_server_host_key(self, peer_host_key_algs: Sequence[bytes]) -> bool:
        """Choose the host key. Where the client knows none of its types, keep what it offered for the log."""
        chosen = super().choose_server_host_key(peer_host_key_algs)
        if not chosen:
            self._keep_rejected_offer("host key", peer_host_key_algs)
        return chosen

    def _keep_rejected_offer(self, what: str, algorithms: Sequence[bytes]) -> None:
        self.rejected_offer = RejectedOffer(
            what.lower(),
            _printable(b",".join(algorithms), _OFFER_LOGGED),
            _printable(self._client_version, 255),
        )

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send a packet. A client that reads none of its answers is cut: asyncssh would keep them all in memory."""
        super().send_packet(pkttype, *args, handler=handler)
        if self._transport is not None and self._transport.get_write_buffer_size() > _BYTES_UNREAD:
            self.abort()

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """Finish a key exchange. A costly one is charged now, when its algorithm is known."""
        algorithm = self._kex.algorithm if self._kex else b""
        self._pacer.charge(COSTLY_KEY_EXCHANGES.get(algorithm, 1) - 1)
        super().send_newkeys(k, h)

    @property
    def progress(self) -> int:
        """How far the client has come towards a login: 0 at first, 1 in a key exchange, 2 when it has asked for a login."""
        return min(self.key_exchanges, 1) + self.asked_for_login

    async def reload_config(self) -> None:
        """Do nothing. For each user name asyncssh would build all options anew, though there is no configuration file."""

    def _send_disconnect(self, code: int, reason: str, lang: str) -> None:
        """Send a disconnect with a text of our own, because asyncssh's may hold an exception's text."""
        text = (
            reason if isinstance(reason, FixedText) else DISCONNECT_TEXTS.get(code, "this session was ended")
        )
        super()._send_disconnect(code, text, lang)

    def end(self, code: int, text: str) -> None:
        """End this connection with a text of our own. Nothing more is received, but what we have sent still goes out."""
        self.disconnect(code, FixedText(text))
