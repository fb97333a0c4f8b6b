"""A channel of a logged-in connection: SFTP gets a drop box of its own, a shell or a command gets a refusal."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, cast

import asyncssh
from asyncssh.stream import SSHServerStreamSession

from sftpd.session.drop_box import DropBox
from sftpd.session.packet_handler import PacketHandler
from sftpd.sessions import Session

COMMANDS_REFUSED: Final = "this service only accepts SFTP uploads"
# How the older scp protocol says that it can't go on. Without an answer, curl takes an upload by scp:// for done.
_SCP_FAILED: Final = b"\x02"
# Seconds in which the channels of a front that stops may note what their open handles leave behind.
_LAST_NOTES: Final = 0.5


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

    `make_box` is called when the client asks for SFTP, and `on_end` when the channel is closed.
    """

    def __init__(
        self,
        session: Session,
        make_box: Callable[["asyncssh.SSHServerChannel[bytes]"], DropBox],
        on_end: Callable[[], None],
        tasks: ChannelTasks,
    ) -> None:
        super().__init__(cast(Any, refuse_command))
        self._session: Final = session
        self._make_box: Final = make_box
        self._on_end: Final = on_end
        self._tasks: Final = tasks

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only SFTP is a subsystem here."""
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Pass on what came, and note that the client is alive.

        One big WRITE over a slow line may take longer than the idle limit, and is no request until it is whole.
        """
        self._session.touch()
        super().data_received(data, datatype)

    def exception_received(self, exc: Exception) -> None:
        """Ignore signals, breaks and window sizes: asyncssh would lose the packet that it is reading."""

    def session_started(self) -> None:
        """Begin to serve the channel, now that it is known what the client wants of it."""
        if self._chan is None or self._conn is None or self._chan.get_subsystem() != "sftp":
            super().session_started()
            return
        channel = cast("asyncssh.SSHServerChannel[bytes]", self._chan)
        channel.set_encoding(None)
        self._encoding = None
        reader = asyncssh.SSHReader[bytes](self, channel)
        writer = asyncssh.SSHWriter[bytes](self, channel)
        handler = PacketHandler(self._make_box(channel), reader, writer)
        self._tasks.add(self._conn.create_task(handler.run(), reader.logger))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection that one of its channels has ended."""
        self._on_end()
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
