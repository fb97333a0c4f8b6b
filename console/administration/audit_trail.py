"""`/ops/audit`: who did what. The filters are the database's, over the whole table: each narrows an index, and so does the time.

What is archived isn't looked through, and the page says so.

What is asked for stands in the path as ids; an address that is typed is looked up, and never stands there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import asyncpg
from starlette.responses import Response

from audit.archived import ArchivedEvents, list_archived
from audit.details import read_details
from audit.events import AuditEvent
from campaigns.errors import CampaignsError
from campaigns.people.permissions import Action
from campaigns.people.users import find_user
from console.administration.words import said
from console.errors import GoTo
from console.paths import url
from console.rendering import SINGAPORE
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection, planned_anew
from database.queries import NamedQueries
from database.ranges import AUDIT_WIDTH

SQL: Final = NamedQueries("console", "administration/audit_trail.sql")
ON_A_PAGE: Final = 100
_FIELDS: Final = ("event", "campaign", "upload", "actor", "since", "until")
_LONGEST: Final = 200
_DAY_UNREADABLE: Final = "Give a day such as 2026-11-28, or leave the field empty"
_EARLIEST, _LATEST = date(2000, 1, 1), date(9000, 1, 1)
# A row's time is that of its transaction's beginning, and its number that of its writing: so much they may be apart.
_APART: Final = timedelta(hours=1)
_MOST_NUMBER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, as it stands in the path; what of it can't be understood is left out, and told."""

    fields: Mapping[str, str]
    since: datetime | None
    until: datetime | None
    errors: Mapping[str, str]

    @property
    def is_chosen(self) -> bool:
        """Whether it asks for less than all."""
        return any(self.fields.values())


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the trail. `actor_email`: the address of an actor who is a user here."""

    id: int
    at: datetime
    event: str
    campaign_id: str | None
    upload_id: str | None
    actor: str | None
    actor_email: str | None
    source_address: str | None
    details: Mapping[str, object]


class Trail:
    """The rows that are asked for, the newest first."""

    def __init__(self, wanted: Wanted, lowest: int, highest: int) -> None:
        self._wanted: Final = wanted
        self.lowest: Final = lowest
        self.highest: Final = highest

    @classmethod
    async def find(cls, connection: Connection, wanted: Wanted) -> "Trail":
        """Find out between which numbers the wanted time lies."""
        lowest, highest = 0, _MOST_NUMBER
        if wanted.since is not None:
            lowest = await connection.fetchval(SQL["find_number"], wanted.since - _APART) or 0
        if wanted.until is not None:
            highest = await connection.fetchval(SQL["find_number"], wanted.until + _APART) or 0
        return cls(wanted, lowest, highest)

    async def read(self, connection: Connection, *, before: int | None, most: int) -> list[Entry]:
        """The next rows, older than the one with the number `before`."""
        highest = self.highest if before is None else min(before, self.highest)
        async with planned_anew(connection):
            newest = await connection.fetchval(SQL["find_newest"], highest) or 0
            # Mostly the newest month and the one before have all that is wanted. A plan for them is made much sooner than one for
            # the ranges of years.
            near = max(self.lowest, (newest // AUDIT_WIDTH - 1) * AUDIT_WIDTH)
            rows = await self._read_between(connection, near, highest, most)
            if len(rows) < most and near > self.lowest:
                rows += await self._read_between(connection, self.lowest, near, most - len(rows))
        return [_entry_of(row) for row in rows]

    async def list_archived(self, connection: Connection) -> tuple[ArchivedEvents, ...]:
        """The archives that may have rows of those that are asked for: ask once they are read."""
        fields = self._wanted.fields
        begun = await connection.fetchval(
            SQL["find_begin"], fields["campaign"] or None, fields["upload"] or None
        )
        return await list_archived(
            connection, since=self._wanted.since, until=self._wanted.until, begun_at=begun
        )

    async def _read_between(
        self, connection: Connection, lowest: int, highest: int, most: int
    ) -> list[asyncpg.Record]:
        fields = self._wanted.fields
        return await connection.fetch(
            SQL["read_events"],
            lowest,
            highest,
            *(fields[name] or None for name in ("event", "campaign", "upload", "actor")),
            self._wanted.since,
            self._wanted.until,
            most,
        )


async def show_trail(visit: Visit) -> Response:
    """A page of the trail."""
    wanted = read_wanted(visit.query)
    typed = visit.query.get("before", "")
    before = int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 19 else None
    entries: Sequence[Entry] = ()
    archived: Sequence[ArchivedEvents] = ()
    if not wanted.errors:
        async with visit.connection() as connection:
            trail = await Trail.find(connection, wanted)
            entries = await trail.read(connection, before=before, most=ON_A_PAGE + 1)
            archived = await trail.list_archived(connection)
    shown = entries[:ON_A_PAGE]
    return await _shown(
        visit, wanted, shown, archived=archived,
        older=url("ops_audit", **wanted.fields, before=shown[-1].id) if len(entries) > ON_A_PAGE else None,
        newest=None if before is None else url("ops_audit", **wanted.fields),
    )  # fmt: skip


async def choose(visit: Visit) -> Response:
    """Lead to what the form asks for: an address that stands for somebody becomes the user's id."""
    form = await visit.form()
    fields = {name: form.words(name)[:_LONGEST] for name in _FIELDS}
    if "@" in fields["actor"]:
        try:
            async with visit.connection() as connection:
                fields["actor"] = (await find_user(connection, fields["actor"])).id
        except CampaignsError as error:
            wanted = Wanted(fields, None, None, {"actor": said(error)})
            return await _shown(visit, wanted, (), archived=(), older=None, newest=None)
    raise GoTo(url("ops_audit", **fields))


def read_wanted(given: Mapping[str, str]) -> Wanted:
    """What the fields ask for."""
    fields = {name: given.get(name, "").strip()[:_LONGEST].replace("\0", "") for name in _FIELDS}
    errors = {}
    days: dict[str, date | None] = {}
    for name in ("since", "until"):
        try:
            days[name] = date.fromisoformat(fields[name]) if fields[name] else None
        except ValueError:
            errors[name] = _DAY_UNREADABLE
            continue
        day = days[name]
        if day is not None and not _EARLIEST <= day <= _LATEST:
            errors[name] = _DAY_UNREADABLE
    if errors:
        return Wanted(fields, None, None, errors)
    since, until = days["since"], days["until"]
    return Wanted(
        fields,
        None if since is None else _midnight(since),
        None if until is None else _midnight(until + timedelta(days=1)),
        {},
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SINGAPORE)


def _entry_of(row: asyncpg.Record) -> Entry:
    address = row["source_address"]
    return Entry(
        row["id"], row["at"], row["event"], row["campaign_id"], row["upload_id"], row["actor"], row["actor_email"],
        None if address is None else str(address), read_details(row["details"]),
    )  # fmt: skip


async def _shown(
    visit: Visit,
    wanted: Wanted,
    entries: Sequence[Entry],
    *,
    archived: Sequence[ArchivedEvents],
    older: str | None,
    newest: str | None,
) -> Response:
    return await visit.page(
        "administration/audit_trail.html", status=422 if wanted.errors else 200, wanted=wanted, entries=entries,
        archived=archived, older=older, newest=newest,
        events=[("", "All events"), *((event.value, event.value) for event in sorted(AuditEvent))],
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("ops_audit", "/ops/audit", {"GET": show_trail, "POST": choose}, Action.ADMINISTER),
)
