"""A channel of a logged-in connection, watched for signs of life."""

from collections.abc import Callable
from typing import Final

import asyncssh

from sftpd.session.drop_box import DropBox
from sftpd.session.packet_handler import UploadChannel
from sftpd.sessions import Session

COMMANDS_REFUSED: Final = "this service only accepts SFTP uploads"
# How the older scp protocol says that it can't go on. Without an answer, curl takes an upload by scp:// for done.
_SCP_FAILED: Final = b"\x02"


class WatchedChannel(UploadChannel):
    """An upload channel that notes every piece that arrives.

    One big WRITE over a slow line takes longer than the idle limit, and is no request until it is whole.
    """

    def __init__(
        self,
        session: Session,
        make_box: Callable[["asyncssh.SSHServerChannel[bytes]"], DropBox],
        ended: Callable[[], None],
    ) -> None:
        super().__init__(refuse_command, make_box)
        self._session: Final = session
        self._ended: Final = ended

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Note the sign of life, and pass it on."""
        self._session.touch()
        super().data_received(data, datatype)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the channel's place back."""
        self._ended()
        super().connection_lost(exc)


def refuse_command(
    stdin: asyncssh.SSHReader[bytes],  # noqa: ARG001 - asyncssh's signature
    stdout: asyncssh.SSHWriter[bytes],
    stderr: asyncssh.SSHWriter[bytes],
) -> None:
    """Answer a shell or a command: one line on stderr, and exit status 1."""
    channel = stdout.channel
    assert isinstance(channel, asyncssh.SSHServerChannel)  # noqa: S101 - only servers answer commands
    if (channel.get_command() or "").startswith("scp "):
        stdout.write(_SCP_FAILED)
    stderr.write(COMMANDS_REFUSED.encode() + b"\n")
    channel.exit(1)
