"""Parts and receipts as rows, what acknowledges receipts, and attempts without an answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from config.sending_sections import SendingSettings
from database.connections import Connection, Pool
from messages.news import AttemptKey
from messages.statuses import ErrorCode, MessageStatus
from sending.outcomes import Outcomes, open_outcomes
from sending.parts import adopt_strays, match_receipts, stray_after
from sending.providers.provider import OpenAttempt, PartNews, Unknown
from tests.messages.builders import (
    LOCAL,
    MadeBatch,
    fetch_attempt,
    later,
    make_batch,
)

SETTINGS = SendingSettings()
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Acknowledged:
    """How often receipts were told to be recorded, by the ids of their parts, in that order."""

    ids: list[str] = field(default_factory=list)

    def news(
        self,
        provider_id: str,
        status: MessageStatus = MessageStatus.SUCCESS,
        error: ErrorCode | None = None,
        **others: str,
    ) -> PartNews:
        return PartNews(provider_id, status, error, recorded=lambda: self.ids.append(provider_id), **others)  # type: ignore[arg-type]


async def flushed(outcomes: Outcomes) -> None:
    await asyncio.wait_for(outcomes.flush(), 30)


async def status_of(connection: Connection, key: AttemptKey) -> MessageStatus:
    status = (await fetch_attempt(connection, key))["status"]
    assert isinstance(status, MessageStatus)
    return status


async def waiting(connection: Connection) -> list[str]:
    """The ids of the receipts that have no part yet."""
    return [
        row["provider_id"]
        for row in await connection.fetch("select provider_id from part_receipts order by id")
    ]


async def make_unknown(pool: Pool, connection: Connection, campaign_id: str, recipient: str) -> MadeBatch:
    """A batch of one message whose hand-over has no answer, so that it waits for a look-up."""
    batch = await make_batch(connection, campaign_id, recipient=recipient)
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add(batch.key(), Unknown("link lost"))
    return batch


def open_attempt(
    batch: MadeBatch, row: int = 2, recipient: str = LOCAL, *, handed_over_at: datetime | None = None
) -> OpenAttempt:
    return OpenAttempt(batch.key(row), recipient, "Dear Tan", "", handed_over_at or _LONG_AGO)


async def adopted(pool: Pool, attempts: Sequence[OpenAttempt], parts: int) -> None:
    """What a look-up of the SMPP provider does, for messages of so many parts."""
    async with pool.acquire() as own, own.transaction():
        ids = await adopt_strays(own, [(attempt, parts) for attempt in attempts], after=stray_after(SETTINGS))
        await match_receipts(own, ids, now=later(minutes=10))


async def database_time(connection: Connection) -> datetime:
    at = await connection.fetchval("select clock_timestamp()")
    assert isinstance(at, datetime)
    return at


async def insert_parts(connection: Connection, key: AttemptKey, *provider_ids: str) -> None:
    for part, provider_id in enumerate(provider_ids, 1):
        await connection.execute(
            "insert into message_parts (batch_no, row_number, attempt, part, parts, provider_id)"
            " values ($1, $2, $3, $4, $5, $6)",
            *(key.batch_no, key.row_number, key.attempt, part, len(provider_ids), provider_id),
        )


async def insert_receipts(
    connection: Connection, recipient: str, *provider_ids: str, age: timedelta = timedelta()
) -> None:
    """Receipts of success that no part had, so old and a little older."""
    for provider_id in provider_ids:
        await connection.execute(
            "insert into part_receipts (provider_id, recipient, status, received_at)"
            " values ($1, $2, 5, now() - $3::interval - interval '1 second')",
            *(provider_id, recipient, age),
        )
