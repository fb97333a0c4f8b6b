"""The delivery report of a batch: a row for each message, with what became of it, as CSV or XLSX (9-console.md, message logs).

What a spreadsheet could take for a formula or a number stays the text that it is: in XLSX every such cell is written as a
string, and in CSV a cell that begins like a formula gets an apostrophe in front (9-console.md §6).
"""

import csv
import io
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final, Protocol

import asyncpg
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from campaigns.campaigns import Campaign, Channel
from config.environment import Environment
from database.connections import Connection, json_object
from messages.documents import api_time
from messages.identifiers import message_id
from messages.retrieval import Batch, fetch_batches, fetch_creators, fetch_deliveries, read_deliveries
from messages.statuses import ErrorCode, MessageStatus

# What stands before the columns of the parameters, and behind them.
_BEFORE: Final = (
    "created", "sent", "delivered", "message id", "batch id", "file name", "recipient", "language",
)  # fmt: skip
_BEHIND: Final = (
    "status", "error type", "error code", "attempts", "segments", "encoding", "charged", "creator", "key's name",
)  # fmt: skip
_FORMULA_BEGINNINGS: Final = ("=", "+", "-", "@", "\t", "\r")
# UTF-8's byte order mark, so that spreadsheets show Chinese and Tamil.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# A sheet has 1,048,576 rows at most, so a larger batch goes on on the next one.
_ROWS_OF_SHEET: Final = 1_000_000
_CSV_PIECE: Final = 1 << 20
# Failures whose attempts are charged (10-billing.md §1): what the network had work with.
_CHARGED_ERRORS: Final = frozenset(
    {
        ErrorCode.RECIPIENT_INVALID,
        ErrorCode.RECIPIENT_UNAVAILABLE,
        ErrorCode.CONTENT_INVALID,
        ErrorCode.ROUTING_ERROR,
        ErrorCode.MESSAGE_EXPIRED,
    }
)
_LOCAL: Final = "65"

Cell = str | int | None


@dataclass(frozen=True, slots=True)
class ReportFrame:
    """What all rows of a report have in common. `key_name`: the label of the key that the file came with, or empty.

    Without `charges` nothing is charged: test and loadtest messages, and those of the internal channel. With a `mask` numbers are
    as it makes them, and there are no values: for whoever may see statuses alone.
    """

    batch: Batch
    parameters: Sequence[str]
    key_name: str
    creator_email: str
    charges: bool
    mask: Callable[[str], str] | None = None

    @classmethod
    async def of_batch(
        cls,
        connection: Connection,
        batch: Batch,
        campaign: Campaign,
        environment: Environment,
        *,
        key_name: str,
        mask: Callable[[str], str] | None = None,
    ) -> "ReportFrame":
        """The frame of a batch's report in that environment."""
        charges = environment is Environment.PRODUCTION and campaign.channel is Channel.PUBLIC
        creators = await fetch_creators(connection, [batch])
        creator = creators.get(batch.creator_id) or campaign.creator
        parameters = () if mask else campaign.template.parameters
        return cls(batch, parameters, key_name, creator.email, charges, mask)

    def columns(self) -> list[str]:
        """The header row. A parameter that is called like a column of ours says that it is a parameter."""
        own = {*_BEFORE, *_BEHIND}
        names = [f"parameter {name}" if name in own else name for name in self.parameters]
        return [*_BEFORE, *names, *_BEHIND]

    def cells(self, row: asyncpg.Record) -> list[Cell]:
        """One message's cells, of a row as `read_deliveries` gives it."""
        status = MessageStatus(row["status"])
        error = ErrorCode(row["error"]) if row["error"] else self.batch.error_of_unclaimed
        failed = error if status is MessageStatus.FAILURE else None
        values = json_object(row["values"])
        return [
            api_time(row["created_at"]),
            api_time(row["sent_at"]),
            api_time(row["delivered_at"]),
            message_id(self.batch.id, row["row_number"]),
            self.batch.id,
            self.batch.original_file_name,
            row["recipient"] if self.mask is None else self.mask(row["recipient"]),
            row["language"],
            *(values[name] for name in self.parameters),
            status.word,
            failed and failed.type.value,
            failed and failed.value,
            row["attempt"],
            row["segments"],
            row["encoding"],
            self._charged(row, status, failed),
            self.creator_email,
            self.key_name,
        ]

    def _charged(self, row: asyncpg.Record, status: MessageStatus, error: ErrorCode | None) -> int:
        """The segments that are charged: those of each attempt whose outcome is, so that a report can be summed up."""
        if not self.charges:
            return 0
        last = _is_charged(
            status, error, foreign=not row["recipient"].startswith(_LOCAL), expired=row["expired"]
        )
        return int(row["segments"] * (row["charged_before"] + last))


