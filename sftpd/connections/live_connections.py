"""One connection, from accept to its end, and the live_sessions of those logged in."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import asyncssh

from config.identifiers import new_identifier
from sftpd import metrics
from sftpd.connections.source_addresses import Address, Block, block_of
from sftpd.connections.ssh_connection import GuardedConnection
from sftpd.sessions import Session

# Seconds within which a client that is to log in has said something.
_JUST_COME: Final = 1.0


@dataclass(slots=True, eq=False)
class LiveConnection:
    """What is known of one connection. `began` and other times: seconds of the monotonic clock."""

    address: Address
    connection_id: str = field(default_factory=lambda: new_identifier("connection"))
    began: float = field(default_factory=time.monotonic)
    # None until the protocol runs.
    ssh_connection: GuardedConnection | None = None
    # Set at a login.
    session: Session | None = None
    # Somebody logged in from there lately.
    is_known: bool = False
    # We ended it, for want of room or at a stop: no fault of the client's.
    dropped: bool = False
    # Why we ended a login: revoked, idle, stopping. None: the client left, or was lost.
    ended_because: str | None = None

    @property
    def block(self) -> Block:
        """What limits count it under."""
        return block_of(self.address)

    @property
    def standing(self) -> int:
        """How far it has come; an address with a login lately comes before all that have none."""
        return (10 if self.is_known else 0) + (self.ssh_connection.progress if self.ssh_connection else 0)

    @property
    def is_logging_in(self) -> bool:
        """Whether it is on its way to a login, or came so lately that it may be."""
        progress = self.ssh_connection.progress if self.ssh_connection else 0
        return progress > 0 or time.monotonic() - self.began < _JUST_COME

    def drop(self) -> None:
        """End it at once, without a word: it was not logged in."""
        self.dropped = True
        if self.ssh_connection is not None:
            self.ssh_connection.abort()

    def end(self, reason: str, text: str) -> None:
        """End a login, with a line that the client shows its user. `reason` is for logs, metrics and the audit trail."""
        if self.ssh_connection is not None and self.ended_because is None:
            self.ended_because = reason
            metrics.SESSIONS_ENDED.labels(reason).inc()
            self.ssh_connection.end(asyncssh.DISC_BY_APPLICATION, text)

    def revoke(self) -> None:
        """Take the access away: nothing that has arrived already is served any more, and what is unfinished is dropped."""
        if self.session is not None:
            self.session.revoke()
        self.end("revoked", "access to this campaign was withdrawn")


class LiveSessions:
    """Who is logged in, by campaign."""

    def __init__(self) -> None:
        self._of_campaign: dict[str, set[LiveConnection]] = {}

    def __iter__(self) -> Iterator[LiveConnection]:
        """Everyone, as of now."""
        return iter(
            [
                live_connection
                for live_connections in self._of_campaign.values()
                for live_connection in live_connections
            ]
        )

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
        """Strike one out; one that isn't there is fine."""
        live_connections = self._of_campaign.get(campaign_id)
        if live_connections is not None:
            live_connections.discard(live_connection)
            if not live_connections:
                del self._of_campaign[campaign_id]
