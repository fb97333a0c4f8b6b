"""Batches as the sending core finds them: taken up, claimed up to a row, their attempts in any status."""

import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from database.connections import Connection
from messages.news import AttemptKey
from messages.statuses import MessageStatus

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
LOCAL, FOREIGN = "6591234567", "447911123456"


@dataclass(frozen=True, slots=True)
class MadeBatch:
    """A batch of one's own making. Its rows are numbered from 2."""

    batch_no: int
    id: str
    campaign_id: str
    sender_id: int

    def key(self, row_number: int = 2, attempt: int = 1) -> AttemptKey:
        return AttemptKey(self.batch_no, row_number, attempt)


async def make_batch(
    connection: Connection,
    campaign_id: str,
    statuses: Sequence[MessageStatus] = (MessageStatus.SENDING,),
    *,
    unclaimed: int = 0,
    taken: bool = True,
    sender: str = "public",
    provider: str = "simulator",
    recipient: str = LOCAL,
    at: datetime = NOW,
    priority: int = 2,
) -> MadeBatch:
    """A batch whose first rows have an attempt each, of these statuses, last changed `at`; then `unclaimed` rows more.

    What is `created` or `enqueued` has its row in `due`, as it must.
    """
    sender_id = await connection.fetchval(
        "insert into senders (name, provider, rate) values ($1, $2, 10)"
        " on conflict (name) do update set provider = excluded.provider returning id",
        sender,
        provider,
    )
    lane_id = await connection.fetchval(
        "insert into lanes (sender_id, campaign_id, priority) values ($1, $2, $3)"
        " on conflict (campaign_id, priority) do update set sender_id = excluded.sender_id returning id",
        sender_id,
        campaign_id,
        priority,
    )
    batch_id = f"batch_{uuid.uuid4()}"
    total = len(statuses) + unclaimed
    async with connection.transaction():
        batch_no = await connection.fetchval(
            "insert into batches (id, campaign_id, original_file_name, total_messages, created_at, taken_at, lane_id, cursor_row,"
            " waiting, frame) values ($1, $2, 'a.csv', $3, $4, $5, $6, $7, $8, $9) returning batch_no",
            batch_id,
            campaign_id,
            total,
            at,
            at if taken else None,
            lane_id if taken else None,
            len(statuses) + 1 if statuses else 0,
            unclaimed > 0 and taken,
            json.dumps({"before": "", "after": {"english": "", "chinese": ""}}),
        )
        await connection.execute(
            'insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)'
            " select $1, n + 1, $2, 'english', jsonb_build_object('name', 'Tan ' || n), 1, 'GSM-7', $3"
            " from generate_series(1, $4::integer) n",
            batch_no,
            recipient,
            at,
            total,
        )
    made = MadeBatch(batch_no, batch_id, campaign_id, sender_id)
    attempts = [(made.key(row_number), status) for row_number, status in enumerate(statuses, 2)]
    await _add_attempts(connection, made, attempts, at, priority)
    return made


