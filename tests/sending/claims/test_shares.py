"""What a claim's block is shared out by: what a batch has left, whatever has become of the others, and segments."""

import pytest

from database.connections import Connection, Pool
from messages.news import AttemptKey
from messages.statuses import MessageStatus
from sending.composing import TextParts
from tests.messages.builders import make_batch
from tests.sending.claiming import claim, days_ago, make_sender, rows_of, take_batches
from tests.sending.sending_node import add_batch

# Where the messages of a batch are counted that a claim needn't look at any more.
COUNTS = ["retrying", "enqueued", "sending", "sent", "sent_to_telco", "success", "failure"]


async def leave_two(connection: Connection, batch_no: int, count: str) -> None:
    """38 of the batch's 40 messages have gone, and are counted there."""
    await connection.execute(
        f"update batches set cursor_row = 39, {count} = 38 where batch_no = $1", batch_no
    )


@pytest.mark.parametrize("count", COUNTS)
async def test_a_campaign_has_no_share_for_what_has_gone(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str, count: str
) -> None:
    sender_id = await make_sender(connection)
    nearly_done = await add_batch(connection, campaign_id, 40)
    large = await add_batch(connection, other_campaign_id, 100)
    await take_batches(pool)
    await leave_two(connection, nearly_done, count)
    claimed = await claim(connection, sender_id, 40)
    assert rows_of(claimed, nearly_done) == [40, 41]
    assert len(rows_of(claimed, large)) == 38


@pytest.mark.parametrize("count", COUNTS)
async def test_the_next_batch_of_a_campaign_has_what_the_one_before_leaves(
    pool: Pool, connection: Connection, campaign_id: str, count: str
) -> None:
    sender_id = await make_sender(connection)
    nearly_done = await add_batch(connection, campaign_id, 40)
    large = await add_batch(connection, campaign_id, 100)
    await take_batches(pool)
    await leave_two(connection, nearly_done, count)
    claimed = await claim(connection, sender_id, 40)
    assert rows_of(claimed, nearly_done) == [40, 41]
    assert len(rows_of(claimed, large)) == 38


async def test_what_must_go_again_is_counted_in_segments_too(
    connection: Connection, campaign_id: str
) -> None:
    made = await make_batch(connection, campaign_id, [MessageStatus.ENQUEUED] * 5, at=days_ago(0.5))
    await connection.execute("update messages set segments = 5 where batch_no = $1", made.batch_no)
    claimed = await claim(connection, made.sender_id, 10)
    assert [message.segments for message in claimed] == [5, 5]
    assert len(await claim(connection, made.sender_id, 11)) == 3


async def test_what_is_claimed_is_what_stands_in_the_row(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    batch_no = await add_batch(connection, campaign_id, 3)
    await connection.execute(
        "update messages set recipient = '659123000' || row_number, \"values\" = jsonb_build_object('n', row_number)"
        " where batch_no = $1",
        batch_no,
    )
    await take_batches(pool)
    rows = await connection.fetch("select * from messages where batch_no = $1 order by row_number", batch_no)
    assert [
        (one.key, one.recipient, one.encoding, one.segments, one.is_otp, one.parts)
        for one in await claim(connection, sender_id, 10)
    ] == [
        (
            key,
            row["recipient"],
            row["encoding"],
            row["segments"],
            False,
            TextParts(key, row["language"], row["values"]),
        )
        for row in rows
        for key in [AttemptKey(batch_no, row["row_number"], 1)]
    ]
