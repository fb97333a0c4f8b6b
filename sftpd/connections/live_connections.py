"""One connection, from accept to its end, and the roster of those logged in."""

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
class Visit:
    """What is known of one connection. `began` and other times: seconds of the monotonic clock."""

    address: Address
    connection_id: str = field(default_factory=lambda: new_identifier("connection"))
    began: float = field(default_factory=time.monotonic)
    # None until the protocol runs.
    connection: GuardedConnection | None = None
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
        return (10 if self.is_known else 0) + (self.connection.progress if self.connection else 0)

    @property
    def is_logging_in(self) -> bool:
        """Whether it is on its way to a login, or came so lately that it may be."""
        progress = self.connection.progress if self.connection else 0
        return progress > 0 or time.monotonic() - self.began < _JUST_COME

    def drop(self) -> None:
        """End it at once, without a word: it was not logged in."""
        self.dropped = True
        if self.connection is not None:
            self.connection.abort()

    def end(self, reason: str, text: str) -> None:
        """End a login, with a line that the client shows its user. `reason` is for logs, metrics and the trail."""
        if self.connection is not None and self.ended_because is None:
            self.ended_because = reason
            metrics.SESSIONS_ENDED.labels(reason).inc()
            self.connection.end(asyncssh.DISC_BY_APPLICATION, text)

    def revoke(self) -> None:
        """Take the access away: nothing that has arrived already is served any more, and what is unfinished is dropped."""
        if self.session is not None:
            self.session.revoke()
        self.end("revoked", "access to this campaign was withdrawn")


class Roster:
    """Who is logged in, by campaign."""

    def __init__(self) -> None:
        self._of_campaign: dict[str, set[Visit]] = {}

    def __iter__(self) -> Iterator[Visit]:
        """Everyone, as of now."""
        return iter([visit for visits in self._of_campaign.values() for visit in visits])

    @property
    def campaigns(self) -> list[str]:
        """The campaigns that have a login."""
        return list(self._of_campaign)

    def of_campaign(self, campaign_id: str) -> list[Visit]:
        """The logins of one campaign."""
        return list(self._of_campaign.get(campaign_id, ()))

    def add(self, campaign_id: str, visit: Visit) -> None:
        """Enter a login."""
        self._of_campaign.setdefault(campaign_id, set()).add(visit)

    def remove(self, campaign_id: str, visit: Visit) -> None:
        """Strike one out; one that isn't there is fine."""
        visits = self._of_campaign.get(campaign_id)
        if visits is not None:
            visits.discard(visit)
            if not visits:
                del self._of_campaign[campaign_id]
