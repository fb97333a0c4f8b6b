"""The first page: the visitor's campaigns, the one last opened first, with what each has sent lately."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import asyncpg
from starlette.responses import Response

from campaigns.campaigns import Channel, SearchTerms, find_terms, parse_terms
from campaigns.people.permissions import Action
from console.campaigns.frame import CHANNELS, campaign_path
from console.campaigns.phones import sender_of
from console.paths import url
from console.routes import Access, ConsoleRoute
from console.visits import Visit
from database.connections import Connection, planned_anew
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "campaigns/home.sql")
_PAGE: Final = 100
# Of each campaign so many of its newest sends are counted: with more, what is shown is the least that it can be.
_MOST_SENDS: Final = 200
_LONGEST_SEARCH: Final = 100
# An agency has few campaigns with so many: each of them is looked at for what is searched for.
_FEW: Final = 5_000
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list: the campaign that was shown last."""

    opened_at: datetime
    created_at: datetime
    id: str

    def written(self) -> str:
        """As it stands in a link."""
        values = [self.opened_at.isoformat(), self.created_at.isoformat(), self.id]
        return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def parse_place(text: str) -> Place | None:
    """The place that a link names; None where that is none, which begins the list."""
    try:
        opened, created, campaign_id = json.loads(base64.urlsafe_b64decode(text))
        place = Place(datetime.fromisoformat(opened), datetime.fromisoformat(created), str(campaign_id))
    except (binascii.Error, ValueError, TypeError):
        return None
    has_zones = place.opened_at.tzinfo is not None and place.created_at.tzinfo is not None
    return place if has_zones and "\0" not in place.id else None


@dataclass(frozen=True, slots=True)
class Row:
    """A campaign as the list shows it. `is_partly`: it has sent more than was counted."""

    id: str
    name: str
    path: str
    recipients: str
    sender: str
    status: str
    creator: str
    opened_at: datetime | None
    last_at: datetime | None
    waiting: int
    failed: int
    is_partly: bool


async def show_campaigns(visit: Visit) -> Response:
    """The campaigns that the visitor may see, or those among them that are searched for."""
    search = visit.query.get("search", "").replace("\0", "").strip()[:_LONGEST_SEARCH]
    after = parse_place(visit.query.get("after", ""))
    may_create = visit.may_at_all(Action.CREATE_CAMPAIGN)
    async with visit.connection() as connection:
        found = await _fetch(visit, connection, search, after)
        ask: Sequence[str] = ()
        if not may_create and visit.user.agency_id is not None:
            ask = [row["email"] for row in await connection.fetch(SQL["whom_to_ask"], visit.user.agency_id)]
    rows = [_row_of(visit, row) for row in found[:_PAGE]]
    more = None
    if len(found) > _PAGE:
        last = found[_PAGE - 1]
        place = Place(last["opened_at"] or _NEVER, last["created_at"], last["id"])
        more = url("home", search=search, after=place.written())
    return await visit.page(
        "campaigns/home.html",
        rows=rows,
        search=search,
        first=url("home", search=search) if after else None,
        more=more,
        may_create=may_create,
        ask=ask,
    )


async def _fetch(
    visit: Visit, connection: Connection, search: str, after: Place | None
) -> list[asyncpg.Record]:
    person = visit.person
    terms: SearchTerms | None = SearchTerms()
    if search:
        agency_id = person.agency_id if person.is_pic else None
        are_few = await connection.fetchval(SQL["are_few"], person.is_ops, agency_id, _FEW)
        terms = parse_terms(search) if are_few else await find_terms(connection, search)
    if terms is None:
        return []
    async with planned_anew(connection):
        return await connection.fetch(
            SQL["list_campaigns"],
            person.id,
            person.is_ops,
            person.agency_id if person.is_pic else None,
            terms.words,
            after.id if after else None,
            after.opened_at if after else None,
            after.created_at if after else None,
            _PAGE + 1,
            _MOST_SENDS,
            terms.beginning,
            terms.ids,
        )


def _row_of(visit: Visit, row: asyncpg.Record) -> Row:
    channel = Channel(row["channel"])
    return Row(
        id=row["id"],
        name=row["name"],
        path=campaign_path(row["id"]),
        recipients=CHANNELS[channel],
        sender=sender_of(visit.settings, channel, row["sender_name"]),
        status=row["status"],
        creator=row["creator_email"],
        opened_at=row["opened_at"],
        last_at=row["last_at"],
        waiting=row["waiting"],
        failed=row["failed"],
        is_partly=row["sends"] >= _MOST_SENDS,
    )


ROUTES: Final = (ConsoleRoute("home", "/", {"GET": show_campaigns}, Access.USERS),)
