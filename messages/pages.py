"""Pages of messages, newest first: a campaign's, or one batch's; with a search for part of the recipient's number.

A campaign's order is that of its batches (the time they were made, then id), and within a batch that of its rows: so messages
need no index of their own. A search looks through the rows in this order, a piece at a time, and stops where its time is over:
then the page has what was found, and says where to look on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Final

import asyncpg

from database.connections import Connection
from database.queries import NamedQueries
from messages.archived.ranges import Archived, fetch_archived, find_archive, list_left_out
from messages.identifiers import MessageKey, message_id
from messages.retrieval import Batch, Message, fetch_messages
from messages.statuses import ErrorCode, MessageStatus

SQL: Final = NamedQueries("messages", "pages.sql")
# Seconds for which a search looks for a page's messages; and what part of that then for one on the side that the page comes from.
SEARCH_SECONDS: Final = 0.2
_OTHER_SIDE: Final = 0.25
# A statement of a search looks at so many rows that it takes about this long: the next one is measured by the one before.
_PIECE_SECONDS: Final = 0.05
_FIRST_PIECE: Final = 2000
_LEAST_PIECE: Final = 200
_LARGEST_PIECE: Final = 200_000
# A batch with more rows than this is looked through by statements of its own.
_MOST_ROWS_TOGETHER: Final = 1000
# Above the number of any row.
_BEFORE_ROWS: Final = 2**31


class Towards(Enum):
    """The way on which rows are looked for, with its statements; `last_row`: a number behind that of any row on that way."""

    OLDER = ("older", 0)
    NEWER = ("newer", _BEFORE_ROWS)

    def __init__(self, way: str, last_row: int) -> None:
        self.way = way
        self.last_row = last_row

    @property
    def back(self) -> "Towards":
        """The other way."""
        return Towards.NEWER if self is Towards.OLDER else Towards.OLDER


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the order: a batch, which need not exist, and a row of it."""

    created_at: datetime
    batch_id: str
    row_number: int

    @property
    def message_id(self) -> str:
        """The id of the message that is there."""
        return message_id(self.batch_id, self.row_number)

    def next_to(self, towards: Towards) -> "Place":
        """The place just before this one on that way: looking on from there, this one comes first."""
        return replace(self, row_number=self.row_number + (1 if towards is Towards.OLDER else -1))


# Behind it is a campaign's newest message.
_BEGINNING: Final = Place(datetime(9999, 12, 31, tzinfo=UTC), "", _BEFORE_ROWS)


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, newest first. `first`: from where to look on for newer ones, `last` for older ones; None on an empty page.

    Where the time was over, that is the last place looked at. `archives`: those that have messages which belong behind the oldest
    one here, and which it leaves out.
    """

    messages: Sequence[Message] = ()
    has_older: bool = False
    has_newer: bool = False
    first: Place | None = None
    last: Place | None = None
    archives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages are wanted besides; None: whatever it is. Those made from `since` on and before `until`, in aware UTC.

    `statuses`: that of the last attempt, or what the batch gives a message without one. `error`: that of a failure, so no other
    status fits. `creator_id`: who made the message, by default the campaign's creator.
    """

    statuses: frozenset[MessageStatus] | None = None
    error: ErrorCode | None = None
    since: datetime | None = None
    until: datetime | None = None
    creator_id: str | None = None

    @property
    def ranks(self) -> list[int] | None:
        """The statuses as the tables hold them."""
        statuses = self.statuses
        if self.error is not None:
            statuses = frozenset({MessageStatus.FAILURE}) & (statuses or frozenset(MessageStatus))
        return None if statuses is None else sorted(status.value for status in statuses)


NO_FILTERS: Final = Filters()


@dataclass(frozen=True, slots=True)
class Scope:
    """What is paged: all messages of a campaign, or of one batch of it. `search`: digits that a recipient must have, or None."""

    campaign_id: str
    batch: Batch | None = None
    search: str | None = None
    filters: Filters = NO_FILTERS

    @property
    def is_filtered(self) -> bool:
        """Whether rows are wanted by more than their numbers."""
        return self.filters != NO_FILTERS

    @property
    def is_looking(self) -> bool:
        """Whether rows must be looked at to know if they are wanted, so that it may take longer than one has."""
        return self.search is not None or self.is_filtered


