"""Answers what the SFTP front asks at each login: may this campaign come in, with which keys, and from where?"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("keys", "access.sql")


@dataclass(frozen=True, slots=True)
class Access:
    """What lets a campaign in. Without `allowed_sources` it may come from anywhere.

    `fingerprints` are those of the keys in force, written `SHA256:…`.
    """

    campaign_id: str
    name: str
    allowed_sources: tuple[IPv4Network | IPv6Network, ...]
    fingerprints: frozenset[str]


async def fetch_access(connection: Connection, campaign_id: str) -> Access | None:
    """Ask with one query. None for an unknown, suspended or deleted campaign alike: nobody outside may tell them apart."""
    row = await connection.fetchrow(SQL["fetch_access"], campaign_id)
    if row is None:
        return None
    return Access(
        campaign_id=row["id"],
        name=row["name"],
        allowed_sources=tuple(row["allowed_sources"]),
        fingerprints=frozenset(row["fingerprints"]),
    )