def _is_charged(
    status: MessageStatus, error: ErrorCode | None, *, foreign: bool, expired: bool | None
) -> bool:
    """Whether an attempt's outcome is one that is charged. An expiry of our own is not (10-billing.md §1)."""
    match status:
        case MessageStatus.SUCCESS:
            return True
        case MessageStatus.SENT_TO_TELCO:
            return foreign
        case MessageStatus.FAILURE:
            return error in _CHARGED_ERRORS and not expired
        case _:
            return False


class _Writer(Protocol):
    def add(self, cells: Sequence[Cell]) -> None: ...

    def close(self) -> None: ...


async def write_delivery_report(
    connection: Connection,
    frame: ReportFrame,
    target: BinaryIO,
    *,
    form: str,
    statuses: Collection[MessageStatus],
) -> int:
    """Write the messages that have one of these statuses to `target`, as `csv` or `xlsx`; returns how many there are.

    All rows are of one moment, and only some thousands of them are held at a time.
    """
    columns = frame.columns()
    writer: _Writer = _XLSXWriter(target, columns) if form == "xlsx" else _CSVWriter(target, columns)
    rows = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in read_deliveries(connection, frame.batch, statuses, _CHARGED_ERRORS):
            writer.add(frame.cells(row))
            rows += 1
    writer.close()
    return rows


async def read_csv_report(
    connect: Callable[[], AbstractAsyncContextManager[Connection]], frame: ReportFrame
) -> AsyncIterator[bytes]:
    """The report as CSV in pieces, for somebody who may read them slowly.

    Between pieces nothing of the database is held, so that rows are each as they are when their piece is read.
    """
    target = io.BytesIO()
    writer = _CSVWriter(target, frame.columns())
    after = 0
    while True:
        async with connect() as connection:
            batch = (await fetch_batches(connection, [frame.batch.number]))[frame.batch.number]
            rows = await fetch_deliveries(connection, batch, _CHARGED_ERRORS, after=after)
        current = replace(frame, batch=batch)
        for row in rows:
            writer.add(current.cells(row))
        writer.close()
        yield target.getvalue()
        if not rows:
            return
        target.seek(0)
        target.truncate()
        after = rows[-1]["row_number"]


class _CSVWriter:
    """RFC 4180, with a byte order mark."""

    def __init__(self, target: BinaryIO, columns: Sequence[str]) -> None:
        self._target = target
        self._text = io.StringIO(newline="")
        self._rows = csv.writer(self._text)
        target.write(_BYTE_ORDER_MARK)
        self._rows.writerow(columns)

    def add(self, cells: Sequence[Cell]) -> None:
        self._rows.writerow([_without_formula(cell) if isinstance(cell, str) else cell for cell in cells])
        if self._text.tell() > _CSV_PIECE:
            self._flush()

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        self._target.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()


def _without_formula(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA_BEGINNINGS) else cell


class _PlainSheet(Worksheet):  # type: ignore[misc]  # the library has no types
    """The library writes a string of the form `<r>…</r>` into the sheet as XML, its own form of rich text. Ours is text."""

    def _xml_rich_inline_string(self, string: str, attributes: Any) -> None:
        self._xml_inline_string(string, True, attributes)


class _XLSXWriter:
    """Numbers are ours alone; what stands in a message is a string, whatever it looks like."""

    def __init__(self, target: BinaryIO, columns: Sequence[str]) -> None:
        # One row at a time is held, and the others lie in temporary files without a name.
        self._book = Workbook(target, {"constant_memory": True})
        self._bold = self._book.add_format({"bold": True})
        self._columns = columns
        self._begin_sheet()

    def _begin_sheet(self) -> None:
        self._sheet = self._book.add_worksheet(worksheet_class=_PlainSheet)
        self._sheet.freeze_panes(1, 0)
        self._row = 0
        for place, column in enumerate(self._columns):
            self._sheet.write_string(0, place, column, self._bold)

    def add(self, cells: Sequence[Cell]) -> None:
        if self._row == _ROWS_OF_SHEET:
            self._begin_sheet()
        self._row += 1
        for place, cell in enumerate(cells):
            if isinstance(cell, int):
                self._sheet.write_number(self._row, place, cell)
            elif cell:
                self._sheet.write_string(self._row, place, cell)

    def close(self) -> None:
        self._book.close()
