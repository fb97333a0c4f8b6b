"""Usage and posted months that tests of the pages about costs are about, written as the database keeps them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time

from database.connections import Connection
from rules.billing.periods import Month, dispute_by


async def agency_of(connection: Connection, campaign_id: str) -> str:
    """The agency of a campaign."""
    return str(await connection.fetchval("select agency_id from campaigns where id = $1", campaign_id))


async def use(
    connection: Connection,
    campaign_id: str,
    day: date,
    segments: int,
    *,
    destination: str = "local",
    outcome: str = "success",
) -> None:
    """So many attempts of one segment each, as the triggers on `attempts` count them."""
    await connection.execute(
        "insert into usage_days (campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)"
        " values ($1, $2, $3, $4, false, 'GSM-7', $5, $5)",
        campaign_id, day, destination, outcome, segments,
    )  # fmt: skip


async def post(
    connection: Connection,
    agency_id: str,
    month: Month,
    lines: Sequence[tuple[str, str, int]],
    *,
    version: int = 1,
) -> None:
    """An agency's report of a month; `lines`: campaign, destination and charged segments, at the first price."""
    posted_at = datetime.combine(month.next.first.replace(day=5), time(), UTC)
    await connection.execute(
        "insert into billing_months (month, posted_at) values ($1, $2) on conflict do nothing",
        month.first, posted_at,
    )  # fmt: skip
    prices = {"local": 46, "foreign": 230}
    sums = {kind: sum(count for _, where, count in lines if where == kind) for kind in prices}
    report_id = await connection.fetchval(
        "insert into billing_reports (agency_id, month, version, posted_at, dispute_by, reason, agency_name, local_messages,"
        " local_segments, local_mills, foreign_messages, foreign_segments, foreign_mills)"
        " values ($1, $2, $3, $4, $5, $6, 'Clinic', $7, $7, $8, $9, $9, $10) returning id",
        agency_id, month.first, version, posted_at, dispute_by(posted_at), "they were test messages" if version > 1 else None,
        sums["local"], sums["local"] * 46, sums["foreign"], sums["foreign"] * 230,
    )  # fmt: skip
    for campaign_id in {campaign_id for campaign_id, _, _ in lines}:
        await connection.execute(
            "insert into billing_report_campaigns select $1, id, name, 'amy@clinic.gov.sg', channel, created_at, deleted_at"
            " from campaigns where id = $2",
            report_id, campaign_id,
        )  # fmt: skip
    for campaign_id, destination, segments in lines:
        await connection.execute(
            "insert into billing_report_lines values ($1, $2, $3, 'success', false, $4, true, $5, $5)",
            report_id, campaign_id, destination, prices[destination], segments,
        )  # fmt: skip
