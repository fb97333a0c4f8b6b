"""One connection, from accept to its end, and the live sessions: the connections that are logged in."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import asyncssh

from config.addresses import Address, Block, block_of
from config.identifiers import new_identifier
from sftpd import metrics
from sftpd.connections.ssh_connection import GuardedConnection
from sftpd.sessions import Session

# A client that means to log in says something within this many seconds.
_JUST_COME: Final = 1.0


@dataclass(slots=True, eq=False)
class LiveConnection:
    """What is known of one connection. `began` is in seconds of the monotonic clock."""

    address: Address
    connection_id: str = field(default_factory=lambda: new_identifier("connection"))
    began: float = field(default_factory=time.monotonic)
    # None until asyncssh has begun the protocol.
    ssh_connection: GuardedConnection | None = None
    # None until a login has succeeded.
    session: Session | None = None
    # Somebody logged in from this address lately.
    is_known: bool = False
    # We ended the connection for want of room or at a stop, so that it doesn't count as a failed login.
    dropped: bool = False
    # Why we ended the session: revoked, idle or stopping. None where the client left or was lost.
    ended_because: str | None = None

    @property
    def block(self) -> Block:
        """The block of addresses that limits count this connection under."""
        return block_of(self.address)

    @property
    def standing(self) -> int:
        """How far the connection has come towards a login. One from an address with a login lately ranks before all others."""
        return (10 if self.is_known else 0) + (self.ssh_connection.progress if self.ssh_connection else 0)

    @property
    def is_logging_in(self) -> bool:
        """Whether the connection is on its way to a login, or came so lately that it may be."""
        progress = self.ssh_connection.progress if self.ssh_connection else 0
        return progress > 0 or time.monotonic() - self.began < _JUST_COME

    def drop(self) -> None:
        """End a connection that is not logged in at once, without telling the client anything."""
        self.dropped = True
        if self.ssh_connection is not None:
            self.ssh_connection.abort()

    def end(self, cause: str, text: str) -> None:
        """End a session with a line that the client shows its user. `cause` is for logs, metrics and the audit trail."""
        if self.ssh_connection is not None and self.ended_because is None:
            self.ended_because = cause
            metrics.SESSIONS_ENDED.labels(cause).inc()
            self.ssh_connection.end(asyncssh.DISC_BY_APPLICATION, text)

    def revoke(self) -> None:
        """Take the access away. Not even requests that have arrived are served any more, and what is unfinished is dropped."""
        if self.session is not None:
            self.session.revoke()
        self.end("revoked", "access to this campaign was withdrawn")


class LiveSessions:
    """The connections that are logged in, by campaign."""

    def __init__(self) -> None:
        self._of_campaign: dict[str, set[LiveConnection]] = {}

    def __iter__(self) -> Iterator[LiveConnection]:
        """All of them, as of now: they may end while the caller goes through them."""
        return iter(list(chain.from_iterable(self._of_campaign.values())))

    @property
    def campaigns(self) -> list[str]:
        """The campaigns that have a login."""
        return list(self._of_campaign)

    def of_campaign(self, campaign_id: str) -> list[LiveConnection]:
        """The logins of one campaign."""
        return list(self._of_campaign.get(campaign_id, ()))

    def add(self, campaign_id: str, live_connection: LiveConnection) -> None:
        """Enter a login."""
        self._of_campaign.setdefault(campaign_id, set()).add(live_connection)

    def remove(self, campaign_id: str, live_connection: LiveConnection) -> None:
        """Take a login out. One that isn't there is fine."""
        live_connections = self._of_campaign.get(campaign_id)
        if live_connections is not None:
            live_connections.discard(live_connection)
            if not live_connections:
                del self._of_campaign[campaign_id]
