"""`/billing`: what a billing period costs, month by month and campaign by campaign, with the reports that were posted."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from billing.posted import CampaignSums, fetch_campaign_sums, fetch_month_sums
from billing.terms import terms_of
from campaigns.campaigns import Channel
from campaigns.people.permissions import Action, Membership
from console.billing.months import PeriodMonths, name_of, words_of
from console.billing.places import Place, parse_place, place_text
from console.billing.scopes import Scope, find_scope, list_agency_names
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection
from rules.billing.periods import Period, parse_period, periods_until

ON_A_PAGE: Final = 50
_LONGEST_SEARCH: Final = 100


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign in the list. `path`: where it is shown, None to who may not see it."""

    found: CampaignSums
    path: str | None

    @property
    def is_internal(self) -> bool:
        """Whether it is billed elsewhere."""
        return self.found.channel == Channel.INTERNAL


async def show_billing(visit: Visit) -> Response:
    """The costs that the visitor sees; ops choose an agency first."""
    now = datetime.now(UTC)
    async with visit.connection() as connection:
        scope = await find_scope(visit, connection)
        if scope is None:
            return await _choose(visit, connection)
        periods = periods_until(now, visit.settings.billing.starts)
        if not periods:
            return await visit.page("billing/early.html", scope=scope, starts=visit.settings.billing.starts)
        wanted = parse_period(visit.query.get("period", ""), visit.settings.billing.starts)
        period = wanted if wanted in periods else periods[0]
        return await _show(visit, connection, scope, periods, period, now)


async def _show(
    visit: Visit,
    connection: Connection,
    scope: Scope,
    periods: tuple[Period, ...],
    period: Period,
    now: datetime,
) -> Response:
    terms = terms_of(visit.settings.environment, visit.settings.billing)
    search = _search(visit)
    found = await fetch_month_sums(
        connection, terms, period, now=now, agency_id=scope.agency_id, campaign_ids=scope.campaign_ids
    )
    page = await fetch_campaign_sums(
        connection,
        terms,
        period,
        agency_id=scope.agency_id,
        campaign_ids=scope.campaign_ids,
        containing=search,
        limit=ON_A_PAGE + 1,
        before=parse_place(visit.query.get("after", "")),
    )
    shown = page.campaigns[:ON_A_PAGE]
    chosen = {"agency": visit.query.get("agency"), "period": period.name}
    older = None
    if len(page.campaigns) > ON_A_PAGE:
        last = shown[-1]
        after = place_text(Place(last.created_at, last.campaign_id))
        older = url("billing", **chosen, search=search, after=after) + "#campaigns"
    return await visit.page(
        "billing/overview.html",
        scope=scope,
        chosen=chosen,
        period=period,
        period_words=words_of(period),
        periods=[(each.name, words_of(each)) for each in periods],
        invoiced_in=name_of(period.invoiced_in),
        months=PeriodMonths.of(period, found, now),
        now=now,
        price=visit.price,
        is_charged=terms.is_production,
        environment=visit.settings.environment,
        campaigns=[CampaignRow(each, _path(visit, each)) for each in shown],
        total_campaigns=page.total,
        search=search,
        is_later_page="after" in visit.query,
        older=older,
    )


def _search(visit: Visit) -> str:
    return " ".join(visit.query.get("search", "").replace("\0", "").split())[:_LONGEST_SEARCH]


def _path(visit: Visit, campaign: CampaignSums) -> str | None:
    """Where the campaign is shown, for those who may see it."""
    person = visit.person
    is_above = person.is_ops or person.is_pic
    is_member = person.memberships.get(campaign.campaign_id) in set(Membership)
    if is_above or (is_member and campaign.deleted_at is None):
        return url("campaign_settings", campaign_id=campaign.campaign_id)
    return None


async def _choose(visit: Visit, connection: Connection) -> Response:
    """All agencies, for ops."""
    search = _search(visit)
    after = visit.query.get("after", "").replace("\0", "")
    rows = await list_agency_names(connection, search=search, after=after, most=ON_A_PAGE + 1)
    shown = rows[:ON_A_PAGE]
    older = url("billing", search=search, after=shown[-1][1]) if len(rows) > ON_A_PAGE else None
    return await visit.page("billing/agencies.html", agencies=shown, search=search, older=older)


ROUTES: Final = (ConsoleRoute("billing", "/billing", {"GET": show_billing}, Action.SEE_BILLING),)
