"""The table `refusal_counts`: refused uploads that left no row and no e-mail of their own, by campaign, hour and code; and what
is asked of the table `uploads` to count those that did.

The caller owns the transaction, and takes the counts out in the one that writes what tells of them.
"""

from collections import Counter
from collections.abc import Sequence
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


async def lock_refusals(connection: Connection, campaign_id: str) -> None:
    """Let refusals of this campaign wait for each other until the transaction ends: no two count the same earlier ones."""
    await connection.execute(SQL["lock_refusals"], campaign_id)


async def count_recent_refusals(
    connection: Connection, campaign_id: str, refusal_codes: Sequence[str]
) -> int:
    """How many rows tell that an upload of the campaign was refused with one of these codes within the last hour."""
    return int(await connection.fetchval(SQL["count_recent_refusals"], campaign_id, list(refusal_codes)))


async def fetch_upload_to_sum_up_on(connection: Connection, campaign_id: str) -> str | None:
    """The latest refused upload on which no e-mail has summed up others yet, else the latest of any kind, if there is one."""
    upload_id: str | None = await connection.fetchval(SQL["fetch_upload_to_sum_up_on"], campaign_id)
    return upload_id


async def list_campaigns_with_untold(connection: Connection) -> list[str]:
    """Ids of the campaigns that have refusals of which no e-mail has told."""
    return [row["campaign_id"] for row in await connection.fetch(SQL["list_campaigns_with_untold"])]