async def fetch_page(
    connection: Connection,
    scope: Scope,
    *,
    limit: int,
    place: Place | None = None,
    towards: Towards = Towards.OLDER,
    seconds: float = SEARCH_SECONDS,
) -> Page:
    """At most `limit` messages: those next to `place` on that way, or the newest ones. A search is over after about `seconds`."""
    archived = await fetch_archived(connection)
    if scope.batch is not None and (name := archived.find(scope.batch.number)):
        return Page(archives=(name,))
    look = _Look(connection, scope, archived, towards, _beginning_of(scope) if place is None else place)
    await look.go(limit + 1, seconds)
    has_more = len(look.found) > limit or not look.is_over
    looked_to = look.looked_to if has_more and len(look.found) <= limit else None
    has_others = place is not None and await _has_any(look, place, towards.back, seconds)
    messages = await fetch_messages(connection, look.found[:limit])
    ends = [Place(m.batch.created_at, m.batch.id, m.row_number) for m in messages]
    if towards is Towards.OLDER:
        first, last = ends[0] if ends else None, looked_to or (ends[-1] if ends else None)
        has_older, has_newer = has_more, has_others
    else:
        messages.reverse()
        first, last = looked_to or (ends[-1] if ends else None), ends[0] if ends else None
        has_older, has_newer = has_others, has_more
    left_out = () if has_older else await _list_left_out(connection, scope)
    return Page(messages, has_older, has_newer, first, last, left_out)


async def _list_left_out(connection: Connection, scope: Scope) -> tuple[str, ...]:
    """The archives whose messages a list of all that is there leaves out. It is asked last, when rows were read."""
    if scope.batch is not None:
        name = await find_archive(connection, scope.batch.number)
        return () if name is None else (name,)
    return await list_left_out(
        connection, scope.campaign_id, since=scope.filters.since, until=scope.filters.until
    )


async def _has_any(look: "_Look", place: Place, towards: Towards, seconds: float) -> bool:
    """Whether there is a message on that way, or at the place itself. Where the time is over first, there may be one."""
    other = replace(look, towards=towards, at=place.next_to(towards), found=[], looked_to=None, is_over=False)
    await other.go(1, seconds * _OTHER_SIDE)
    return bool(other.found) or not other.is_over


async def list_messages(
    connection: Connection,
    campaign_id: str,
    *,
    search: str | None = None,
    after: Message | None = None,
    limit: int,
) -> list[Message]:
    """A campaign's newest messages, however long a search for them takes. What is no number finds nothing.

    `after`: only those that come after this one.
    """
    if search is not None and not is_number(search):
        return []
    place = _BEGINNING if after is None else Place(after.batch.created_at, after.batch.id, after.row_number)
    archived = await fetch_archived(connection)
    look = _Look(connection, Scope(campaign_id, search=search), archived, Towards.OLDER, place)
    await look.go(limit, None)
    return await fetch_messages(connection, look.found[:limit])


async def fetch_place(connection: Connection, created_at: datetime, key: MessageKey) -> Place:
    """The place of the message with that id in the order. It is one too where there is no such message."""
    batch_id = await connection.fetchval(SQL["find_batch_id"], key.stem)
    # What is missing of the batch's id is of no account to the order, but where another one begins like it.
    return Place(created_at, batch_id or f"batch_{key.stem[:14]}0{key.stem[14:]}", key.row_number)


def place_in_batch(batch: Batch, created_at: datetime, row_number: int) -> Place:
    """The place of a row in its batch. All rows of a batch were made at one time: any other lies before or behind them all."""
    if created_at > batch.created_at:
        row_number = _BEFORE_ROWS
    elif created_at < batch.created_at:
        row_number = 0
    return Place(batch.created_at, batch.id, row_number)


def is_number(search: str) -> bool:
    """Whether any recipient's number could have this part: whoever searches for anything else finds nothing."""
    return search.isascii() and search.isdigit()