async def fill_campaign(
    connection: Connection, campaign_id: str, sizes: Sequence[int], *, at: datetime = NOW, seed: int = 1
) -> list[str]:
    """Batches of these sizes, three at each moment, so that ids decide their order; of one row: single sends. Returns the ids.

    Rows have gaps between their numbers. Each recipient's number ends in its row's.
    """
    choice = random.Random(seed)
    ids = [f"batch_{uuid.UUID(int=choice.getrandbits(128), version=4)}" for _ in sizes]
    times = [at + timedelta(milliseconds=place // 3) for place in range(len(sizes))]
    kinds = ["single" if size == 1 else "batch" for size in sizes]
    await connection.execute(
        "insert into batches (id, campaign_id, kind, original_file_name, total_messages, created_at, frame)"
        " select id, $1, kind, '', total, at, $6 from unnest($2::text[], $3::text[], $4::integer[], $5::timestamptz[])"
        " b (id, kind, total, at)",
        campaign_id, ids, kinds, sizes, times, json.dumps({"before": "", "after": {"english": ""}}),
    )  # fmt: skip
    await connection.execute(
        'insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding, created_at)'
        " select batch_no, n + n / 10, '659' || lpad((n + n / 10)::text, 7, '0'), 'english', '{\"name\": \"Tan\"}', 1, 'GSM-7',"
        " created_at from batches, generate_series(1, total_messages) n where id = any($1)",
        ids,
    )
    return ids


async def archive_first_range(connection: Connection) -> str:
    """All batches there are now are archived, so far as the database knows; returns the archive's name. No file has them."""
    await connection.execute("delete from due")
    # Whatever the statuses of its messages are.
    await connection.execute("alter table batches disable trigger batches_settle")
    await connection.execute("update batches set finished_at = coalesce(finished_at, created_at)")
    await connection.execute("alter table batches enable trigger batches_settle")
    await connection.execute("select setval(pg_get_serial_sequence('batches', 'batch_no'), 4000000, false)")
    await connection.execute("select add_message_ranges()")
    await connection.execute(
        "select seal_archive('messages', 0, 4000000, min(created_at), max(created_at)) from batches"
    )
    assert await connection.fetchval("select finish_archive('messages_to_4000000')") == "archived"
    return "messages_to_4000000"


async def add_attempt(
    connection: Connection,
    batch: MadeBatch,
    key: AttemptKey,
    status: MessageStatus,
    *,
    at: datetime = NOW,
    priority: int = 2,
) -> None:
    """One more attempt of a message, the last one now."""
    await _add_attempts(connection, batch, [(key, status)], at, priority)


async def _add_attempts(
    connection: Connection,
    batch: MadeBatch,
    attempts: Sequence[tuple[AttemptKey, MessageStatus]],
    at: datetime,
    priority: int,
) -> None:
    await connection.executemany(
        "insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at, sent_at, error, provider_id)"
        " values ($1, $2, $3, $4, $5, $5, $6, $7, $8)",
        [
            (
                key.batch_no,
                key.row_number,
                key.attempt,
                status,
                at,
                at if status >= MessageStatus.SENT else None,
                "recipient_unavailable" if status is MessageStatus.FAILURE else None,
                f"SM{key.batch_no}-{key.row_number}-{key.attempt}" if status >= MessageStatus.SENT else None,
            )
            for key, status in attempts
        ],
    )
    await connection.executemany(
        "insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)"
        " values ($1, $2, $3, $4, $5, $6, $7)",
        [
            (at, batch.sender_id, priority, batch.campaign_id, key.batch_no, key.row_number, key.attempt)
            for key, status in attempts
            if status <= MessageStatus.ENQUEUED
        ],
    )
    counts, errors = await recount(connection, batch.batch_no)
    await connection.execute(
        "update batches set retrying = $2, enqueued = $3, sending = $4, sent = $5, sent_to_telco = $6, success = $7,"
        " failure = $8, errors = $9 where batch_no = $1",
        batch.batch_no,
        *counts,
        json.dumps(errors),
    )


async def recount(connection: Connection, batch_no: int) -> tuple[list[int], dict[str, int]]:
    """How many messages have each status, by their last attempts, and how many of the failed ones each code."""
    rows = await connection.fetch(
        "select distinct on (row_number) status, error from attempts where batch_no = $1 order by row_number, attempt desc",
        batch_no,
    )
    counts = [sum(row["status"] == status for row in rows) for status in MessageStatus]
    codes = [row["error"] for row in rows if row["status"] == MessageStatus.FAILURE]
    return counts, {code: codes.count(code) for code in codes}


async def counted(connection: Connection, batch_no: int) -> tuple[list[int], dict[str, int]]:
    """What the batch's own row says of the same."""
    row = await connection.fetchrow("select * from batches where batch_no = $1", batch_no)
    assert row is not None
    names = ["retrying", *(status.word for status in MessageStatus if status is not MessageStatus.CREATED)]
    return [row[name] for name in names], json.loads(row["errors"])


async def fetch_attempt(connection: Connection, key: AttemptKey) -> dict[str, Any]:
    """The attempt's row."""
    row = await connection.fetchrow(
        "select * from attempts where batch_no = $1 and row_number = $2 and attempt = $3",
        key.batch_no,
        key.row_number,
        key.attempt,
    )
    assert row is not None
    return {**row, "status": MessageStatus(row["status"])}


async def fetch_due(connection: Connection, batch: MadeBatch) -> dict[AttemptKey, tuple[int, datetime]]:
    """What is due of a batch: class and time by attempt."""
    rows = await connection.fetch("select * from due where batch_no = $1", batch.batch_no)
    return {
        AttemptKey(row["batch_no"], row["row_number"], row["attempt"]): (row["class"], row["at"])
        for row in rows
    }


LATER = NOW + timedelta(seconds=1)


def later(**parts: float) -> datetime:
    """NOW and so much more: `later(hours=48)`."""
    return NOW + timedelta(**parts)
