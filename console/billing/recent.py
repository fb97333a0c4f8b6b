"""What an agency's campaigns came to in the last months, for lists of campaigns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.lines import Sums
from billing.posted import fetch_campaign_sums, fetch_month_sums
from billing.terms import terms_of
from billing.usage import fetch_lines
from campaigns.campaigns import Campaign, Channel
from config.settings import Settings
from console.billing.months import name_of
from database.connections import Connection
from rules.billing.periods import Month, Period


@dataclass(frozen=True, slots=True)
class Use:
    """What was charged in a month; where nothing is charged, `mills` is None, and all segments with an outcome are counted."""

    segments: int
    mills: int | None


@dataclass(frozen=True, slots=True)
class RecentMonths:
    """The last months, the newest last, each with its use by campaigns' ids, and by all on the agency's bill."""

    names: Sequence[str]
    uses: Sequence[Mapping[str, Use]]
    totals: Sequence[Use] | None

    def of(self, campaign_id: str) -> Sequence[Use]:
        """What that campaign came to, month by month."""
        return [uses.get(campaign_id, Use(0, 0)) for uses in self.uses]


async def fetch_recent(
    connection: Connection,
    settings: Settings,
    *,
    agency_id: str,
    campaign_ids: Sequence[str],
    now: datetime,
    count: int,
) -> RecentMonths:
    """What these campaigns and the whole agency came to in the last `count` months."""
    terms = terms_of(settings.environment, settings.billing)
    months = [Month.of(now)]
    while len(months) < count:
        months.insert(0, months[0].previous)
    uses = []
    for month in months:
        page = await fetch_campaign_sums(
            connection, terms, Period(month, month), campaign_ids=campaign_ids, limit=len(campaign_ids)
        )
        uses.append(
            {
                each.campaign_id: Use(each.sums.segments, each.sums.mills)
                if terms.is_production and each.channel == Channel.PUBLIC
                else Use(each.segments, None)
                for each in page.campaigns
            }
        )
    totals = None
    if terms.is_production:
        period = Period(months[0], months[-1])
        found = await fetch_month_sums(connection, terms, period, now=now, agency_id=agency_id)
        totals = [Use(found[month].sums.segments, found[month].sums.mills) for month in months]
    return RecentMonths([name_of(month) for month in months], uses, totals)


async def fetch_month_so_far(
    connection: Connection, settings: Settings, campaign: Campaign, now: datetime
) -> Use:
    """What a campaign has come to in the month that runs."""
    terms = terms_of(settings.environment, settings.billing)
    month = Month.of(now)
    lines = await fetch_lines(connection, terms, month.first, month.last, campaign_ids=[campaign.id])
    sums = Sums.of(lines)
    if terms.is_production and campaign.channel is Channel.PUBLIC:
        return Use(sums.segments, sums.mills)
    return Use(sum(line.segments for line in lines), None)
