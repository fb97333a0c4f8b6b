"""A batch whose last message can't leave within a day is told in the log once, when it is taken up."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from database.connections import Connection, Pool
from sending.pacing import PACE
from sending.queues import leaving_time
from tests.messages.builders import make_batch
from tests.sending.claiming import take_batches


def test_a_batch_leaves_at_the_pace_of_claims_and_not_at_the_whole_rate() -> None:
    assert leaving_time(800, [100, 9000], 300, rate=10) == timedelta(
        seconds=(300 + 800 + 100 + 800) / (10 * PACE)
    )


@pytest.mark.parametrize(
    ("total", "others", "told"), [(850_000, 0, False), (852_000, 0, True), (426_000, 426_000, True)]
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
