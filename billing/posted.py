"""What agencies see of their bill: reports as they were posted, and sums by month and by campaign.

Months that were posted are read from their reports, the latest versions; the others from the daily totals, as they are so far.
Whose sums are asked for is an agency, for all that is on its bill, or some campaigns, for people who see these alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import asyncpg

from billing.lines import Line, Sums
from billing.months import fetch_closed_before
from billing.prices import fetch_prices
from billing.terms import charged_columns
from billing.usage import fetch_lines
from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.outcomes import Terms
from rules.billing.periods import Month, Period, dispute_by
from rules.billing.prices import Price

SQL: Final = NamedQueries("billing", "posted.sql")
_SUMS: Final = (
    "local_messages", "local_segments", "local_mills", "foreign_messages", "foreign_segments", "foreign_mills",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Correction:
    """Why there is another version of a month's report."""

    month: Month
    version: int
    reason: str
    posted_at: datetime


@dataclass(frozen=True, slots=True)
class ReportCampaign:
    """A campaign as it was when its month was posted. Times are aware UTC."""

    campaign_id: str
    name: str
    creator: str
    channel: str
    created_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class PostedReport:
    """An agency's report of a month, or of a period (`period`): then of its months' latest versions.

    `version`: the month's; of a period, one more than there are corrections. `posted_at`: of this version; of a period, of its
    last month, or of what was corrected later. Times are aware UTC. `campaigns` has the oldest first. `prices`: those
    that held within it, in their order.
    """

    agency_id: str
    agency_name: str
    customer_id: str | None
    sub_bu: str | None
    contact: str | None
    period: Period | Month
    version: int
    posted_at: datetime
    dispute_by: date
    sums: Sums
    corrections: Sequence[Correction]
    campaigns: Sequence[ReportCampaign]
    lines: Sequence[Line]
    prices: Sequence[Price]


@dataclass(frozen=True, slots=True)
class MonthSums:
    """What a month comes to. `is_posted`: for good, but for corrections; else so far.

    `version`, `posted_at` and `dispute_by` are the report's, where there is one: a month without any usage has none, and for some
    campaigns' sums there is no one version.
    """

    month: Month
    is_posted: bool
    sums: Sums
    version: int | None = None
    posted_at: datetime | None = None
    dispute_by: date | None = None


@dataclass(frozen=True, slots=True)
class CampaignSums:
    """What a campaign comes to in a period. `messages` and `segments` are all that have an outcome, charged or not."""

    campaign_id: str
    name: str
    creator: str | None
    channel: str
    created_at: datetime
    deleted_at: datetime | None
    sums: Sums
    messages: int
    segments: int


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """Some campaigns, newest first, and how many there are on all pages; 0 behind the last one."""

    campaigns: Sequence[CampaignSums]
    total: int


async def fetch_report(
    connection: Connection, agency_id: str, month: Month, version: int | None = None
) -> PostedReport | None:
    """An agency's report of a month, the latest version or that one; None where there is none."""
    row = await connection.fetchrow(SQL["fetch_report"], agency_id, month.first, version)
    if row is None:
        return None
    corrections = await _fetch_corrections(connection, agency_id, month, month, row["version"])
    return await _complete(
        connection,
        [row],
        month,
        corrections,
        version=row["version"],
        posted_at=row["posted_at"],
        due=row["dispute_by"],
    )


async def fetch_annual_report(connection: Connection, agency_id: str, period: Period) -> PostedReport | None:
    """An agency's report of a whole period; None where its last month isn't posted yet, or there was nothing."""
    posted_at = await connection.fetchval(SQL["fetch_posting"], period.last.first)
    rows = await connection.fetch(
        SQL["fetch_latest_reports"], agency_id, period.first.first, period.last.first
    )
    if posted_at is None or not rows:
        return None
    corrections = await _fetch_corrections(connection, agency_id, period.first, period.last, None)
    return await _complete(
        connection,
        rows,
        period,
        corrections,
        version=1 + len(corrections),
        posted_at=max(posted_at, *(row["posted_at"] for row in rows)),
        due=dispute_by(posted_at),
    )


async def fetch_month_sums(
    connection: Connection,
    terms: Terms,
    period: Period,
    *,
    now: datetime,
    agency_id: str | None = None,
    campaign_ids: Sequence[str] | None = None,
) -> dict[Month, MonthSums]:
    """What each month of a period comes to that has begun or is posted, in their order: of an agency, or of these campaigns."""
    closed_before = await fetch_closed_before(connection) or date.min
    # A month can be posted that has not begun, where a year is rehearsed.
    months = [month for month in period.months if month <= Month.of(now) or month.first < closed_before]
    if not months:
        return {}
    sums = {month: MonthSums(month, month.first < closed_before, Sums()) for month in months}
    if campaign_ids is None:
        rows = await connection.fetch(
            SQL["fetch_latest_reports"], agency_id, months[0].first, months[-1].first
        )
    else:
        rows = await connection.fetch(
            SQL["sum_lines_of_campaigns"], list(campaign_ids), months[0].first, months[-1].first
        )
    for row in rows:
        month = Month.of(row["month"])
        version = row["version"] if campaign_ids is None else None
        sums[month] = MonthSums(month, True, _sums_of(row), version, row["posted_at"], row["dispute_by"])
    begin = max(months[0].first, closed_before, terms.starts)
    if terms.is_production and begin <= months[-1].last:
        for row in await _sum_usage(connection, terms, begin, months[-1].last, agency_id, campaign_ids):
            month = Month.of(row["month"])
            sums[month] = MonthSums(month, False, _sums_of(row))
    return sums


