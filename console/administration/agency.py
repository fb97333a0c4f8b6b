"""`/agency`: what a person in charge sees of the agency: who may create campaigns, its campaigns, how much they send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from starlette.responses import Response

from campaigns.errors import CampaignsError
from campaigns.people.agencies import Agency, fetch_agency
from campaigns.people.permissions import Action
from campaigns.people.users import list_in_charge, set_creator
from console.administration.words import said
from console.errors import GoTo, PageRefused
from console.forms import Form
from console.paths import url
from console.rendering import SINGAPORE
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "administration/agency.sql")
ON_A_PAGE: Final = 100
# Of each campaign at most so many of its newest sends are counted.
MOST_COUNTED: Final = 100_000
_MONTHS: Final = 3
_MOST_MEMBERS: Final = 10


@dataclass(frozen=True, slots=True)
class Usage:
    """The messages of each of the last months, the newest last; `is_least`: there are more."""

    messages: tuple[int, ...]
    is_least: bool


@dataclass(frozen=True, slots=True)
class AgencyCampaign:
    """A campaign in the list. `members`: the first ones, as pairs of address and role; `more_members`: how many more."""

    id: str
    name: str
    status: str
    creator_email: str
    created_at: datetime
    members: Sequence[tuple[str, str]]
    more_members: int
    usage: Usage


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """Some of an agency's campaigns, the newest first. `after` is the place behind them, None at the end."""

    campaigns: Sequence[AgencyCampaign]
    months: Sequence[datetime]
    after: str | None


async def show_agency(visit: Visit) -> Response:
    """The visitor's agency."""
    async with visit.connection() as connection:
        agency = await _own_agency(visit, connection)
        in_charge = await list_in_charge(connection, agency.id)
        page = await fetch_campaigns(connection, agency.id, after=visit.query.get("after", ""))
    return await _shown(visit, agency, in_charge, page)


async def change_creator(visit: Visit) -> Response:
    """Let an officer of the visitor's agency create campaigns, or no more."""
    form = await visit.form()
    async with visit.connection() as connection:
        agency = await _own_agency(visit, connection)
    try:
        return await grant_creation(visit, form, agency, url("agency"))
    except CampaignsError as error:
        async with visit.connection() as connection:
            in_charge = await list_in_charge(connection, agency.id)
            page = await fetch_campaigns(connection, agency.id)
        return await _shown(visit, agency, in_charge, page, form=form, errors={"email": said(error)})


async def grant_creation(visit: Visit, form: Form, agency: Agency, back: str) -> Response:
    """What the form asks for: the right to create campaigns, given or taken. Raises CampaignsError."""
    given = form["do"] == "grant"
    async with visit.change(form) as connection:
        user = await set_creator(
            connection, agency, form["email"], may_create=given, actor=visit.actor
        )  # fmt: skip
        sentence = (
            f"{user.email} may create campaigns now."
            if given
            else f"{user.email} can't create campaigns any more. Memberships stay."
        )
        return await visit.done(connection, back, sentence)


async def fetch_campaigns(connection: Connection, agency_id: str, *, after: str = "") -> CampaignPage:
    """The agency's campaigns with the deleted ones, a page of them."""
    earlier, last_id = _place_of(after)
    rows = await connection.fetch(SQL["list_campaigns"], agency_id, earlier, last_id, ON_A_PAGE + 1)
    shown = rows[:ON_A_PAGE]
    months = [row["month"] for row in await connection.fetch(SQL["list_months"], _MONTHS)]
    ids = [row["id"] for row in shown]
    members = await connection.fetch(SQL["list_members"], ids, _MOST_MEMBERS)
    counted = await connection.fetch(SQL["count_messages"], ids, months[0], MOST_COUNTED)
    campaigns = [
        _campaign_of(
            row,
            [each for each in members if each["campaign_id"] == row["id"]],
            _usage_of([each for each in counted if each["campaign_id"] == row["id"]], months),
        )
        for row in shown
    ]
    last = f"{shown[-1]['created_at'].isoformat()} {shown[-1]['id']}" if len(rows) > ON_A_PAGE else None
    return CampaignPage(campaigns, months, last)


def _place_of(text: str) -> tuple[datetime | None, str]:
    """Time and id of the campaign that a page ended with; what was never given by a page leads to the first one."""
    before, _, last_id = text.replace("\0", "").partition(" ")
    try:
        earlier = datetime.fromisoformat(before)
    except ValueError:
        return None, ""
    # Beyond these years a time of another zone has none in UTC.
    if earlier.tzinfo is None or not 2000 <= earlier.year < 9000:
        return None, ""
    return earlier, last_id


def _campaign_of(row: asyncpg.Record, members: Sequence[asyncpg.Record], usage: Usage) -> AgencyCampaign:
    return AgencyCampaign(
        row["id"], row["name"], row["status"], row["creator_email"], row["created_at"],
        [(each["email"], each["role"]) for each in members],
        members[0]["members"] - len(members) if members else 0,
        usage,
    )  # fmt: skip


def _usage_of(counted: Sequence[asyncpg.Record], months: Sequence[datetime]) -> Usage:
    by_month = {each["month"]: int(each["messages"]) for each in counted}
    return Usage(
        tuple(by_month.get(month, 0) for month in months),
        sum(each["sends"] for each in counted) >= MOST_COUNTED,
    )


async def _own_agency(visit: Visit, connection: Connection) -> Agency:
    """The agency that the visitor is in charge of. Raises GoTo (ops are in charge of all), PageRefused."""
    person = visit.person
    if not person.is_pic or person.agency_id is None:
        if person.is_ops:
            raise GoTo(url("ops_agencies"))
        raise PageRefused(403)
    return await fetch_agency(connection, person.agency_id)


async def _shown(
    visit: Visit, agency: Agency, in_charge: object, page: CampaignPage, *, form: Form | None = None,
    errors: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    return await visit.page(
        "administration/agency.html", status=422 if errors else 200, agency=agency, in_charge=in_charge, page=page,
        months=[month.astimezone(SINGAPORE) for month in page.months], typed=form["email"] if form else "",
        errors=errors or {}, most=MOST_COUNTED,
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("agency", "/agency", {"GET": show_agency, "POST": change_creator}, Action.GRANT_CREATION),
)
