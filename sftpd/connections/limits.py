"""How many connections and logins there may be at a time: in all, from one address, not yet logged in, of one campaign.

This is pure counting, without a clock or a socket. The limits are those of a node. Each of its processes keeps an even share,
rounded up.
"""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from config.addresses import Block
from config.sections import SFTPSettings


class Excess(StrEnum):
    """Which limit a connection or a login would break. The values name it in logs and metrics."""

    CONNECTIONS = "max_connections"
    CONNECTIONS_OF_ADDRESS = "max_connections_per_address"
    UNAUTHENTICATED = "max_unauthenticated"
    SESSIONS_OF_CAMPAIGN = "max_sessions_per_campaign"


class CountedConnection(Protocol):
    """What is counted: a connection from one block of addresses. Two of them are told apart by identity."""

    @property
    def block(self) -> Block:
        """Where it comes from."""
        ...

    @property
    def standing(self) -> int:
        """A rank. Of two connections that might have to make room, the one of lower standing goes."""
        ...

    def drop(self) -> None:
        """End the connection, because it has to make room."""
        ...


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a node's limits that one process keeps."""

    connections: int
    connections_per_address: int
    unauthenticated: int
    sessions_per_campaign: int


def share_of(settings: SFTPSettings) -> Share:
    """One process's share of the limits. It is rounded up, so that it is never 0."""

    def split(limit: int) -> int:
        return -(-limit // settings.processes)

    return Share(
        connections=split(settings.max_connections),
        connections_per_address=split(settings.max_connections_per_address),
        unauthenticated=split(settings.max_unauthenticated),
        sessions_per_campaign=split(settings.max_sessions_per_campaign),
    )


class Limits:
    """The counters of one process."""

    def __init__(self, share: Share) -> None:
        self._share: Final = share
        self._total = 0
        self._of_block: Counter[Block] = Counter()
        # Connections by block, then by identity in the order of their arrival, each with the number of its arrival.
        self._unauthenticated: dict[Block, OrderedDict[int, tuple[int, CountedConnection]]] = {}
        self._arrivals = 0
        self._unauthenticated_total = 0
        self._of_campaign: Counter[str] = Counter()

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return self._total

    @property
    def unauthenticated(self) -> int:
        """How many connections are not logged in."""
        return self._unauthenticated_total

    @property
    def sessions(self) -> int:
        """How many logins there are."""
        return self._of_campaign.total()

    @property
    def waiting(self) -> list[CountedConnection]:
        """The connections that are not logged in."""
        return [
            connection for waiting in self._unauthenticated.values() for _, connection in waiting.values()
        ]

    def excess_for(self, block: Block) -> Excess | None:
        """The limit that one more connection from `block` would break, or None."""
        if self._total >= self._share.connections:
            return Excess.CONNECTIONS
        if self._of_block[block] >= self._share.connections_per_address:
            return Excess.CONNECTIONS_OF_ADDRESS
        return None

    def enter(self, connection: CountedConnection) -> CountedConnection | None:
        """Count a newcomer that `excess_for` let in. Returns the connection to drop for it, never the newcomer itself.

        Beyond the unauthenticated limit, the block that has most of them gives up its oldest one. Among blocks that have
        equally many, the oldest one of lowest standing goes, and among those the one that came first.
        """
        block = connection.block
        self._total += 1
        self._of_block[block] += 1
        self._arrivals += 1
        self._unauthenticated.setdefault(block, OrderedDict())[id(connection)] = (self._arrivals, connection)
        self._unauthenticated_total += 1
        if self._unauthenticated_total <= self._share.unauthenticated:
            return None
        # The newcomer is the oldest of its block only where the block has no other. Then another block makes room, however
        # far its connection has come.
        oldest_of_each = (
            (len(waiting), *oldest)
            for waiting in self._unauthenticated.values()
            if (oldest := next(iter(waiting.values())))[1] is not connection
        )
        _, _, dropped = max(oldest_of_each, key=lambda entry: (entry[0], -entry[2].standing, -entry[1]))
        self._forget_unauthenticated(dropped)
        return dropped

    def log_in(self, connection: CountedConnection, campaign_id: str) -> Excess | None:
        """Count a login, after which its connection isn't unauthenticated any more.

        Returns the limit that the login would break, and then doesn't count it.
        """
        self._forget_unauthenticated(connection)
        if self._of_campaign[campaign_id] >= self._share.sessions_per_campaign:
            return Excess.SESSIONS_OF_CAMPAIGN
        self._of_campaign[campaign_id] += 1
        return None

    def log_out(self, campaign_id: str) -> None:
        """Uncount a login that `log_in` counted."""
        self._of_campaign[campaign_id] -= 1
        if self._of_campaign[campaign_id] <= 0:
            del self._of_campaign[campaign_id]

    def leave(self, connection: CountedConnection) -> None:
        """Uncount a connection that `enter` counted."""
        self._forget_unauthenticated(connection)
        self._total -= 1
        self._of_block[connection.block] -= 1
        if self._of_block[connection.block] <= 0:
            del self._of_block[connection.block]

    def _forget_unauthenticated(self, connection: CountedConnection) -> None:
        waiting = self._unauthenticated.get(connection.block)
        if waiting is None or waiting.pop(id(connection), None) is None:
            return
        self._unauthenticated_total -= 1
        if not waiting:
            del self._unauthenticated[connection.block]
