"""What one claim takes, what it leaves alone, and what it writes."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from database.connections import Connection, Pool
from messages.news import AttemptKey
from messages.statuses import MessageStatus
from sending.senders import record_pause
from tests.messages.builders import add_attempt, counted, fetch_attempt, make_batch, recount
from tests.sending.claiming import (
    batch_row,
    claim,
    claim_until_empty,
    claim_whole,
    days_ago,
    make_sender,
    rows_of,
    take_batches,
)
from tests.sending.sending_node import add_batch, add_campaign

Change = Callable[[Connection, int, str], Awaitable[object]]


async def test_a_claim_commits_a_block_as_sending_and_moves_cursor_and_counts(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    batch_no = await add_batch(connection, campaign_id, 25)
    assert await take_batches(pool) == 1
    first, second = await claim(connection, sender_id, 10), await claim(connection, sender_id, 10)
    assert (rows_of(first, batch_no), rows_of(second, batch_no)) == (list(range(2, 12)), list(range(12, 22)))
    row = await batch_row(connection, batch_no)
    assert (row["cursor_row"], row["sending"], row["waiting"]) == (21, 20, True)
    assert (await fetch_attempt(connection, first[0].key))["status"] is MessageStatus.SENDING
    third = await claim(connection, sender_id, 10)
    assert rows_of(third, batch_no) == list(range(22, 27))
    row = await batch_row(connection, batch_no)
    assert (row["cursor_row"], row["sending"], row["waiting"]) == (26, 25, False)
    assert await claim(connection, sender_id, 10) == []
    assert (await counted(connection, batch_no))[0] == (await recount(connection, batch_no))[0]


async def test_a_block_is_counted_in_segments_and_its_last_message_may_go_beyond(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    await add_batch(connection, campaign_id, 20, segments=3)
    await take_batches(pool)
    assert [message.segments for message in await claim(connection, sender_id, 10)] == [3, 3, 3, 3]
    assert len(await claim(connection, sender_id, 1)) == 1


async def test_rows_with_gaps_are_claimed_once_each(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    batch_no = await add_batch(connection, campaign_id, 12)
    await connection.execute("update messages set row_number = row_number * 7 where batch_no = $1", batch_no)
    await take_batches(pool)
    claims = await claim_until_empty(connection, sender_id, 5)
    assert [rows_of(claimed, batch_no) for claimed in claims] == [
        [14, 21, 28, 35, 42],
        [49, 56, 63, 70, 77],
        [84, 91],
    ]
    assert (await batch_row(connection, batch_no))["waiting"] is False


async def test_a_lane_s_batches_go_oldest_first_many_in_one_claim(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    numbers = [await add_batch(connection, campaign_id, 1, kind="single") for _ in range(30)]
    await take_batches(pool)
    claims = await claim_until_empty(connection, sender_id, 20)
    assert [[message.key.batch_no for message in claimed] for claimed in claims] == [
        numbers[:20],
        numbers[20:],
    ]


async def test_what_must_go_again_goes_before_the_batches_and_only_when_its_time_has_come(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    made = await make_batch(
        connection,
        campaign_id,
        [MessageStatus.SENT, MessageStatus.ENQUEUED, MessageStatus.ENQUEUED, MessageStatus.FAILURE],
        unclaimed=3,
        at=days_ago(0.5),
    )
    await add_attempt(connection, made, made.key(5, 2), MessageStatus.CREATED, at=days_ago(0.4))
    await connection.execute(
        "update due set at = now() + interval '1 hour' where batch_no = $1 and row_number = 4", made.batch_no
    )
    claimed = await claim(connection, made.sender_id, 4)
    assert [message.key for message in claimed] == [
        made.key(3, 1),
        made.key(5, 2),
        made.key(6, 1),
        made.key(7, 1),
    ]
    assert (await fetch_attempt(connection, made.key(5, 2)))["status"] is MessageStatus.SENDING
    assert await connection.fetchval("select array_agg(row_number) from due") == [4]
    counts, _ = await counted(connection, made.batch_no)
    assert counts == (await recount(connection, made.batch_no))[0]
    assert [
        message.key.row_number
        for block in await claim_until_empty(connection, made.sender_id, 4)
        for message in block
    ] == [8]


async def test_a_look_up_is_no_work_for_a_claim(connection: Connection, campaign_id: str) -> None:
    made = await make_batch(connection, campaign_id, [MessageStatus.SENDING], at=days_ago(0.5))
    await connection.execute(
        "insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)"
        " values (now() - interval '1 hour', $1, 3, $2, $3, 2, 1)",
        made.sender_id,
        campaign_id,
        made.batch_no,
    )
    assert await claim(connection, made.sender_id, 10) == []
    assert await connection.fetchval("select count(*) from due") == 1


async def test_what_a_stop_has_ended_meanwhile_is_not_sent_again(
    connection: Connection, campaign_id: str
) -> None:
    made = await make_batch(connection, campaign_id, [MessageStatus.ENQUEUED], at=days_ago(0.5))
    await connection.execute("update attempts set status = 6, error = 'stopped'")
    assert await claim(connection, made.sender_id, 10) == []
    assert (await fetch_attempt(connection, made.key()))["status"] is MessageStatus.FAILURE


async def test_otp_singles_go_before_other_singles_and_these_before_batches(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    await add_campaign(connection, "otp-campaign", otp=True)
    batch = await add_batch(connection, campaign_id, 100)
    single = await add_batch(connection, campaign_id, 1, kind="single")
    otp = await add_batch(connection, "otp-campaign", 1, kind="single")
    batch_of_otp_campaign = await add_batch(connection, "otp-campaign", 100)
    await take_batches(pool)
    claimed = await claim(connection, sender_id, 10)
    assert [message.key.batch_no for message in claimed[:2]] == [otp, single]
    assert [message.is_otp for message in claimed] == [True] + [False] * 9
    assert {message.key.batch_no for message in claimed[2:]} == {batch, batch_of_otp_campaign}


async def _suspend(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await connection.execute("update campaigns set status = 'suspended' where id = $1", campaign_id)


async def _delete(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await connection.execute("update campaigns set status = 'deleted' where id = $1", campaign_id)


async def _pause_lane(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await connection.execute("update lanes set paused_since = now() where campaign_id = $1", campaign_id)


async def _pause(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await record_pause(connection, sender_id, "wrong credentials", None)


async def _throttle(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await record_pause(connection, sender_id, "throttled", 60)


async def _no_provider(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await connection.execute("update senders set provider = 'none'")


async def _hold(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await connection.execute(
        "update batches set held_since = now(), held_because = 'upgrade', waiting = false"
    )


async def _end(connection: Connection, sender_id: int, campaign_id: str) -> None:
    await connection.execute(
        "update batches set ended_at = now(), ended_because = 'stopped', waiting = false"
    )


@pytest.mark.parametrize(
    ("change", "others_go"),
    [
        pytest.param(_suspend, True, id="campaign suspended"),
        pytest.param(_delete, True, id="campaign deleted"),
        pytest.param(_pause_lane, True, id="campaign paused"),
        pytest.param(_pause, False, id="sender paused"),
        pytest.param(_throttle, False, id="sender throttled"),
        pytest.param(_no_provider, False, id="no provider"),
        pytest.param(_hold, False, id="batches held"),
        pytest.param(_end, False, id="batches stopped"),
    ],
)
async def test_what_may_not_leave_is_not_claimed(
    pool: Pool,
    connection: Connection,
    campaign_id: str,
    other_campaign_id: str,
    change: Change,
    others_go: bool,
) -> None:
    sender_id = await make_sender(connection)
    await add_batch(connection, campaign_id, 5)
    other = await add_batch(connection, other_campaign_id, 5)
    await take_batches(pool)
    assert len(await claim(connection, sender_id, 2)) == 2
    await change(connection, sender_id, campaign_id)
    numbers = {
        message.key.batch_no
        for claimed in await claim_until_empty(connection, sender_id, 3)
        for message in claimed
    }
    assert numbers == ({other} if others_go else set())


async def test_put_backs_of_a_suspended_campaign_wait_with_it(
    connection: Connection, campaign_id: str
) -> None:
    made = await make_batch(connection, campaign_id, [MessageStatus.ENQUEUED], at=days_ago(0.5))
    await _suspend(connection, made.sender_id, campaign_id)
    assert await claim(connection, made.sender_id, 5) == []
    await connection.execute("update campaigns set status = 'active'")
    assert [message.key for message in await claim(connection, made.sender_id, 5)] == [made.key()]


async def test_a_throttled_sender_goes_on_by_itself(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    await add_batch(connection, campaign_id, 5)
    await take_batches(pool)
    assert await record_pause(connection, sender_id, "throttled", 60)
    assert await claim(connection, sender_id, 5) == []
    await connection.execute("update senders set paused_until = now() - interval '1 ms'")
    assert len(await claim(connection, sender_id, 5)) == 5
    assert await connection.fetchval("select paused_since from senders") is None


async def test_a_pause_that_people_must_lift_is_not_shortened_by_throttling(connection: Connection) -> None:
    sender_id = await make_sender(connection)
    assert await record_pause(connection, sender_id, "wrong credentials", None)
    assert not await record_pause(connection, sender_id, "throttled", 60)
    row = await connection.fetchrow("select paused_because, paused_until from senders")
    assert row is not None
    assert tuple(row) == ("wrong credentials", None)


async def test_a_batch_that_could_not_begin_in_time_is_held_and_others_go(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    stale = await add_batch(connection, campaign_id, 5, created_at=days_ago(1.01))
    fresh = await add_batch(connection, campaign_id, 5, created_at=days_ago(0.99))
    await take_batches(pool)
    claims = await claim_until_empty(connection, sender_id, 3)
    assert {message.key.batch_no for claimed in claims for message in claimed} == {fresh}
    row = await batch_row(connection, stale)
    assert (row["held_because"], row["waiting"], row["sending"]) == ("stale", False, 0)
    assert row["held_since"] is not None


async def test_many_stale_batches_are_all_held_before_a_claim_comes_back_empty(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    for _ in range(25):
        await add_batch(connection, campaign_id, 1, kind="single", created_at=days_ago(2))
    fresh = await add_batch(connection, campaign_id, 1, kind="single")
    await take_batches(pool)
    assert [message.key.batch_no for message in await claim(connection, sender_id, 3)] == [fresh]
    assert await connection.fetchval("select count(*) from batches where held_because = 'stale'") == 25


async def test_a_batch_that_was_released_or_had_begun_is_not_held_for_its_age(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    released = await add_batch(connection, campaign_id, 5, created_at=days_ago(3))
    begun = await add_batch(connection, campaign_id, 5)
    await take_batches(pool)
    await connection.execute("update batches set released_at = now() where batch_no = $1", released)
    assert len(await claim(connection, sender_id, 7)) == 7
    await connection.execute("update batches set created_at = $1", days_ago(3))
    assert rows_of(await claim(connection, sender_id, 7), begun) == [4, 5, 6]


async def test_nothing_is_claimed_while_time_is_reserved_for_longer_than_the_lead(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=10)
    await add_batch(connection, campaign_id, 100)
    await take_batches(pool)
    lead = timedelta(seconds=0.15)
    assert len(await claim(connection, sender_id, 20, lead=lead)) == 20
    assert await claim(connection, sender_id, 20, lead=lead) == []
    await connection.execute("update senders set next_at = now() + interval '0.1 s'")
    assert len(await claim(connection, sender_id, 20, lead=lead)) == 20


async def test_a_clock_that_was_set_back_stops_no_sender(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=100)
    await add_batch(connection, campaign_id, 10)
    await take_batches(pool)
    await connection.execute("update senders set next_at = now() + interval '1 hour'")
    claimed = await claim_whole(connection, sender_id, 10, lead=timedelta(seconds=0.15))
    assert claimed.now is not None
    assert abs(claimed.messages[0].leaves_at - claimed.now) < 10


async def test_each_message_has_its_moment_after_the_segments_before_it(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=10)
    # No time is left out between blocks either: the mean is 0.985 of the rate.
    await add_batch(connection, campaign_id, 8, segments=2)
    await take_batches(pool)
    moments = [
        message.leaves_at for block in await claim_until_empty(connection, sender_id, 7) for message in block
    ]
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert gaps == pytest.approx([2 / 9.85] * 7, abs=1e-4)


async def test_three_connections_at_once_reserve_no_time_twice_and_claim_no_message_twice(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=400)
    batch_no = await add_batch(connection, campaign_id, 600)
    await take_batches(pool)

    async def claim_all() -> list[tuple[float, AttemptKey]]:
        async with pool.acquire() as one:
            blocks = await claim_until_empty(one, sender_id, 7)
        return [(message.leaves_at, message.key) for block in blocks for message in block]

    parts = await asyncio.gather(*(claim_all() for _ in range(3)))
    claimed = sorted(message for part in parts for message in part)
    assert all(len(part) > 50 for part in parts)
    assert [key for _, key in claimed] == [AttemptKey(batch_no, row, 1) for row in range(2, 602)]
    gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(claimed)]
    assert min(gaps) > 0.99 / 394
    assert (await batch_row(connection, batch_no))["sending"] == 600
