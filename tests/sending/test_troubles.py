"""What a provider's troubles do to its sender: pauses, and how much is in hand meanwhile."""

import asyncio
import time

from config.settings import Settings
from database.connections import Connection, Pool
from sending.hand_overs import MOST_UNKNOWN, NO_USABLE_ANSWER
from sending.pacing import block_segments
from sending.providers.provider import HandOver, Outgoing, PutBack, Unknown
from tests.sending.claiming import batch_row
from tests.sending.sending_node import (
    NotingProvider,
    add_batch,
    sending_node,
    statuses,
    take_all,
    until,
)


async def test_a_sender_that_is_refused_is_paused_after_one_block_and_burns_nothing(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 200)
    is_refused = True

    async def refuse(message: Outgoing) -> HandOver:
        if is_refused:
            return PutBack(delay=0.0, raw_code="20003", pause="credentials refused")
        return await take_all(message)

    async with sending_node(settings, pool, NotingProvider(refuse), rate=200) as node:
        while (await connection.fetchval("select paused_because from senders")) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while (await batch_row(connection, batch_no))["sending"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(node.provider.handed_over) <= block_segments(200)
        assert set(await statuses(connection, batch_no)) == {"enqueued"}
        is_refused = False
        await connection.execute("update senders set paused_since = null, paused_because = null")
        await until(lambda: len(set(node.provider.rows_of(batch_no))) == 200, "all at the provider")
    assert await statuses(connection, batch_no) == {"sent": 200}
    assert await connection.fetchval("select count(*) from attempts where attempt > 1") == 0


async def test_what_was_being_claimed_when_a_pause_came_does_not_leave(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 50)
    may_answer = asyncio.Event()

    async def refuse_in_the_end(message: Outgoing) -> HandOver:
        await may_answer.wait()
        return PutBack(delay=0.0, raw_code="20003", pause="credentials refused")

    async def waiting_for(locks: int) -> None:
        async with pool.acquire() as watching:
            while await watching.fetchval("select count(*) from pg_locks where not granted") < locks:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async with sending_node(settings, pool, NotingProvider(refuse_in_the_end), rate=10) as node:
        await until(lambda: len(node.provider.handed_over) == 1, "one at the provider")
        async with connection.transaction():
            await connection.execute("select from senders for no key update")
            # The next claim waits for the sender's row, and behind it the pause.
            await waiting_for(1)
            left = len(node.provider.handed_over)
            may_answer.set()
            await waiting_for(2)
        await until(lambda: node.outcomes.kept == 0, "all put back")
        while (await batch_row(connection, batch_no))["sending"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(node.provider.handed_over) == left
        assert await connection.fetchval("select count(*) from attempts") > left


async def test_a_throttled_sender_waits_as_long_as_it_was_told_and_goes_on_by_itself(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 30)
    throttled_at: list[float] = []

    async def throttle_once(message: Outgoing) -> HandOver:
        if not throttled_at:
            throttled_at.append(time.time())
            return PutBack(delay=0.0, raw_code="20429", pause="throttled", pause_seconds=1)
        return await take_all(message)

    async with sending_node(settings, pool, NotingProvider(throttle_once), rate=10) as node:
        await until(lambda: len(set(node.provider.rows_of(batch_no))) == 30, "all at the provider")
    later = [one.at - throttled_at[0] for one in node.provider.handed_over if one.at > throttled_at[0]]
    # What was in hand by then may still leave, and nothing else before the time is over.
    assert sum(seconds <= 0.95 for seconds in later) <= block_segments(10)
    assert await statuses(connection, batch_no) == {"sent": 30}


async def test_a_provider_that_gives_no_usable_answer_gets_few_messages_and_one_at_a_time_then(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 500)
    is_broken, unknown, at_once, most_at_once = True, 0, 0, 0

    async def break_down(message: Outgoing) -> HandOver:
        nonlocal unknown, at_once, most_at_once
        if not is_broken:
            return await take_all(message)
        unknown += 1
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        # Long enough for others to leave meanwhile, if they may.
        await asyncio.sleep(0.3)
        at_once -= 1
        return Unknown("HTTP 500")

    async with sending_node(settings, pool, NotingProvider(break_down), rate=200) as node:
        paused = "select exists (select from senders where paused_because = $1 and paused_until is not null)"
        while not await connection.fetchval(paused, NO_USABLE_ANSWER):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await until(lambda: at_once == 0, "the answers of those before the pause")
        first, most_at_once = unknown, 0
        assert MOST_UNKNOWN <= first < 400
        await until(lambda: unknown >= first + 2, "two tries")
        assert most_at_once == 1
        is_broken = False
        await until(lambda: len(node.provider.handed_over) == 500, "all at the provider", seconds=60)
    assert sorted(node.provider.rows_of(batch_no)) == list(range(2, 502))
    assert await statuses(connection, batch_no) == {"sending": unknown, "sent": 500 - unknown}


async def test_a_provider_that_hangs_gets_no_more_than_may_be_under_way(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await add_batch(connection, campaign_id, 1000)
    release = asyncio.Event()

    async def hang(message: Outgoing) -> HandOver:
        await release.wait()
        return await take_all(message)

    async with sending_node(settings, pool, NotingProvider(hang), rate=200) as node:
        await until(lambda: len(node.provider.handed_over) > 350, "nearly all that may be under way")
        # Before the time is over that it has reserved it would have reserved more, were it not for the limit.
        while not await connection.fetchval("select next_at < clock_timestamp() from senders"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(node.provider.handed_over) <= 400
        release.set()
        await until(lambda: len(node.provider.handed_over) == 1000, "all at the provider")


async def test_what_the_provider_has_no_room_for_waits_where_a_suspension_reaches_it(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 300)
    release = asyncio.Event()

    async def hang(message: Outgoing) -> HandOver:
        await release.wait()
        return await take_all(message)

    provider = NotingProvider(hang, most_at_once=10)
    async with sending_node(settings, pool, provider, rate=200) as node:
        await until(lambda: len(provider.handed_over) == 10, "as many at the provider as it takes")
        await connection.execute("update campaigns set status = 'suspended' where id = $1", campaign_id)

        async def count_sending() -> int:
            return (await statuses(connection, batch_no)).get("sending", 0)

        async with asyncio.timeout(30):
            # What was claimed beyond these is put back.
            while await count_sending() != 10:  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
            release.set()
            while await count_sending():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert len(provider.handed_over) == 10
        await node.outcomes.flush()
        assert set(await statuses(connection, batch_no)) == {"sent", "enqueued"}
        await connection.execute("update campaigns set status = 'active' where id = $1", campaign_id)
        await until(lambda: len(provider.handed_over) == 300, "all at the provider")
    assert sorted(provider.rows_of(batch_no)) == list(range(2, 302))
