"""Whether the daily totals are what the attempts come to: a recount of campaigns from their attempts, each in one snapshot.

Triggers move the totals with each outcome (`usage`), so that a difference is a fault of ours, or somebody's hand in the tables.
In months that were posted, an attempt counts with the outcome that it had then. What has left for the bucket counts as it was
counted when it left.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from config.logs import get_logger
from database.connections import Connection, Pool
from database.queries import NamedQueries
from rules.billing.periods import begin_of, day_of

SQL: Final = NamedQueries("billing", "recount.sql")
logger = get_logger("billing")

# After midnight in Singapore, when a month may be posted, and before people come to work.
_NIGHTLY_FROM: Final = timedelta(hours=3)
# Seconds. A campaign of many million attempts takes minutes; it is read in the database, which tells the differences alone.
_LONGEST: Final = 3600


@dataclass(frozen=True, slots=True)
class Difference:
    """A total that isn't what the attempts come to: what was counted, and what the recount found."""

    campaign_id: str
    day: date
    destination: str
    outcome: str
    own_expiry: bool
    encoding: str
    counted_attempts: int
    counted_segments: int
    found_attempts: int
    found_segments: int


async def list_campaigns(connection: Connection) -> list[str]:
    """The ids of all campaigns that may have usage, deleted ones too."""
    return [row["id"] for row in await connection.fetch(SQL["list_campaigns"])]


async def recount_campaign(
    connection: Connection, campaign_id: str, *, now: datetime, night: date | None = None
) -> list[Difference]:
    """The totals of a campaign that differ, written down for the metrics. `night` is the day whose turn it is, if it is one's.

    Nobody waits for it: outcomes go on being recorded meanwhile.
    """
    rows = await connection.fetch(SQL["fetch_differences"], campaign_id, timeout=_LONGEST)
    differences = [Difference(campaign_id, **row) for row in rows]
    await connection.execute(SQL["record_check"], campaign_id, now, night, len(differences))
    return differences


async def recount_tonights(
    pool: Pool, *, now: datetime, choose: Callable[[Sequence[str]], str] = random.choice
) -> str | None:
    """Recount one campaign that has usage, once a night whatever workers ask; returns it, or None where none was due.

    A night's turn is Singapore's day from three in the morning on. A worker that dies meanwhile leaves it to the next.
    """
    night = day_of(now)
    if now < begin_of(night) + _NIGHTLY_FROM:
        return None
    async with pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval(SQL["lock_night"]):
            return None
        if await connection.fetchval(SQL["is_checked"], night):
            return None
        campaigns = [row["campaign_id"] for row in await connection.fetch(SQL["list_counted_campaigns"])]
        if not campaigns:
            return None
        campaign_id = choose(campaigns)
        differences = await recount_campaign(connection, campaign_id, now=now, night=night)
    if differences:
        logger.error("usage_differs", campaign_id=campaign_id, totals=len(differences))
    else:
        logger.info("usage_checked", campaign_id=campaign_id)
    return campaign_id
