"""`/agency`: what a person in charge sees of the agency: who may create campaigns, its campaigns, how much they send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg
from starlette.responses import Response

from campaigns.errors import CampaignsError
from campaigns.people.agencies import Agency, fetch_agency
from campaigns.people.permissions import Action
from campaigns.people.users import list_in_charge, set_creator
from console.administration.words import said
from console.billing.places import Place, parse_place, place_text
from console.billing.recent import RecentMonths, Use, fetch_recent
from console.errors import GoTo, PageRefused
from console.forms import Form
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "administration/agency.sql")
ON_A_PAGE: Final = 100
_MONTHS: Final = 3
_MOST_MEMBERS: Final = 10


@dataclass(frozen=True, slots=True)
class AgencyCampaign:
    """A campaign in the list. `members`: the first ones, as pairs of address and role; `more_members`: how many more.

    `uses`: what it came to in each of the last months.
    """

    id: str
    name: str
    status: str
    creator_email: str
    created_at: datetime
    members: Sequence[tuple[str, str]]
    more_members: int
    uses: Sequence[Use]


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """Some of an agency's campaigns, the newest first. `after` is the place behind them, None at the end."""

    campaigns: Sequence[AgencyCampaign]
    recent: RecentMonths
    after: str | None


async def show_agency(visit: Visit) -> Response:
    """The visitor's agency."""
    async with visit.connection() as connection:
        agency = await _own_agency(visit, connection)
        in_charge = await list_in_charge(connection, agency.id)
        page = await fetch_campaigns(visit, connection, agency.id, after=visit.query.get("after", ""))
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
            page = await fetch_campaigns(visit, connection, agency.id)
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


async def fetch_campaigns(
    visit: Visit, connection: Connection, agency_id: str, *, after: str = ""
) -> CampaignPage:
    """The agency's campaigns with the deleted ones, a page of them."""
    earlier = parse_place(after)
    rows = await connection.fetch(SQL["list_campaigns"], agency_id, *(earlier or (None, "")), ON_A_PAGE + 1)
    shown = rows[:ON_A_PAGE]
    ids = [row["id"] for row in shown]
    members = await connection.fetch(SQL["list_members"], ids, _MOST_MEMBERS)
    recent = await fetch_recent(
        connection,
        visit.settings,
        agency_id=agency_id,
        campaign_ids=ids,
        now=datetime.now(UTC),
        count=_MONTHS,
    )
    campaigns = [
        _campaign_of(
            row,
            [each for each in members if each["campaign_id"] == row["id"]],
            recent.of(row["id"]),
        )
        for row in shown
    ]
    last = None
    if len(rows) > ON_A_PAGE:
        last = place_text(Place(shown[-1]["created_at"], shown[-1]["id"]))
    return CampaignPage(campaigns, recent, last)


def _campaign_of(
    row: asyncpg.Record, members: Sequence[asyncpg.Record], uses: Sequence[Use]
) -> AgencyCampaign:
    return AgencyCampaign(
        row["id"], row["name"], row["status"], row["creator_email"], row["created_at"],
        [(each["email"], each["role"]) for each in members],
        members[0]["members"] - len(members) if members else 0,
        uses,
    )  # fmt: skip


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
        typed=form["email"] if form else "", errors=errors or {},
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("agency", "/agency", {"GET": show_agency, "POST": change_creator}, Action.GRANT_CREATION),
)
