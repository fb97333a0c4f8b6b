"""What a claim does with what somebody else holds at that moment."""

import asyncio

from database.connections import Connection, Pool
from messages.statuses import MessageStatus
from tests.messages.builders import counted, make_batch, recount
from tests.sending.claiming import batch_row, claim, days_ago, make_sender, take_batches
from tests.sending.sending_node import add_batch, add_campaign


async def test_what_others_hold_for_long_keeps_nothing_else_from_being_claimed(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    held = await make_batch(
        connection, campaign_id, [MessageStatus.ENQUEUED] * 2, unclaimed=3, at=days_ago(0.5), priority=1
    )
    await add_campaign(connection, "otp", otp=True)
    otp = await add_batch(connection, "otp", 1, kind="single")
    await take_batches(pool)
    async with pool.acquire() as other, other.transaction():
        # As a stop or a retry of very many messages does.
        await other.execute("select from attempts where row_number = 2 for no key update")
        await other.execute("select from batches where batch_no = $1 for no key update", held.batch_no)
        async with asyncio.timeout(30):
            claimed = await claim(connection, held.sender_id, 20)
        assert [message.key.batch_no for message in claimed] == [otp]
        assert await connection.fetchval("select count(*) from due") == 2
    claimed = await claim(connection, held.sender_id, 20)
    assert [message.key for message in claimed] == [held.key(row) for row in range(2, 7)]
    assert await connection.fetchval("select count(*) from due") == 0
    assert await counted(connection, held.batch_no) == await recount(connection, held.batch_no)


async def test_stale_batches_that_somebody_else_holds_are_left_for_the_next_claim(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    batch_no = await add_batch(connection, campaign_id, 3, created_at=days_ago(2))
    await take_batches(pool)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select from batches for no key update")
        assert await claim(connection, sender_id, 5) == []
    assert await claim(connection, sender_id, 5) == []
    assert (await batch_row(connection, batch_no))["held_because"] == "stale"


async def test_a_claim_sees_what_a_stop_ended_while_it_waited(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    batch_no = await add_batch(connection, campaign_id, 5)
    await take_batches(pool)
    async with pool.acquire() as other:
        async with other.transaction():
            await other.execute(
                "update batches set ended_at = now(), ended_because = 'stopped', waiting = false"
            )
            claiming = asyncio.create_task(claim(connection, sender_id, 5))
            async with pool.acquire() as watching:
                waits = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
                while not claiming.done() and not await watching.fetchval(waits):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
        assert await claiming == []
    assert await claim(connection, sender_id, 5) == []
    assert (await batch_row(connection, batch_no))["sending"] == 0
