"""asyncssh's server connection, held to the limits it lacks before a login, and to words of our own.

What it overrides of `asyncssh.SSHServerConnection` is driven by a test each, which fails when asyncssh changes.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

import asyncssh
from asyncssh.packet import SSHPacket, SSHPacketLogger

from sftpd.connections.algorithms import COSTLY_KEY_EXCHANGES
from sftpd.connections.pacing import Pacer
from sftpd.connections.source_addresses import Block

_MSG_KEXINIT: Final = 20  # RFC 4253 §12
_MSG_USERAUTH_REQUEST: Final = 50  # RFC 4252 §6

# A login needs some 8 KB. What sends more before it is logged in wants our processor, not a login.
_BYTES_BEFORE_LOGIN: Final = 256 * 1024
# asyncssh copies all that it has not yet decrypted with every packet of 32 KB that it takes off; the event loop reads up
# to 256 KB at once. In pieces of two packets, a big upload costs the front a fifth less processor.
_PIECE: Final = 64 * 1024
# Answers that wait for a client to read them. The busiest client has 64 requests of a hundred bytes in flight.
_BYTES_UNREAD: Final = 4 * 1024 * 1024
# Each key costs a client two requests, a probe and a signature; then there is `none`, and a password tried in vain.
_REQUESTS_PER_KEY: Final = 2
_OTHER_REQUESTS: Final = 8

# What a client is told at a disconnect that asyncssh decides: its own texts hold what was negotiated, or an exception.
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


class FixedText(str):
    """A text of ours for a client, one line. It is what tells our disconnects from asyncssh's."""

    __slots__ = ()


class DisconnectWithText(asyncssh.DisconnectError):
    """Raised in a hook, it ends the connection with a text of our own."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, FixedText(text))


TOO_MANY_REQUESTS: Final = "too many login attempts on one connection"


class GuardedConnection(asyncssh.SSHServerConnection):
    """One connection. `early_bytes`: what the client sent before it was handed over, behind a PROXY header."""

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
        # It is no bare probe: it asked for a login, whatever became of that.
        self.asked_for_login = False
        self.key_exchanges = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the bytes that came early."""
        super().connection_made(transport)
        if self._early_bytes:
            self.data_received(self._early_bytes)

    def data_received(self, data: bytes, datatype: int | None = None) -> None:
        """Take what the client sends; before a login, not more than a login needs."""
        if not self.logged_in:
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                self.abort()
                return
        for start in range(0, len(data), _PIECE):
            if self._transport is None:
                # Ended by what came before.
                return
            super().data_received(data[start : start + _PIECE], datatype)

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """Pace the key exchange and count the requests of a client that is not logged in."""
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

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send a packet. A client that reads none of its answers is cut: asyncssh would keep them all in memory."""
        super().send_packet(pkttype, *args, handler=handler)
        if self._transport is not None and self._transport.get_write_buffer_size() > _BYTES_UNREAD:
            self.abort()

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """Finish a key exchange; a costly one is charged now that its algorithm is known."""
        algorithm = self._kex.algorithm if self._kex else b""
        self._pacer.charge(COSTLY_KEY_EXCHANGES.get(algorithm, 1) - 1)
        super().send_newkeys(k, h)

    @property
    def progress(self) -> int:
        """How far it has come on its way to a login: 0 nothing said, 1 key exchange begun, 2 a login asked for."""
        return min(self.key_exchanges, 1) + self.asked_for_login

    async def reload_config(self) -> None:
        """Read nothing: asyncssh would build all options anew at each user name, from no configuration file."""

    def _send_disconnect(self, code: int, reason: str, lang: str) -> None:
        """Say goodbye in our own words: asyncssh's texts may hold an exception's."""
        words = (
            reason if isinstance(reason, FixedText) else DISCONNECT_TEXTS.get(code, "this session was ended")
        )
        super()._send_disconnect(code, words, lang)

    def end(self, code: int, text: str) -> None:
        """End this connection with a text of our own. Nothing more is received; what was sent is sent."""
        self.disconnect(code, FixedText(text))
