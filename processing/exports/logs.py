"""From what was asked for to the log itself: what is read, and how it becomes a file."""

import asyncio
from collections.abc import AsyncGenerator
from typing import BinaryIO

from campaigns.campaigns import Campaign
from config.environment import Environment
from config.sections import BillingSettings
from database.connections import Connection
from messages.logs.charges import Charges
from messages.logs.columns import column_names
from messages.logs.rows import Connect, LogPiece, LogQuery, cells_of, read_log_cells, read_log_csv
from messages.retrieval import fetch_batch
from processing.exports.exports import Form, LogRequest


async def query_of(
    connection: Connection,
    campaign: Campaign,
    request: LogRequest,
    billing: BillingSettings,
    environment: Environment,
) -> LogQuery | None:
    """What is to be read; None where the batch that was asked for is not the campaign's."""
    batch = None if request.batch_id is None else await fetch_batch(connection, request.batch_id)
    if request.batch_id is not None and (batch is None or batch.campaign_id != campaign.id):
        return None
    return LogQuery(
        campaign,
        await Charges.fetch(connection, campaign, billing, environment),
        request.first,
        request.last,
        batch_no=None if batch is None else batch.number,
        statuses=request.statuses,
        errors=request.errors,
        only_of=request.only_of,
        is_masked=request.is_masked,
    )


async def write_log(
    connect: Connect, query: LogQuery, target: BinaryIO, form: Form
) -> AsyncGenerator[int, None]:
    """Write the file, piece by piece: how many rows are written is told after each. It is whole at the end.

    What takes the processor, and waits for the disk, is done in a thread.
    """
    rows = 0
    if form is Form.CSV:
        async for piece in read_log_csv(connect, query):
            await asyncio.to_thread(target.write, piece.text)
            rows += piece.rows
            yield rows
        return
    from messages.logs.xlsx import XLSXWriter

    writer = XLSXWriter(target, column_names(query.parameters))

    def add(piece: LogPiece) -> None:
        for cells in cells_of(piece):
            writer.add(cells)

    async for piece in read_log_cells(connect, query):
        await asyncio.to_thread(add, piece)
        rows += piece.rows
        yield rows
    await asyncio.to_thread(writer.close)
    yield rows
