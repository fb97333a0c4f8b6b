"""The rows of a log, read in pieces for somebody who may read them slowly.

A piece is one statement, which makes lines of CSV: half a million rows need not pass through Python one by one. Between pieces
nothing of the database is held, so that rows are each as they are when their piece is read. No message is in two pieces, and
none of those that were there at the beginning is in none.
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import asyncpg

from campaigns.campaigns import Campaign
from config.sizes import MAX_UPLOAD_BYTES
from database.connections import Connection
from database.queries import NamedQueries
from messages.archived.ranges import refuse_used
from messages.logs.charges import Charges
from messages.logs.columns import BEHIND, column_names
from messages.logs.files import BYTE_ORDER_MARK, FORMULA_BEGINNINGS, Cell, csv_lines
from messages.statuses import ErrorCode, MessageStatus
from rules.billing.periods import begin_of

SQL: Final = NamedQueries("messages", "logs/rows.sql")
# The reader of cells takes 131,072 characters at most, unless it is told otherwise.
csv.field_size_limit(MAX_UPLOAD_BYTES)
Connect = Callable[[], AbstractAsyncContextManager[Connection]]

# So many messages are looked at by a statement.
ROWS_AT_ONCE: Final = 10_000
# Messages have their end, but for few, within 80 hours: what was made longer before the days asked for is looked for apart.
_USUAL_LIFE: Final = timedelta(days=5)
# Providers tell when they sent by their own clocks.
_OTHER_CLOCKS: Final = timedelta(days=1)
_MOST_ROW: Final = 2**31 - 1
_NUMBERS: Final = frozenset(BEHIND.index(name) - len(BEHIND) for name in ("attempts", "segments"))


@dataclass(frozen=True, slots=True)
class LogQuery:
    """What a log is of: attempts on Singapore's days from `first` to `last`, of a campaign or of one of its batches.

    `statuses`: of these alone. `errors`: only failures with one of these codes; None: whatever it is. `only_of`: of what this
    user has made alone. `is_masked`: numbers are masked, and there are no values.
    """

    campaign: Campaign
    charges: Charges
    first: date
    last: date
    batch_no: int | None = None
    statuses: Collection[MessageStatus] = frozenset(MessageStatus)
    errors: Collection[ErrorCode] | None = None
    only_of: str | None = None
    is_masked: bool = False

    @property
    def parameters(self) -> Sequence[str]:
        """The parameters that have a column."""
        return () if self.is_masked else self.campaign.template.parameters

    @property
    def begins_at(self) -> datetime:
        """The first moment, aware UTC."""
        return begin_of(self.first)

    @property
    def ends_at(self) -> datetime:
        """The first moment after it, aware UTC."""
        return begin_of(self.last + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class LogPiece:
    """Some lines of the file. `looked`: how many messages were looked at for them, `rows`: how many fitted."""

    text: bytes
    looked: int
    rows: int


async def read_log_csv(
    connect: Connect, query: LogQuery, *, at_once: int = ROWS_AT_ONCE
) -> AsyncIterator[LogPiece]:
    """The log as CSV, its byte order mark and header first. Cells that look like formulas get an apostrophe in front.

    A piece has the lines of `at_once` messages at most. Raises MessagesArchived where the log would lack what is archived.
    """
    yield LogPiece(BYTE_ORDER_MARK + csv_lines([column_names(query.parameters)]), 0, 0)
    async for piece in _read(connect, _Reader(query, at_once, guards_formulas=True)):
        yield piece


async def read_log_cells(
    connect: Connect, query: LogQuery, *, at_once: int = ROWS_AT_ONCE
) -> AsyncIterator[LogPiece]:
    """The log's rows without a header, each cell as it is: for `cells_of`."""
    async for piece in _read(connect, _Reader(query, at_once, guards_formulas=False)):
        yield piece


async def find_archive_of_log(connection: Connection, query: LogQuery) -> str | None:
    """An archive with messages that the log would lack; None where it lacks nothing."""
    name: str | None = await connection.fetchval(
        SQL["find_archive"],
        query.campaign.id,
        query.begins_at - _OTHER_CLOCKS,
        query.ends_at + _OTHER_CLOCKS,
        query.begins_at - _USUAL_LIFE,
        query.batch_no,
    )
    return name


