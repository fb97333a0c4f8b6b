"""The delivery report of a batch: a row for each message, with what became of it, as CSV or XLSX (9-console.md, message logs).

Its columns, files and rules about charges are those of message logs (`messages/logs`), which have a row for each attempt: here
`charged` is how many segments are, of all attempts of a message together.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import BinaryIO

import asyncpg

from campaigns.campaigns import Campaign
from config.environment import Environment
from config.sections import BillingSettings
from database.connections import Connection, json_object
from messages.archived.ranges import refuse_archived
from messages.documents import api_time
from messages.identifiers import message_id
from messages.logs.charges import Charges
from messages.logs.columns import column_names
from messages.logs.files import Cell, CSVWriter, Writer
from messages.retrieval import Batch, fetch_batches, fetch_creators, fetch_deliveries, read_deliveries
from messages.statuses import ErrorCode, MessageStatus


@dataclass(frozen=True, slots=True)
class ReportFrame:
    """What all rows of a report have in common. `key_name`: the label of the key that the file came with, or empty.

    With a `mask` numbers are as it makes them, and there are no values: for whoever may see statuses alone.
    """

    batch: Batch
    parameters: Sequence[str]
    key_name: str
    creator_email: str
    charges: Charges
    mask: Callable[[str], str] | None = None

    @classmethod
    async def of_batch(
        cls,
        connection: Connection,
        batch: Batch,
        campaign: Campaign,
        environment: Environment,
        billing: BillingSettings,
        *,
        key_name: str,
        mask: Callable[[str], str] | None = None,
    ) -> "ReportFrame":
        """The frame of a batch's report in that environment. Raises MessagesArchived."""
        await refuse_archived(connection, batch.number)
        charges = await Charges.fetch(connection, campaign, billing, environment)
        creators = await fetch_creators(connection, [batch])
        creator = creators.get(batch.creator_id) or campaign.creator
        parameters = () if mask else campaign.template.parameters
        return cls(batch, parameters, key_name, creator.email, charges, mask)

    def columns(self) -> list[str]:
        """The header row."""
        return column_names(self.parameters)

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
            row["charged"],
            self.creator_email,
            self.key_name,
        ]


async def write_delivery_report(
    connection: Connection,
    frame: ReportFrame,
    target: BinaryIO,
    *,
    form: str,
    statuses: Collection[MessageStatus],
) -> int:
    """Write the messages that have one of these statuses to `target`, as `csv` or `xlsx`; returns how many there are.

    All rows are of one moment, and only some thousands of them are held at a time. Raises MessagesArchived.
    """
    writer = _open_writer(target, frame.columns(), form)
    rows = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in read_deliveries(connection, frame.batch, statuses, frame.charges):
            writer.add(frame.cells(row))
            rows += 1
    await refuse_archived(connection, frame.batch.number)
    writer.close()
    return rows


async def read_csv_report(
    connect: Callable[[], AbstractAsyncContextManager[Connection]], frame: ReportFrame
) -> AsyncIterator[bytes]:
    """The report as CSV in pieces, for somebody who may read them slowly.

    Between pieces nothing of the database is held, so that rows are each as they are when their piece is read.
    """
    target = io.BytesIO()
    writer = CSVWriter(target, frame.columns())
    async for current, rows in _read(connect, frame):
        for row in rows:
            writer.add(current.cells(row))
        writer.close()
        yield target.getvalue()
        target.seek(0)
        target.truncate()


def _open_writer(target: BinaryIO, columns: Sequence[str], form: str) -> Writer:
    if form != "xlsx":
        return CSVWriter(target, columns)
    from messages.logs.xlsx import XLSXWriter

    return XLSXWriter(target, columns)


async def write_xlsx_report(
    connect: Callable[[], AbstractAsyncContextManager[Connection]], frame: ReportFrame, target: BinaryIO
) -> None:
    """The report as XLSX. Its rows are read and written as `read_csv_report` does it, the writing in a thread."""
    from messages.logs.xlsx import XLSXWriter

    writer = XLSXWriter(target, frame.columns())

    def add(current: ReportFrame, rows: Sequence[asyncpg.Record]) -> None:
        for row in rows:
            writer.add(current.cells(row))

    async for current, rows in _read(connect, frame):
        await asyncio.to_thread(add, current, rows)
    await asyncio.to_thread(writer.close)


async def _read(
    connect: Callable[[], AbstractAsyncContextManager[Connection]], frame: ReportFrame
) -> AsyncIterator[tuple[ReportFrame, Sequence[asyncpg.Record]]]:
    """Rows, some thousands at a time, each with the frame of that moment; the last ones are none."""
    after = 0
    while True:
        async with connect() as connection:
            batch = (await fetch_batches(connection, [frame.batch.number]))[frame.batch.number]
            rows = await fetch_deliveries(connection, batch, frame.charges, after=after)
            if not rows:
                # Where they have left meanwhile, nobody takes a part for the whole.
                await refuse_archived(connection, batch.number)
        yield replace(frame, batch=batch), rows
        if not rows:
            return
        after = rows[-1]["row_number"]
