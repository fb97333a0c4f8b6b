"""The front's one question at login: may this campaign come in, with which keys, from where?"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("keys", "access.sql")


@dataclass(frozen=True, slots=True)
class Access:
    """What lets a campaign in. No `allowed_sources`: from anywhere. `fingerprints` are `SHA256:…` of keys in force."""

    campaign_id: str
    name: str
    allowed_sources: tuple[IPv4Network | IPv6Network, ...]
    fingerprints: frozenset[str]


async def fetch_access(connection: Connection, campaign_id: str) -> Access | None:
    """One query. None for a campaign that is unknown, suspended or deleted: the caller can't tell them apart."""
    row = await connection.fetchrow(SQL["fetch_access"], campaign_id)
    if row is None:
        return None
    return Access(
        campaign_id=row["id"],
        name=row["name"],
        allowed_sources=tuple(row["allowed_sources"]),
        fingerprints=frozenset(row["fingerprints"]),
    )
