"""asyncssh's server connection with what it lacks: limits before a login, a budget after it, and texts of our own.

Each packet passes `_recv_pkthdr` before it is decrypted, and asks the connection's budget there. Each method of
`asyncssh.SSHServerConnection` that is overridden here has a test, which fails when asyncssh changes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import asyncssh
from asyncssh.logging import SSHLogger
from asyncssh.packet import SSHPacket, SSHPacketLogger

from config.addresses import Block
from config.sections import SFTPSettings
from sftpd.budgets import OBJECT_BYTES, Excess, SessionBudget, Turns, metered
from sftpd.connections.algorithms import COSTLY_KEY_EXCHANGES
from sftpd.connections.pacing import Pacer

_MSG_KEXINIT: Final = 20  # RFC 4253 §12
_MSG_USERAUTH_REQUEST: Final = 50  # RFC 4252 §6
# REQUEST_SUCCESS and REQUEST_FAILURE, the replies to a global request (RFC 4254 §4).
_GLOBAL_REPLIES: Final = frozenset((81, 82))

# What RFC 4253 §6.1 has every side take, and a little padding. asyncssh's own limit is 256 KB.
_MAX_PACKET_BYTES: Final = 35 * 1024
# The event loop reads up to 256 KB at once, and with every packet of 32 KB asyncssh copies all the rest. In pieces of two
# packets, a big upload costs the front a fifth less processor.
_MOST_AT_ONCE: Final = 64 * 1024
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


class QuietLogger(SSHLogger):
    """asyncssh's logger, but for lines that nobody sees: it makes a text of all arguments of those too, such as of a path."""

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Write a line, if lines of that level are written."""
        if self.isEnabledFor(level):
            super().log(level, msg, *args, **kwargs)


class GuardedConnection(asyncssh.SSHServerConnection):
    """One connection. `early_bytes` are those that the client has sent already, behind a PROXY header."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        *,
        block: Block,
        pacer: Pacer,
        turns: Turns,
        settings: SFTPSettings,
        early_bytes: bytes = b"",
    ) -> None:
        super().__init__(loop, options)
        self._logger = QuietLogger(context=f"conn={id(self):x}")
        self._max_recv_pktlen = _MAX_PACKET_BYTES
        self._block: Final = block
        self._pacer: Final = pacer
        self._settings: Final = settings
        self.budget: Final = SessionBudget(settings, turns, block)
        self.budget.receive_more = self._receive_more
        self.budget.count_unread = self._count_unread
        self._requests_left = settings.max_keys_tried * _REQUESTS_PER_KEY + _OTHER_REQUESTS
        self._bytes_left = settings.max_login_bytes
        self._early_bytes = early_bytes
        # What has arrived and is not given to asyncssh yet. As long as there is something, nothing more is read.
        self._arrived: Final[deque[bytes]] = deque()
        self._is_reading_paused = False
        self._is_receiving = False
        self._must_wait = False
        self._deferred_bytes = 0
        # When the last key exchange began, and the bytes that arrived since.
        self._keys_exchanged_at = time.monotonic()
        self._bytes_since_exchange = 0
        self._host_keys_proven: set[bytes] = set()
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

    def data_received(self, data: bytes, datatype: int | None = None) -> None:  # noqa: ARG002 - asyncssh's signature
        """Take what the client sends. Before a login, a client that sends more than any login needs is cut."""
        if not self.logged_in:
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                self.abort()
                return
        self._bytes_since_exchange += len(data)
        self._arrived.extend(data[at : at + _MOST_AT_ONCE] for at in range(0, len(data), _MOST_AT_ONCE))
        self._receive_more()

    def _receive_more(self) -> None:
        """Give asyncssh what has arrived, as far as the budget allows; read on only when nothing is left."""
        if self._is_receiving or self._transport is None:
            return
        self._is_receiving = True
        self._must_wait = False
        self.budget.start_clock()
        try:
            if self._inpbuf:
                self._recv_data()
            while self._arrived and not self._is_full():
                super().data_received(self._arrived.popleft())
        finally:
            self._is_receiving = False
            self.budget.stop_clock()
        self._pause_or_resume_reading()

    def _is_full(self) -> bool:
        # The budget is used up; or what came has ended the connection, which `is_closed` tells only when all is cleaned up; or a
        # packet takes its time, since asyncssh holds more than any has.
        return self._must_wait or self._transport is None or len(self._inpbuf) > _MOST_AT_ONCE

    def _pause_or_resume_reading(self) -> None:
        # Gone, or ended by what came.
        if self._transport is None or self._transport.is_closing():
            self._arrived.clear()
        elif bool(self._arrived) != self._is_reading_paused:
            self._is_reading_paused = not self._is_reading_paused
            if self._is_reading_paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _recv_pkthdr(self) -> bool:
        """Begin with the next packet, or leave it for later where the budget is used up."""
        unsent = max(self._count_unsent(), self._deferred_bytes // 2)
        self._must_wait = not self.budget.may_receive(unsent)
        return not self._must_wait and super()._recv_pkthdr()

    def _finish_recv_packet(
        self, pkttype: int, seq: int, _task: "asyncio.Task[None] | None" = None, is_async: bool = False
    ) -> None:
        """Go on to the next packet, also with what has arrived while this one took its time."""
        super()._finish_recv_packet(pkttype, seq)
        if is_async:
            self._receive_more()

    def create_task(
        self, coro: Awaitable[None], task_logger: SSHLogger | None = None
    ) -> "asyncio.Task[None]":
        """Start a task of this connection, whose processor time counts as the connection's."""
        return super().create_task(metered(coro, self.budget), task_logger)

    def _cleanup(self, exc: Exception | None) -> None:
        """Let go of everything, and of everybody who waits for the budget."""
        super()._cleanup(exc)
        self._arrived.clear()
        self.budget.end()

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """Let key exchanges wait for their time, and count the client's requests before a login.

        A reply to a global request that nobody waits for is ignored, as OpenSSH does. The host keys are announced by a request
        that wants no reply, and phpseclib before 3.0.48 and Dropbear reply all the same; asyncssh would end the connection.
        """
        if pkttype in _GLOBAL_REPLIES and not self._global_request_waiters:
            return True
        if pkttype == _MSG_KEXINIT and len(packet.get_full_payload()) > self._settings.max_kexinit_bytes:
            raise DisconnectWithText(asyncssh.DISC_PROTOCOL_ERROR, "these are too many algorithms")
        if self.logged_in:
            if pkttype == _MSG_KEXINIT:
                return self._exchange_keys_again(pkttype, pktid, packet)
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
        await self._exchange_keys(pkttype, pktid, packet)

    async def _exchange_keys_again(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """Exchange keys of a session anew. What the client sends meanwhile stays unread."""
        due_at = self._keys_exchanged_at + self._settings.key_exchange_interval
        wait = due_at - time.monotonic()
        is_ours = self._kexinit_sent
        if wait > 0 and not is_ours and self._bytes_since_exchange < self._settings.key_exchange_bytes:
            self.budget.tell(Excess.KEY_EXCHANGES)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._close_event.wait()
        # Who has logged in doesn't wait behind those who haven't, but those wait the longer for it.
        self._pacer.charge(1)
        await self._exchange_keys(pkttype, pktid, packet)

    async def _exchange_keys(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        if self.is_closed():
            return
        self._keys_exchanged_at = time.monotonic()
        self._bytes_since_exchange = 0
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

    def _service_next_global_request(self) -> None:
        """Answer a request of the whole connection. All but two are refused, without a look at them."""
        handler, _, _ = self._global_request_queue[0]
        if handler in (
            self._process_keepalive_at_openssh_dot_com_global_request,
            self._process_hostkeys_prove_00_at_openssh_dot_com_global_request,
        ):
            super()._service_next_global_request()
        else:
            self._report_global_response(False)

    def _process_hostkeys_prove_00_at_openssh_dot_com_global_request(self, packet: SSHPacket) -> None:
        """Sign with the host keys that the client names, with each once in a connection: an RSA signature takes 3 ms."""
        asked, request = set(), SSHPacket(packet.get_remaining_payload())
        while packet:
            key = packet.get_string()
            if key in asked or key in self._host_keys_proven:
                self.budget.tell(Excess.HOST_KEYS)
                self._report_global_response(False)
                return
            asked.add(key)
        self._host_keys_proven |= asked & self._all_server_host_keys.keys()
        super()._process_hostkeys_prove_00_at_openssh_dot_com_global_request(request)

    def send_packet(self, pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        """Send a packet, or keep it until a key exchange has ended; what is kept is counted."""
        before = len(self._deferred_packets)
        super().send_packet(pkttype, *args, handler=handler)
        if len(self._deferred_packets) > before:
            self._deferred_bytes += sum(map(len, args)) + OBJECT_BYTES

    def _send_deferred_packets(self) -> None:
        """Send what a key exchange has kept back."""
        self._deferred_bytes = 0
        super()._send_deferred_packets()

    def resume_writing(self) -> None:
        """The transport has sent most of what it had."""
        super().resume_writing()
        self.budget.note_read()

    def _count_unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def _count_unread(self) -> int:
        """How many bytes of answers wait, in the channels for the client's window, and here for its reading."""
        in_channels = sum(
            channel._send_buf_len + OBJECT_BYTES * len(channel._send_buf)  # noqa: SLF001 - asyncssh tells only the first
            for channel in self._channels.values()
        )
        return in_channels + self._deferred_bytes + self._count_unsent()

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
