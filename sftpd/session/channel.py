"""A channel of a logged-in connection: SFTP gets a drop box of its own, a shell or a command gets a refusal."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self, cast

import asyncssh
from asyncssh.packet import SSHPacket, UInt32
from asyncssh.stream import SSHServerStreamSession

from sftpd.budgets import SessionBudget
from sftpd.session.drop_box import DropBox
from sftpd.session.packet_handler import PacketHandler
from sftpd.session.requests import RequestStream
from sftpd.sessions import Session

# The name of the tasks that serve channels.
SERVING: Final = "sftpd channel"
COMMANDS_REFUSED: Final = "this service only accepts SFTP uploads"
# How the older scp protocol says that it can't go on. Without an answer, curl takes an upload by scp:// for done.
_SCP_FAILED: Final = b"\x02"
# Seconds in which the channels of a front that stops may note what their open handles leave behind.
_LAST_NOTES: Final = 0.5


_MSG_WINDOW_ADJUST, _MSG_CLOSE = 93, 97  # RFC 4254 §9
# What a client may send before it hears that more is welcome, and in one packet. Both are asyncssh's own figures, but each
# further channel of a connection has half the window of the one before: all of them together have two.
_WINDOW: Final = 2 * 1024 * 1024
_SMALLEST_WINDOW: Final = 64 * 1024
_MAX_PACKET: Final = 32 * 1024
# The only requests of a channel that are looked at. All others are refused: environment, terminals, forwarding, signals.
_SERVED: Final = frozenset({"subsystem", "exec", "shell", "keepalive@openssh.com"})


class GuardedChannel(asyncssh.SSHServerChannel[bytes]):
    """asyncssh's channel, in which a client's window opens again only when its requests are served.

    It tells its session at once when it is closed, as asyncssh does only later.
    """

    def __init__(self, connection: asyncssh.SSHServerConnection, budget: SessionBudget, window: int) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(
            connection,
            loop,
            allow_pty=False,
            line_editor=False,
            line_echo=False,
            line_history=0,
            max_line_length=0,
            encoding=None,
            errors="strict",
            window=window,
            max_pktsize=_MAX_PACKET,
        )
        self._budget: Final = budget
        self._released = 0

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> bool | Awaitable[None]:
        """Take a packet of this channel; one that opens the client's window may be what requests wait for."""
        session = self._session
        result = super().process_packet(pkttype, pktid, packet)
        if pkttype == _MSG_CLOSE and isinstance(session, UploadChannel):
            session.note_closed()
        if pkttype == _MSG_WINDOW_ADJUST:
            self._budget.note_read()
        return result

    def _service_next_request(self) -> None:
        """Answer a request of the channel."""
        if self._request_queue[0][0] in _SERVED:
            super()._service_next_request()
        else:
            self._report_response(False)

    def _accept_data(self, data: bytes, datatype: int | None = None) -> None:
        """Take data, but none before it is known what the client wants of the channel: asyncssh would keep it."""
        if self._recv_paused:
            raise asyncssh.ProtocolError("data before a request")
        super()._accept_data(data, datatype)

    def _deliver_data(self, data: bytes, datatype: int | None) -> None:
        """Hand data on. asyncssh would open the window again here, before anything is served."""
        if self._session is not None:
            self._session.data_received(data, datatype)

    def reopen_window(self, size: int) -> None:
        """Let the client send so many bytes more. It hears so when they are half a window."""
        self._released += size
        if self._released >= self._init_recv_window // 2 and self._recv_state == "open":
            self.send_packet(_MSG_WINDOW_ADJUST, UInt32(self._released))
            self._recv_window += self._released
            self._released = 0


