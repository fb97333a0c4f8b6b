"""One SSH login: whose it is, where it comes from, and what it is doing right now.

The server makes a `Session` when a login succeeds and gives the same one to every channel of that connection:

    class Server(asyncssh.SSHServer):
        def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
            return UploadChannel(refuse_command, lambda channel: DropBox(channel, session, spool, intake, settings))

(`sftpd.session.packet_handler.UploadChannel`; the options then name neither `sftp_factory` nor `process_factory`.)
"""

import asyncio
import time
from dataclasses import dataclass, field

from audit.events import Actor
from processing.intake import Sender


@dataclass(slots=True, eq=False)
class Session:
    """What is known of one login. Counts are kept by the drop boxes of its channels; the server reads them."""

    campaign_id: str
    connection_id: str
    source_address: str
    fingerprint: str
    # Handles open at a time, over all channels of this login.
    open_handles: int = 0
    # Uploads that a stop should wait for: a handle open for writing, or a CLOSE or RENAME not yet answered.
    active_uploads: int = 0
    # Access was taken away: nothing more is served, and what is unfinished is dropped.
    revoked: bool = False
    # `time.monotonic()` of the last request's arrival or answer, for the idle limit.
    touched_at: float = field(default_factory=time.monotonic)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def sender(self) -> Sender:
        """This login, as the intake and the audit trail name it."""
        return Sender(
            self.campaign_id,
            Actor(
                name=self.fingerprint, connection_id=self.connection_id, source_address=self.source_address
            ),
        )

    def touch(self) -> None:
        """Note a sign of life."""
        self.touched_at = time.monotonic()

    def revoke(self) -> None:
        """Serve nothing more, even requests that have arrived already. The caller then ends the connection."""
        self.revoked = True

    def begin_upload(self) -> None:
        """Count one upload in progress."""
        self.active_uploads += 1
        self._idle.clear()

    def end_upload(self) -> None:
        """Count one upload less, whatever became of it."""
        self.active_uploads -= 1
        if self.active_uploads == 0:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Return when no upload of this login is in progress; the caller sets the deadline."""
        await self._idle.wait()
