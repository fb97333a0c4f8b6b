"""`/uploads`: what came, by all ways in, as it comes; chosen by campaign, status, way and day; and who is connected by SFTP."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from starlette.responses import Response

from campaigns.people.permissions import Person
from console.live.checks import still_allowed
from console.paths import url
from console.rendering import SINGAPORE
from console.routes import Access, ConsoleRoute
from console.uploads.live_lists import ConnectedView, UploadsView
from console.uploads.rows import ON_A_PAGE, Filters, Place, list_connected, list_uploads
from console.uploads.scopes import fetch_scope, list_known
from console.uploads.words import STATUSES, WAYS
from console.visits import Visit
from database.connections import Connection

_FIELDS: Final = ("campaign", "status", "way", "since", "until")
_DAY_UNREADABLE: Final = "Give a day such as 2026-11-28, or leave the field empty"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# More campaigns than that are no choice for a list: then their id is typed.
_MOST_CHOICES: Final = 200
_EARLIEST, _LATEST = date(2000, 1, 1), date(9000, 1, 1)


@dataclass(frozen=True, slots=True)
class Question:
    """What the query asks for, as it was typed and as it is understood."""

    fields: Mapping[str, str]
    filters: Filters
    errors: Mapping[str, str]

    @property
    def is_chosen(self) -> bool:
        """Whether it asks for less than all."""
        return any(self.fields.values())


async def show_uploads(visit: Visit) -> Response:
    """The newest uploads that the visitor sees, or those older than one of them."""
    question = read_question(visit.query)
    after = _place_of(visit.query.get("after", ""))
    async with visit.connection() as connection:
        scope = await fetch_scope(connection, visit.person)
        campaigns = await list_known(connection, scope, _MOST_CHOICES)
        rows = await list_uploads(connection, scope, question.filters, after=after, most=ON_A_PAGE + 1)
        narrowed = scope.narrowed(question.filters.campaign_id)
        sees_connected = narrowed.is_all or bool(narrowed.campaign_ids)
        connected = await list_connected(connection, narrowed) if sees_connected and after is None else ()
    shown = rows[:ON_A_PAGE]
    older = None
    if len(rows) > ON_A_PAGE:
        older = url("uploads", **question.fields, after=_text_of(shown[-1].place))
    return await visit.page(
        "uploads/list.html",
        rows=shown,
        connected=connected,
        sees_connected=sees_connected,
        question=question,
        choices=_choices(campaigns),
        stream=url("uploads_stream", **question.fields) if after is None else None,
        newest=None if after is None else url("uploads", **question.fields),
        older=older,
        most=ON_A_PAGE,
    )


async def follow_uploads(visit: Visit) -> Response:
    """The same, as it changes. It ends where the visitor sees other campaigns than at its beginning."""
    question = read_question(visit.query)
    async with visit.connection() as connection:
        scope = await fetch_scope(connection, visit.person)
    narrowed = scope.narrowed(question.filters.campaign_id)

    async def sees_the_same(connection: Connection, person: Person) -> bool:
        return await fetch_scope(connection, person) == scope

    views: list[UploadsView | ConnectedView] = [UploadsView(narrowed, question.filters)]
    if narrowed.is_all or narrowed.campaign_ids:
        views.append(ConnectedView(narrowed))
    return visit.services.hub.open(
        *views,
        user_id=visit.user.id,
        campaign_ids=(*scope.campaign_ids, *scope.own_ids),
        check=still_allowed(visit, further=sees_the_same),
    )


def read_question(query: Mapping[str, str]) -> Question:
    """What a query asks for. A choice that isn't there asks for nothing; a day that can't be read is an error."""
    fields = {name: query.get(name, "").replace("\0", "").strip()[:100] for name in _FIELDS}
    errors: dict[str, str] = {}
    days: dict[str, date | None] = {}
    for name in ("since", "until"):
        days[name] = None
        if fields[name]:
            try:
                days[name] = date.fromisoformat(fields[name])
            except ValueError:
                errors[name] = _DAY_UNREADABLE
    fields["status"] = fields["status"] if fields["status"] in STATUSES else ""
    fields["way"] = fields["way"] if fields["way"] in WAYS else ""
    until = days["until"]
    filters = Filters(
        campaign_id=fields["campaign"] or None,
        status=fields["status"] or None,
        way=fields["way"] or None,
        since=_begin_of(days["since"]),
        before=None if until is None else _begin_of(min(until, _LATEST) + timedelta(days=1)),
    )
    return Question(fields, filters if not errors else replace(filters, since=None, before=None), errors)


def _begin_of(day: date | None) -> datetime | None:
    """The midnight in Singapore with which it begins."""
    if day is None:
        return None
    return datetime.combine(min(max(day, _EARLIEST), _LATEST), time(), SINGAPORE)


def _choices(campaigns: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    return {
        "campaign": [("", "All campaigns"), *campaigns] if campaigns else [],
        "status": [("", "Any status"), *((name, word) for name, (word, _) in STATUSES.items())],
        "way": [("", "Any way"), *WAYS.items()],
    }


def _text_of(place: Place) -> str:
    """A place as it stands in a link."""
    return f"{(place.received_at - _EPOCH) // timedelta(microseconds=1)}-{place.id}"


def _place_of(text: str) -> Place | None:
    """The place that a link names, or None where it names none."""
    micros, _, upload_id = text.replace("\0", "").partition("-")
    if not (micros.isascii() and micros.isdigit() and len(micros) <= 16 and upload_id):
        return None
    return Place(_EPOCH + timedelta(microseconds=int(micros)), upload_id[:64])


ROUTES: Final = (
    ConsoleRoute("uploads", "/uploads", {"GET": show_uploads}, Access.USERS),
    ConsoleRoute("uploads_stream", "/uploads/stream", {"GET": follow_uploads}, Access.USERS, is_stream=True),
)
