"""The table `api_uses`: what each key of the API was used for, from each address, as the campaign's own people are shown it.

It tells how a campaign's programs fare, and is no audit trail: what a process counted in its last seconds may be lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("keys", "api_uses.sql")

# Addresses that are remembered of a campaign, over all its keys: whoever knows a prefix could call from any number of them.
MOST_OF_CAMPAIGN: Final = 200


@dataclass(frozen=True, slots=True)
class KeyUses:
    """Calls by a key of this prefix from this address; `last_at` is aware UTC.

    `unauthorized`: the key is not in force, or only its public part was right; `forbidden`: another campaign's path, or an
    address that isn't allowed; `limited`: over the rate.
    """

    prefix: str
    source_address: str
    last_at: datetime
    admitted: int = 0
    unauthorized: int = 0
    forbidden: int = 0
    limited: int = 0


async def record_uses(connection: Connection, uses: Sequence[KeyUses]) -> None:
    """Add these to what was counted before. Prefixes that no key ever had are left out."""
    rows = await connection.fetch(
        SQL["add_uses"],
        [use.prefix for use in uses],
        [use.source_address for use in uses],
        [use.last_at for use in uses],
        [use.admitted for use in uses],
        [use.unauthorized for use in uses],
        [use.forbidden for use in uses],
        [use.limited for use in uses],
    )
    grown = {row["campaign_id"] for row in rows if row["is_new"]}
    if grown:
        await connection.execute(SQL["delete_beyond"], sorted(grown), MOST_OF_CAMPAIGN)


async def list_uses(connection: Connection, campaign_id: str) -> list[KeyUses]:
    """The campaign's, the one last used first."""
    return [
        KeyUses(**{**row, "source_address": str(row["source_address"])})
        for row in await connection.fetch(SQL["list_uses"], campaign_id)
    ]
