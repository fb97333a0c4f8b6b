"""A batch whose last message can't leave within a day is told in the log once, when it is taken up."""

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from database.connections import Connection, Pool
from tests.messages.builders import make_batch
from tests.sending.claiming import take_batches


@pytest.mark.parametrize(
    ("total", "others", "told"), [(800_000, 0, False), (900_000, 0, True), (500_000, 500_000, True)]
)
async def test_a_batch_that_takes_more_than_a_day_is_logged_when_it_is_taken_up(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str, total: int, others: int, told: bool
) -> None:  # fmt: skip
    now = datetime.now(UTC)
    if others:
        shares = await make_batch(connection, other_campaign_id, (), unclaimed=1, at=now)
        await connection.execute(
            "update batches set total_messages = $2 where batch_no = $1", shares.batch_no, others
        )
    batch = await make_batch(connection, campaign_id, (), unclaimed=1, taken=False, at=now)
    await connection.execute(
        "update batches set total_messages = $2 where batch_no = $1", batch.batch_no, total
    )
    with capture_logs() as logs:
        assert await take_batches(pool) == 1
        assert await take_batches(pool) == 0
    slow = [line for line in logs if line["event"] == "batch_slow"]
    assert [line["batch_id"] for line in slow] == ([batch.id] if told else [])
