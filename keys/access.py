"""Answers what the SFTP front asks at each login, and once more before an upload is taken: who may come in, and from where?"""

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import asyncpg

from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("keys", "access.sql")


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A key, by its fingerprint, and the address that it was used from, without a zone."""

    fingerprint: str
    source_address: str


@dataclass(frozen=True, slots=True)
class Access:
    """What lets a campaign in. Without `allowed_sources` it may come from anywhere.

    `fingerprints` are those of the keys in force, written `SHA256:…`.
    """

    campaign_id: str
    name: str
    allowed_sources: tuple[IPv4Network | IPv6Network, ...]
    fingerprints: frozenset[str]

    def lets_in(self, use: KeyUse) -> bool:
        """Whether the key is in force, and may be used from there."""
        if use.fingerprint not in self.fingerprints:
            return False
        if not self.allowed_sources:
            return True
        address = ip_address(use.source_address)
        return any(address in network for network in self.allowed_sources)


async def fetch_access(connection: Connection, campaign_id: str) -> Access | None:
    """Ask with one query. None for an unknown, suspended or deleted campaign alike: nobody outside may tell them apart."""
    return _access_of(await connection.fetchrow(SQL["fetch_access"], campaign_id))


async def hold_access(
    connection: Connection, campaign_id: str, fingerprints: Collection[str]
) -> Access | None:
    """Ask like `fetch_access`, of these keys only, and let nobody change the answer until the caller's transaction ends.

    Whoever takes away the access waits for that, and we for whoever is taking it away.
    """
    return _access_of(await connection.fetchrow(SQL["hold_access"], campaign_id, list(fingerprints)))


def _access_of(row: asyncpg.Record | None) -> Access | None:
    if row is None:
        return None
    return Access(
        campaign_id=row["id"],
        name=row["name"],
        allowed_sources=tuple(row["allowed_sources"]),
        fingerprints=frozenset(row["fingerprints"]),
    )
