"""A table of messages that follows what becomes of them, of a campaign or of one batch."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from console.live.views import Fragment, Note
from console.messages.queries import MessageQuery
from console.messages.rows import Row, RowMaker
from console.rendering import Renderer
from database.connections import Connection
from database.queries import NamedQueries
from messages.pages import Page, fetch_page
from messages.retrieval import Message, fetch_messages

SQL: Final = NamedQueries("console", "messages/tables.sql")
ROWS: Final = 100
_ROW: Final = ("messages/rows.html", "message_row")
# Seconds between two looks at what may have changed: while something does, and while nothing has for a time.
_OFTEN: Final = 1.0
_SELDOM: Final = 3.0
_CALM_AFTER: Final = 15.0
# A page whose rows must be looked for isn't made anew more often.
_SEARCH_EVERY: Final = 10.0


async def fetch_table(connection: Connection, query: MessageQuery) -> Page:
    """The page that the query asks for; an empty one, where something is wrong with it."""
    if query.errors:
        return Page()
    return await fetch_page(connection, query.scope, limit=ROWS, place=query.place, towards=query.towards)


async def list_creators(connection: Connection, campaign_id: str) -> list[tuple[str, str]]:
    """Ids and addresses of those who may have made a campaign's messages."""
    return [(row["id"], row["email"]) for row in await connection.fetch(SQL["list_creators"], campaign_id)]


class Pace:
    """How often something is looked at: each second while it changes, and more seldom once it is calm."""

    def __init__(self) -> None:
        self._changed_at = time.monotonic()

    def note_change(self) -> None:
        """Something has changed just now."""
        self._changed_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until the next look."""
        return _OFTEN if time.monotonic() - self._changed_at < _CALM_AFTER else _SELDOM


@dataclass(eq=False)
class TableView:
    """A table of messages that is open: the rows that it had, or the campaign's newest ones where it asks for nothing else.

    Nothing announces what becomes of messages, so it is looked at while somebody watches. What is read first is whether any of
    its batches has changed at all.
    """

    query: MessageQuery
    maker: RowMaker
    pace: Pace = field(default_factory=Pace)
    _messages: Sequence[Message] | None = None
    _newest: int | None = None
    _versions: Sequence[str] | None = None
    _looked_at: float = 0.0
    _rows: dict[str, tuple[Row, Fragment]] = field(default_factory=dict)
    _fragments: Sequence[Fragment] = ()

    @property
    def key(self) -> Hashable:
        """What it shows, to whom."""
        scope = self.query.scope
        batch_id = None if scope.batch is None else scope.batch.id
        asked = (scope.search, scope.filters, self.query.place, self.query.towards)
        return "messages", scope.campaign_id, batch_id, asked, self.maker.sight.kind

    @property
    def interval(self) -> float | None:
        """Seconds until it is looked at again."""
        return self.pace.seconds

    def is_concerned(self, note: Note) -> bool:
        """An upload's end may be the beginning of a batch."""
        return self._follows and note.kind == "upload" and note.campaign_id == self.query.scope.campaign_id

    @property
    def _follows(self) -> bool:
        """Whether what is new belongs to it. A batch never gets more rows than it has."""
        return self.query.is_newest and self.query.scope.batch is None

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """The rows as they are now."""
        numbers = {message.batch.number for message in self._messages or ()}
        campaign_id = self.query.scope.campaign_id if self._follows else None
        found = await connection.fetchrow(SQL["fetch_versions"], campaign_id, list(numbers))
        assert found is not None  # noqa: S101 - it has no condition
        must_look = self._messages is None or self._may_have_more(found["newest"])
        if not must_look and found["versions"] == self._versions:
            return self._fragments
        self.pace.note_change()
        self._versions = found["versions"]
        if must_look:
            self._messages = (await fetch_table(connection, self.query)).messages
            self._newest, self._looked_at = found["newest"], time.monotonic()
            if {message.batch.number for message in self._messages} != numbers:
                # The versions are other batches': the next look reads these ones', and the rows once more.
                self._versions = None
        else:
            keys = [(message.batch.number, message.row_number) for message in self._messages or ()]
            self._messages = await fetch_messages(connection, keys)
        self._fragments = self._render_rows(renderer)
        return self._fragments

    def _may_have_more(self, newest: int | None) -> bool:
        """Whether there may be rows that it hasn't."""
        if not self._follows or newest == self._newest:
            return False
        return not self.query.scope.is_looking or time.monotonic() - self._looked_at >= _SEARCH_EVERY

    def _render_rows(self, renderer: Renderer) -> list[Fragment]:
        rows = [self.maker.row(message) for message in self._messages or ()]
        known, self._rows = self._rows, {}
        for row in rows:
            before = known.get(row.id)
            if before is not None and before[0] == row:
                self._rows[row.id] = before
            else:
                html = renderer.macro(*_ROW, row, self.maker)
                self._rows[row.id] = (row, Fragment(row.id, html))
        return [fragment for _, fragment in self._rows.values()]
