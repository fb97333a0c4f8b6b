"""What `usage_days` has, and what an independent recount of the attempts finds: in Python, knowing none of the gateway's SQL."""

from collections import Counter
from datetime import timedelta
from typing import Any

from database.connections import Connection

Usage = dict[tuple[str, str, str, bool], tuple[int, int]]


async def usage(connection: Connection, campaign_id: str | None = None) -> Usage:
    """Attempts and segments by day, destination, outcome and own expiry: of all campaigns, or of one."""
    rows = await connection.fetch(
        "select *, attempts as n from usage_days where $1::text is null or campaign_id = $1", campaign_id
    )
    return _summed(
        [((str(row["day"]), row["destination"], row["outcome"], row["own_expiry"]), row) for row in rows]
    )


async def recounted(connection: Connection, campaign_id: str | None = None) -> Usage:
    """The same from the attempts themselves, of months that weren't posted."""
    rows = await connection.fetch(
        "select a.*, m.recipient, m.segments, 1 as n from attempts a join messages m using (batch_no, row_number)"
        " join batches b using (batch_no) where a.status >= 4 and ($1::text is null or b.campaign_id = $1)",
        campaign_id,
    )
    found = []
    for row in rows:
        moment = row["sent_at"] or row["claimed_at"] or row["created_at"]
        outcome = {4: "sent_to_telco", 5: "success", 6: row["error"]}[row["status"]]
        place = "local" if row["recipient"].startswith("65") else "foreign"
        found.append(((str((moment + timedelta(hours=8)).date()), place, outcome, row["expired"]), row))
    return _summed(found)


def _summed(rows: list[tuple[tuple[str, str, str, bool], Any]]) -> Usage:
    attempts: Counter[tuple[str, str, str, bool]] = Counter()
    segments: Counter[tuple[str, str, str, bool]] = Counter()
    for key, row in rows:
        attempts[key] += row["n"]
        segments[key] += row["segments"]
    return {key: (attempts[key], segments[key]) for key in attempts if attempts[key] or segments[key]}
