"""A range of batches that ended long ago, with the next one in use; and an archiver on the test's own servers."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from database.grants import DatabaseRole, grant_statements
from messages.statuses import MessageStatus
from processing.archives.archiving import Archiver
from processing.archives.ranges import RecordRange, Terms, list_ranges
from processing.object_store import S3ObjectStore, open_store
from rules.billing.periods import Month
from tests.messages.builders import FOREIGN, MadeBatch, add_attempt, make_batch

SUCCESS, FAILURE, SENT_TO_TELCO = MessageStatus.SUCCESS, MessageStatus.FAILURE, MessageStatus.SENT_TO_TELCO
NOW = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
MADE = datetime(2026, 3, 3, 9, 30, 0, 123000, tzinfo=UTC)
NAME = "messages_to_4000000"
TERMS = Terms(Month(2026, 8), None)
MakeArchiver = Callable[..., Archiver]


@dataclass(frozen=True, slots=True)
class Old:
    """Three batches of the first range."""

    first: MadeBatch
    second: MadeBatch
    abroad: MadeBatch

    @property
    def batches(self) -> tuple[MadeBatch, ...]:
        return self.first, self.second, self.abroad


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[S3ObjectStore]:
    async with open_store(settings.s3) as opened:
        yield opened


@pytest.fixture
async def worker_pool(connection: Connection, settings: Settings) -> AsyncIterator[Pool]:
    """Connections with the rights of a worker's role, no more."""
    for role in DatabaseRole:
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} login")
    await connection.execute("\n".join(grant_statements()))
    url = re.sub(r"//\w+@", f"//{DatabaseRole.WORKER}@", settings.database.url.get_secret_value())
    database = settings.database.model_copy(update={"url": SecretStr(url)})
    async with open_pool(database, name="worker") as pool:
        yield pool


@pytest.fixture
async def old(connection: Connection, campaign_id: str) -> Old:
    """They have ended; numbers are given out from the second range on."""
    made = Old(
        await make_batch(connection, campaign_id, [SUCCESS, FAILURE, SUCCESS], at=MADE),
        await make_batch(connection, campaign_id, [FAILURE] * 3, at=MADE + timedelta(hours=1)),
        await make_batch(connection, campaign_id, [SENT_TO_TELCO], recipient=FOREIGN, at=MADE),
    )
    await add_attempt(connection, made.first, made.first.key(3, 2), SUCCESS, at=MADE + timedelta(days=1))
    # What a provider gave may be anything, and what nobody gave isn't an empty text.
    await connection.execute(
        "update attempts set raw_code = $2, provider_id = '' where batch_no = $1 and row_number = 3",
        made.second.batch_no,
        'a "b",\r\n\\N\té',
    )
    await connection.execute("delete from due")
    await connection.execute(
        "update batches set finished_at = created_at + interval '2 days', cursor_row = 99"
    )
    await connection.execute("select setval(pg_get_serial_sequence('batches', 'batch_no'), 4000000, false)")
    await connection.execute("select add_message_ranges()")
    return made


@pytest.fixture
def make_archiver(pool: Pool, store: S3ObjectStore) -> MakeArchiver:
    """Archives with files of two messages, unless told otherwise."""

    def make(**changes: Any) -> Archiver:
        values: dict[str, Any] = {"store": store, "terms": TERMS, "rows_at_once": 2, **changes}
        return Archiver(pool, **values)

    return make


async def first_range(connection: Connection) -> RecordRange:
    return (await list_ranges(connection))[0]


async def rows_of(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All messages and attempts, whole."""
    return {
        table: [tuple(row) for row in await connection.fetch(f"select * from {table} order by {key}")]
        for table, key in (
            ("messages", "batch_no, row_number"),
            ("attempts", "batch_no, row_number, attempt"),
        )
    }


async def tables(connection: Connection) -> set[str]:
    """Ranges of messages and attempts, attached or not."""
    rows = await connection.fetch(
        r"select relname from pg_class where relname ~ '^(messages|attempts)_to_\d+$'"
    )
    return {row["relname"] for row in rows}