async def fetch_campaign_sums(
    connection: Connection,
    terms: Terms,
    period: Period,
    *,
    agency_id: str | None = None,
    campaign_ids: Sequence[str] | None = None,
    containing: str | None = None,
    limit: int = 50,
    before: tuple[datetime, str] | None = None,
) -> CampaignPage:
    """A page of the campaigns that have something in a period, deleted ones too: of an agency, or of these.

    `containing`: part of the name, whatever its case, or of the id. `before`: when the last campaign of the page before was
    created, and its id.
    """
    closed_before = await fetch_closed_before(connection) or date.min
    begin, end = max(period.first.first, closed_before), period.last.last
    rows = await connection.fetch(
        SQL["list_campaigns"],
        None if campaign_ids is None else list(campaign_ids),
        agency_id,
        period.first.first,
        period.last.first,
        begin,
        end,
        containing or None,
        limit,
        *(before or (None, None)),
    )
    ids = [row["id"] for row in rows]
    posted = await connection.fetch(
        SQL["fetch_posted_lines"],
        ids,
        None if campaign_ids is not None else agency_id,
        period.first.first,
        period.last.first,
    )
    lines: dict[str, list[Line]] = {campaign_id: [] for campaign_id in ids}
    for row in posted:
        lines[row["campaign_id"]].append(Line(**row))
    if begin <= end:
        # What has moved to another agency's bill since it was posted has its later lines there.
        on_bill = [row["id"] for row in rows if row["is_on_bill"]]
        for line in await fetch_lines(connection, terms, begin, end, campaign_ids=on_bill):
            lines[line.campaign_id].append(line)
    return CampaignPage(
        [
            CampaignSums(
                row["id"],
                row["name"],
                row["creator"],
                row["channel"],
                row["created_at"],
                row["deleted_at"],
                Sums.of(lines[row["id"]]),
                sum(line.attempts for line in lines[row["id"]]),
                sum(line.segments for line in lines[row["id"]]),
            )
            for row in rows
        ],
        rows[0]["total"] if rows else 0,
    )


async def _fetch_corrections(
    connection: Connection, agency_id: str, first: Month, last: Month, version: int | None
) -> list[Correction]:
    rows = await connection.fetch(SQL["fetch_corrections"], agency_id, first.first, last.first, version)
    return [
        Correction(Month.of(row["month"]), row["version"], row["reason"], row["posted_at"]) for row in rows
    ]


async def _complete(
    connection: Connection,
    rows: Sequence[asyncpg.Record],
    period: Period | Month,
    corrections: Sequence[Correction],
    *,
    version: int,
    posted_at: datetime,
    due: date,
) -> PostedReport:
    """The report that these reports, in the order of their months, come to. What it says of the agency is the last one's."""
    ids = [row["id"] for row in rows]
    latest = rows[-1]
    campaigns = await connection.fetch(SQL["fetch_campaigns"], ids)
    lines = await connection.fetch(SQL["fetch_lines"], ids)
    return PostedReport(
        latest["agency_id"],
        latest["agency_name"],
        latest["customer_id"],
        latest["sub_bu"],
        latest["contact"],
        period,
        version,
        posted_at,
        due,
        sum(map(_sums_of, rows), Sums()),
        corrections,
        [ReportCampaign(**row) for row in campaigns],
        [Line(**row) for row in lines],
        await _fetch_prices_within(connection, period),
    )


async def _fetch_prices_within(connection: Connection, period: Period | Month) -> list[Price]:
    first, last = (
        (period.first, period.last) if isinstance(period, Month) else (period.first.first, period.last.last)
    )
    prices = await fetch_prices(connection)
    later = [price for valid_from, price in prices.entries if first < valid_from <= last]
    return list(dict.fromkeys([prices.on(first), *later]))


async def _sum_usage(
    connection: Connection,
    terms: Terms,
    first: date,
    last: date,
    agency_id: str | None,
    campaign_ids: Sequence[str] | None,
) -> list[asyncpg.Record]:
    return await connection.fetch(
        SQL["sum_usage_by_month"],
        None if campaign_ids is None else list(campaign_ids),
        agency_id,
        first,
        last,
        *charged_columns(terms),
    )


def _sums_of(row: asyncpg.Record) -> Sums:
    return Sums(*(row[name] for name in _SUMS))