def _beginning_of(scope: Scope) -> Place:
    return _BEGINNING if scope.batch is None else Place(scope.batch.created_at, scope.batch.id, _BEFORE_ROWS)


@dataclass
class _Look:
    """One way through the rows, from behind the place `at` on, until enough were found, none is left, or the time is over."""

    connection: Connection
    scope: Scope
    archived: Archived
    towards: Towards
    at: Place
    found: list[tuple[int, int]] = field(default_factory=list)
    looked_to: Place | None = None
    is_over: bool = False

    async def go(self, wanted: int, seconds: float | None) -> None:
        """Look for so many rows, and at one piece at least, however long that takes."""
        clock = asyncio.get_running_loop().time
        began = clock()
        searches = self.scope.is_looking
        piece = max(wanted, _LEAST_PIECE if wanted == 1 else _FIRST_PIECE) if searches else wanted
        while len(self.found) < wanted and not self.is_over:
            at = clock()
            if searches and seconds is not None and self.looked_to is not None and at - began >= seconds:
                return
            await self._look_at(piece)
            if searches:
                grown = piece * min(4.0, _PIECE_SECONDS / max(clock() - at, 0.001))
                piece = int(min(max(grown, _LEAST_PIECE), _LARGEST_PIECE))

    async def _look_at(self, piece: int) -> None:
        """Look at about so many rows."""
        # The first one may be that of the place, with no row left.
        batches = 1 if self.scope.batch else max(piece, 2)
        statement = f"look_{self.towards.way}"
        more: tuple[object, ...] = ()
        if self.scope.is_filtered:
            filters = self.scope.filters
            statement = f"filter_{self.towards.way}"
            more = (filters.since, filters.until, filters.creator_id, *self._wanted())
        lines = await self.connection.fetch(
            SQL[statement],
            self.scope.campaign_id,
            self.at.created_at,
            self.at.batch_id,
            self.at.row_number,
            self.scope.search,
            batches,
            piece,
            _MOST_ROWS_TOGETHER,
            self.archived.floor,
            self.archived.numbers,
            *more,
        )
        if not lines:
            self.is_over = True
            return
        for line in lines:
            self._take(line, line)
        last = lines[-1]
        if last["is_large"] and not await self._look_into(last, piece):
            return
        self.at = Place(last["created_at"], last["id"], self.towards.last_row)
        if self.scope.is_filtered:
            # Batches were passed over, so that there may have been no row to look at.
            self.looked_to = self.at
        is_last = self.scope.batch is not None or last["listed"] < batches
        self.is_over = is_last and last["place"] == last["listed"]

    async def _look_into(self, batch: asyncpg.Record, piece: int) -> bool:
        """Look at so many rows of a large batch; whether none of it is left."""
        is_of_place = (batch["created_at"], batch["id"]) == (self.at.created_at, self.at.batch_id)
        bound = self.at.row_number if is_of_place else self.towards.back.last_row
        statement = f"look_{self.towards.way}_in_batch"
        more: tuple[object, ...] = ()
        if self.scope.is_filtered:
            statement = f"filter_{self.towards.way}_in_batch"
            more = (*self._wanted(), batch["unclaimed_status"], batch["unclaimed_error"])
        line = await self.connection.fetchrow(
            SQL[statement], batch["batch_no"], bound, self.scope.search, piece, *more
        )
        assert line is not None  # noqa: S101 - it counts, so there is a line
        self._take(batch, line)
        if line["looked"] < piece:
            return True
        self.at = Place(batch["created_at"], batch["id"], line["last_row"])
        return False

    def _wanted(self) -> tuple[list[int] | None, str | None]:
        """Statuses and error of the rows that are wanted, as the statements take them."""
        filters = self.scope.filters
        return filters.ranks, None if filters.error is None else filters.error.value

    def _take(self, batch: asyncpg.Record, line: asyncpg.Record) -> None:
        self.found += [(batch["batch_no"], row_number) for row_number in line["found"] or ()]
        if line["looked"]:
            self.looked_to = Place(batch["created_at"], batch["id"], line["last_row"])