def cells_of(piece: LogPiece) -> list[list[Cell]]:
    """A piece's rows for an XLSX file: our own numbers are numbers. It is work for a thread."""
    rows: list[list[Cell]] = []
    for text in csv.reader(io.StringIO(piece.text.decode(), newline="")):
        row: list[Cell] = [*text]
        for place in _NUMBERS:
            row[place] = int(text[place])
        rows.append(row)
    return rows


async def _read(connect: Connect, reader: "_Reader") -> AsyncIterator[LogPiece]:
    while not reader.is_done:
        async with connect() as connection:
            piece = await reader.next_piece(connection)
        if piece.looked:
            yield piece


class _Reader:
    """Where a log is being read. Batches that took long come first, then those of the days, in their order."""

    def __init__(self, query: LogQuery, at_once: int, *, guards_formulas: bool) -> None:
        self._query = query
        self._at_once = at_once
        self._guarded = [ord(character) for character in FORMULA_BEGINNINGS if guards_formulas]
        self._usual_from = query.begins_at - _USUAL_LIFE
        self._before: int | None = None if query.batch_no is not None else 0
        self._place: tuple[datetime, str] | None = (self._usual_from, "") if query.batch_no is None else None
        self._waiting: list[tuple[int, int]] = (
            [(query.batch_no, _MOST_ROW)] if query.batch_no is not None else []
        )
        self._row_of_first = 0
        self.is_done = False

    async def next_piece(self, connection: Connection) -> LogPiece:
        """The next lines; without any message looked at where only batches were looked for."""
        if not self._waiting:
            await self._find_batches(connection)
        if not self._waiting:
            self.is_done = self._before is None and self._place is None
            return LogPiece(b"", 0, 0)
        first, messages = self._waiting[0]
        if messages > self._at_once:
            end = await connection.fetchval(SQL["find_end"], first, self._row_of_first, self._at_once)
            piece = await self._fetch(connection, [first], end, self._at_once)
            if end is None:
                del self._waiting[0]
            self._row_of_first = end or 0
        else:
            taken = looked = 0
            for _, messages in self._waiting:
                if looked + messages > self._at_once:
                    break
                looked += messages
                taken += 1
            piece = await self._fetch(
                connection, [number for number, _ in self._waiting[:taken]], None, looked
            )
            del self._waiting[:taken]
        self.is_done = not self._waiting and self._before is None and self._place is None
        return piece

    async def _find_batches(self, connection: Connection) -> None:
        query = self._query
        of_user = query.only_of, query.campaign.creator.id
        if self._before is not None:
            rows = await connection.fetch(
                SQL["list_before"], query.campaign.id, self._usual_from, query.begins_at - _OTHER_CLOCKS, self._before,
                self._at_once, *of_user,
            )  # fmt: skip
            self._before = rows[-1]["batch_no"] if len(rows) == self._at_once else None
        elif self._place is not None:
            rows = await connection.fetch(
                SQL["list_in_days"], query.campaign.id, self._usual_from, query.ends_at + _OTHER_CLOCKS, *self._place,
                self._at_once, *of_user,
            )  # fmt: skip
            self._place = (rows[-1]["created_at"], rows[-1]["id"]) if len(rows) == self._at_once else None
        else:
            rows = []
        self._waiting = [(row["batch_no"], row["total_messages"]) for row in rows]
        self._row_of_first = 0

    async def _fetch(
        self, connection: Connection, batches: list[int], end: int | None, looked: int
    ) -> LogPiece:
        query = self._query
        row: asyncpg.Record | None = await connection.fetchrow(
            SQL["fetch_lines"], batches, self._row_of_first, _MOST_ROW if end is None else end, query.begins_at, query.ends_at,
            sorted(query.statuses), None if query.errors is None else [code.value for code in query.errors],
            list(query.parameters), query.campaign.creator.id, self._guarded, query.is_masked, query.charges.since,
            list(query.charges.outcomes), list(query.charges.other_expiries),
        )  # fmt: skip
        assert row is not None  # noqa: S101 - it counts, so there is a row
        await refuse_used(connection, batches, query.begins_at - _OTHER_CLOCKS)
        return LogPiece(row["text"], looked, row["rows"])