class ChannelTasks:
    """Owns the tasks that serve channels. On leaving this context, those that still run are cancelled and awaited.

    asyncssh starts such a task and reports its errors, but never ends it. Usually the task ends soon after its channel.
    It outlives it where a client leaves in the middle of its CLOSE, while its upload is being stored.
    """

    def __init__(self) -> None:
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    def add(self, task: "asyncio.Task[None]") -> None:
        """Take over a task that has just been started."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_NOTES)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class UploadChannel(SSHServerStreamSession[bytes]):
    """A session channel, made by `SSHServer.session_requested`, one for each channel that a client opens.

    `make_box` is called when the client asks for SFTP, `on_close` when the channel is closed, and `on_end` when it is gone.
    """

    def __init__(
        self,
        session: Session,
        budget: SessionBudget,
        make_box: Callable[["asyncssh.SSHServerChannel[bytes]"], DropBox],
        on_close: Callable[[], None],
        on_end: Callable[[], None],
        tasks: ChannelTasks,
    ) -> None:
        super().__init__(cast(Any, refuse_command))
        self._session: Final = session
        self._budget: Final = budget
        self._requests: RequestStream | None = None
        self._make_box: Final = make_box
        self._on_close: Final = on_close
        self._on_end: Final = on_end
        self._is_closed = False
        self._tasks: Final = tasks

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only SFTP is a subsystem here."""
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: int | None) -> None:  # noqa: ARG002 - asyncssh's signature
        """Take what came, and note that the client is alive.

        One big WRITE over a slow line may take longer than the idle limit, and is no request until it is whole. What a
        command is given to read is dropped.
        """
        self._session.touch()
        if self._requests is not None:
            self._requests.feed(data)

    def eof_received(self) -> bool:
        """Serve what has come, and then no more."""
        if self._requests is not None:
            self._requests.end()
        return super().eof_received()

    def exception_received(self, exc: Exception) -> None:
        """Ignore signals, breaks and window sizes: asyncssh would lose the packet that it is reading."""

    def session_started(self) -> None:
        """Begin to serve the channel, now that it is known what the client wants of it."""
        if self._chan is None or self._conn is None or self._chan.get_subsystem() != "sftp":
            super().session_started()
            return
        channel = cast(GuardedChannel, self._chan)
        self._requests = RequestStream(self._budget, channel.reopen_window)
        reader = asyncssh.SSHReader[bytes](self, channel)
        writer = asyncssh.SSHWriter[bytes](self, channel)
        handler = PacketHandler(self._make_box(channel), self._budget, self._requests, reader, writer)
        task = self._conn.create_task(handler.run(), reader.logger)
        task.set_name(SERVING)
        self._tasks.add(task)

    def note_closed(self) -> None:
        """Nothing comes by this channel any more."""
        if not self._is_closed:
            self._is_closed = True
            self._on_close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection that one of its channels has ended."""
        self.note_closed()
        self._on_end()
        if self._requests is not None:
            self._requests.end()
        super().connection_lost(exc)


def refuse_command(
    stdin: asyncssh.SSHReader[bytes],  # noqa: ARG001 - asyncssh's signature
    stdout: asyncssh.SSHWriter[bytes],
    stderr: asyncssh.SSHWriter[bytes],
) -> None:
    """Answer a shell or a command with one line on stderr and exit status 1."""
    channel = stdout.channel
    assert isinstance(channel, asyncssh.SSHServerChannel)  # noqa: S101 - only servers answer commands
    if (channel.get_command() or "").startswith("scp "):
        stdout.write(_SCP_FAILED)
    stderr.write(COMMANDS_REFUSED.encode() + b"\n")
    channel.exit(1)


def open_channel(
    connection: asyncssh.SSHServerConnection,
    budget: SessionBudget,
    upload_channel: UploadChannel,
    others: int,
) -> tuple[GuardedChannel, UploadChannel]:
    """What `SSHServer.session_requested` gives to asyncssh. `others`: how many channels the connection has beside it."""
    return GuardedChannel(connection, budget, max(_WINDOW >> others, _SMALLEST_WINDOW)), upload_channel
