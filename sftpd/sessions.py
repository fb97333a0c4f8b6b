"""One SSH login: whose it is, where it comes from, and what it is doing right now.

`sftpd.connections.ssh_server` makes a `Session` when a login succeeds, and gives the same one to every channel of that
connection.
"""

import time
from dataclasses import dataclass, field
from typing import Protocol

from audit.events import Actor
from keys.access import KeyUse
from processing.intake import Sender


class Receiving(Protocol):
    """An upload whose bytes are coming."""

    @property
    def size(self) -> int:
        """How many bytes it has so far."""


@dataclass(slots=True, eq=False)
class Session:
    """What is known of one login. The drop boxes of its channels keep the counts, and the server reads them."""

    campaign_id: str
    connection_id: str
    source_address: str
    fingerprint: str
    # The client's version string, such as SSH-2.0-OpenSSH_9.2p1. The client alone vouches for it.
    client_version: str = ""
    # How many handles are open now, over all channels of this login.
    open_handles: int = 0
    # Uploads that a stop should wait for: a handle open for writing, or a CLOSE or RENAME not yet answered.
    active_uploads: int = 0
    # Those of them whose handles are open, or whose CLOSE is not answered yet.
    receiving: set[Receiving] = field(default_factory=set, repr=False)
    # The login's access was taken away: nothing more is served, and what is unfinished is dropped.
    revoked: bool = False
    # When the last bytes came from the client, or an answer was ready for it, by `time.monotonic()`. For the idle limit.
    touched_at: float = field(default_factory=time.monotonic)

    @property
    def sender(self) -> Sender:
        """This login, as the intake and the audit trail name it."""
        return Sender(
            self.campaign_id,
            Actor(
                name=self.fingerprint, connection_id=self.connection_id, source_address=self.source_address
            ),
        )

    @property
    def key_use(self) -> KeyUse:
        """The key of this login, and where it comes from: what its uploads are judged by."""
        return KeyUse(self.fingerprint, self.source_address)

    def touch(self) -> None:
        """Note a sign of life."""
        self.touched_at = time.monotonic()

    def revoke(self) -> None:
        """Serve nothing more, not even requests that have arrived already. The caller then ends the connection."""
        self.revoked = True

    @property
    def receiving_bytes(self) -> int | None:
        """How many bytes have come of the uploads whose handles are open; None where there are none."""
        return sum(upload.size for upload in self.receiving) if self.receiving else None

    def begin_upload(self, upload: Receiving | None = None) -> None:
        """Count one upload in progress. `upload`: its bytes are still to come."""
        self.active_uploads += 1
        if upload is not None:
            self.receiving.add(upload)

    def end_upload(self, upload: Receiving | None = None) -> None:
        """Count one upload less, whatever became of it."""
        self.active_uploads -= 1
        if upload is not None:
            self.receiving.discard(upload)
