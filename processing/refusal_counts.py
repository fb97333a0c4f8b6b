"""The table `refusal_counts`: refused uploads that left no row and no e-mail of their own, by campaign, hour and code.

The caller owns the transaction, and takes the counts out in the one that writes what tells of them.
"""

from collections import Counter
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries
from rules.codes import FindingCode

SQL: Final = NamedQueries("processing", "refusal_counts.sql")


async def count_refusal(connection: Connection, campaign_id: str, code: FindingCode) -> int:
    """Count one more in this hour. Returns how many of this code the campaign has in it."""
    return int(await connection.fetchval(SQL["add_refusal"], campaign_id, code.value))


async def take_counts(connection: Connection, campaign_id: str) -> Counter[FindingCode]:
    """How many of each code were counted and not told yet. They count as told from here on."""
    counts: Counter[FindingCode] = Counter()
    for row in await connection.fetch(SQL["take_refusals"], campaign_id):
        counts[FindingCode(row["code"])] += row["refusals"]
    return counts


async def list_counted_campaigns(connection: Connection) -> list[str]:
    """Ids of the campaigns that have counts nobody has been told of."""
    return [row["campaign_id"] for row in await connection.fetch(SQL["list_counted_campaigns"])]
