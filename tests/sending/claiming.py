"""Claims by themselves, without a dispatcher: time stands still for them, as they may reserve a day ahead."""

from datetime import UTC, datetime, timedelta
from typing import Any

from config.environment import Environment
from database.connections import Connection, Pool
from rules.messages import DEFAULT_FOOTERS
from sending.claims import Claim, ClaimedMessage, claim_messages
from sending.senders import SenderPlan, record_senders
from sending.taking import BatchTaking

A_DAY = timedelta(days=1)


async def make_sender(
    connection: Connection, *, name: str = "public", provider: str = "simulator", rate: float = 1000
) -> int:
    """A sender as the settings would make it; returns its id."""
    await record_senders(connection, [SenderPlan(name, provider, rate)])
    sender_id: int = await connection.fetchval("select id from senders where name = $1", name)
    return sender_id


async def take_batches(pool: Pool) -> int:
    """Take up what waits, as a dispatcher does each second."""
    return await BatchTaking(pool, Environment.TEST, DEFAULT_FOOTERS).take()


async def claim(
    connection: Connection, sender_id: int, segments: int, *, lead: timedelta = A_DAY
) -> list[ClaimedMessage]:
    """One claim's messages."""
    return list((await claim_whole(connection, sender_id, segments, lead=lead)).messages)


async def claim_whole(
    connection: Connection, sender_id: int, segments: int, *, lead: timedelta = A_DAY
) -> Claim:
    """One claim."""
    return await claim_messages(
        connection, sender_id, segments=segments, lead=lead, head=0.0, stale_after=A_DAY
    )


async def claim_until_empty(
    connection: Connection, sender_id: int, segments: int
) -> list[list[ClaimedMessage]]:
    """All claims until nothing is left."""
    claims = []
    while claimed := await claim(connection, sender_id, segments):
        claims.append(claimed)
    return claims


def rows_of(claimed: list[ClaimedMessage], batch_no: int) -> list[int]:
    """The rows of a batch among them, in the order in which they leave."""
    return [message.key.row_number for message in claimed if message.key.batch_no == batch_no]


async def batch_row(connection: Connection, batch_no: int) -> dict[str, Any]:
    """The batch's row."""
    row = await connection.fetchrow("select * from batches where batch_no = $1", batch_no)
    assert row is not None
    return dict(row)


def days_ago(days: float) -> datetime:
    """So long before now."""
    return datetime.now(UTC) - timedelta(days=days)
