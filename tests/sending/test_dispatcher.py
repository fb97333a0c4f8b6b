"""From an accepted batch to the provider and back, through a running dispatcher."""

import asyncio
import time
from collections.abc import Sequence

from campaigns.campaigns import Channel, suspend_campaign
from config.settings import Settings
from database.connections import Connection, Pool
from messages.statuses import ErrorCode, MessageStatus
from sending.hand_overs import MOST_UNKNOWN, NO_USABLE_ANSWER
from sending.pacing import block_segments
from sending.providers.provider import HandOver, Outgoing, PutBack, Refused, Unknown
from sending.senders import SenderPlan, record_moved_lanes, record_senders
from tests.conftest import ADMIN
from tests.messages.builders import counted, make_batch, recount
from tests.sending.claiming import batch_row, claim, days_ago, make_sender, take_batches
from tests.sending.sending_node import (
    NotingProvider,
    add_batch,
    add_campaign,
    add_singles,
    sending_node,
    take_all,
    until,
)


async def statuses(connection: Connection, batch_no: int) -> dict[str, int]:
    """How many messages of the batch have each status, by its own counts, which are those of its attempts."""
    counts, errors = await counted(connection, batch_no)
    assert (counts, errors) == await recount(connection, batch_no)
    return {status.word: count for status, count in zip(MessageStatus, counts, strict=True) if count}


async def test_each_message_of_a_batch_leaves_once_with_frame_body_and_values(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 50, value="Tan\r\nMei")
    async with sending_node(settings, pool, NotingProvider()) as node:
        await until(lambda: len(node.provider.handed_over) == 50, "all 50 at the provider")
    assert node.provider.rows_of(batch_no) == list(range(2, 52))
    assert {one.message.text for one in node.provider.handed_over} == {"Clinic: Dear Tan\nMei -end"}
    assert await statuses(connection, batch_no) == {"sent": 50}
    assert (await batch_row(connection, batch_no))["waiting"] is False
    assert node.provider.closed


async def test_a_batch_of_an_old_program_gets_its_frame_and_leaves(
    settings: Settings, pool: Pool, connection: Connection
) -> None:
    campaign_id = await add_campaign(connection, "old-campaign")
    batch_no = await add_batch(connection, campaign_id, 3, frame=None)
    async with sending_node(settings, pool, NotingProvider()) as node:
        await until(lambda: len(node.provider.handed_over) == 3, "all at the provider")
    (text,) = {one.message.text for one in node.provider.handed_over}
    assert text == (
        "This is a test message used for training purposes.\n\nClinic\n\n---\n\nDear Tan\n\n---\n\n"
        "This is an automated message sent by the Singapore Government."
    )
    assert await statuses(connection, batch_no) == {"sent": 3}


async def test_batches_from_before_the_upgrade_stay_until_they_are_released(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    held = await add_batch(connection, campaign_id, 3, frame=None)
    await connection.execute("update batches set held_since = now(), held_because = 'upgrade'")
    fresh = await add_batch(connection, campaign_id, 3)
    async with sending_node(settings, pool, NotingProvider()) as node:
        await until(lambda: len(node.provider.rows_of(fresh)) == 3, "the fresh one at the provider")
        assert node.provider.rows_of(held) == []
        await connection.execute(
            "update batches set held_since = null, held_because = null, released_at = now(), waiting = taken_at is not null"
            " where batch_no = $1",
            held,
        )
        await until(lambda: len(node.provider.rows_of(held)) == 3, "the released one at the provider")


async def test_an_internal_campaign_waits_until_it_has_an_account(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await add_campaign(connection, "internal", channel=Channel.INTERNAL)
    waiting = await add_batch(connection, "internal", 3)
    public = await add_batch(connection, campaign_id, 3)
    plans = [SenderPlan("public", "simulator", 1000), SenderPlan("MG1", "twilio", 1000)]
    async with sending_node(settings, pool, NotingProvider(), plans=plans) as node:
        await until(lambda: len(node.provider.rows_of(public)) == 3, "the public one at the provider")
        assert (await batch_row(connection, waiting))["taken_at"] is None
        await connection.execute("insert into secret_keys (wrapped) values ('')")
        await connection.execute(
            "insert into twilio_accounts (campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name)"
            " values ('internal', 'AC1', 'SK1', '', (select max(id) from secret_keys), 'MG1', 'Clinic')"
        )
        await until(lambda: len(node.provider.rows_of(waiting)) == 3, "the internal one at the provider")
    row = await batch_row(connection, waiting)
    sender = "select s.name from lanes l join senders s on s.id = l.sender_id where l.id = $1"
    assert await connection.fetchval(sender, row["lane_id"]) == "MG1"


async def test_batches_that_wait_for_an_account_hide_none_that_come_after_them(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await make_sender(connection)
    await add_campaign(connection, "internal", channel=Channel.INTERNAL)
    await add_singles(connection, "internal", 1001)
    later = await add_batch(connection, campaign_id, 3)
    assert await take_batches(pool) == 1
    assert (await batch_row(connection, later))["waiting"] is True


async def test_a_sender_without_provider_waits_and_its_batches_are_enqueued(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 3)
    plans = [SenderPlan("public", "none", 1000)]
    async with sending_node(settings, pool, NotingProvider(), plans=plans):
        while (await batch_row(connection, batch_no))["taken_at"] is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await connection.fetchval("select count(*) from attempts") == 0
    assert await connection.fetchval("select min(status) from message_status") == "enqueued"


async def test_nothing_leaves_two_seconds_after_a_suspension_in_the_middle_of_a_batch(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 10_000)
    async with sending_node(settings, pool, NotingProvider(), rate=100) as node:
        await until(lambda: len(node.provider.handed_over) >= 60, "60 at the provider")
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=ADMIN)
        suspended_at = time.time()
        other = await add_campaign(connection, "other-campaign")
        other_batch = await add_batch(connection, other, 150)
        # The other's 150 take 1.5 s at this rate: whatever of the suspended one was in hand has left long before their end.
        await until(
            lambda: len(node.provider.rows_of(other_batch)) == 150, "the other campaign's at the provider"
        )
        assert time.time() - suspended_at > 1.4
    last = max(one.at for one in node.provider.handed_over if one.message.key.batch_no == batch_no)
    assert last - suspended_at < 1
    row = await batch_row(connection, batch_no)
    assert row["sent"] == len(node.provider.rows_of(batch_no)) < 200
    assert row["waiting"] is True


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
    after = [one.at for one in node.provider.handed_over if one.at > throttled_at[0] + 0.2]
    assert min(after) > throttled_at[0] + 0.95
    assert await statuses(connection, batch_no) == {"sent": 30}


async def test_a_provider_that_gives_no_usable_answer_gets_few_messages_and_one_at_a_time_then(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 2000)
    is_broken, at_once, most_at_once = True, 0, 0

    async def break_down(message: Outgoing) -> HandOver:
        nonlocal at_once, most_at_once
        if not is_broken:
            return await take_all(message)
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return Unknown("HTTP 500")

    async with sending_node(settings, pool, NotingProvider(break_down), rate=200) as node:
        paused = "select exists (select from senders where paused_because = $1 and paused_until is not null)"
        while not await connection.fetchval(paused, NO_USABLE_ANSWER):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        first = len(node.provider.handed_over)
        assert MOST_UNKNOWN <= first <= MOST_UNKNOWN + block_segments(200)
        most_at_once = 0
        # Twice more it is tried, with one message each time.
        await until(lambda: len(node.provider.handed_over) == first + 2, "two tries")
        await node.outcomes.flush()
        found = await statuses(connection, batch_no)
        assert found["sending"] == first + 2
        assert most_at_once == 1
        is_broken = False
        await until(lambda: len(node.provider.handed_over) == 2000, "all at the provider", seconds=60)
    assert sorted(node.provider.rows_of(batch_no)) == list(range(2, 2002))
    assert await statuses(connection, batch_no) == {"sending": first + 2, "sent": 1998 - first}


async def test_what_was_refused_or_put_back_or_is_unknown_has_its_status(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 4)
    answers: dict[int, Sequence[HandOver]] = {
        2: [Refused(ErrorCode.RECIPIENT_INVALID, "21211")],
        3: [PutBack(delay=0.0, raw_code="429"), PutBack(delay=0.0)],
        4: [Unknown("time-out")],
    }
    asked: dict[int, int] = {}

    async def answer(message: Outgoing) -> HandOver:
        row = message.key.row_number
        asked[row] = asked.get(row, 0) + 1
        planned = answers.get(row, ())
        return planned[asked[row] - 1] if asked[row] <= len(planned) else await take_all(message)

    async with sending_node(settings, pool, NotingProvider(answer)) as node:
        await until(
            lambda: asked.get(3) == 3 and asked.get(5) == 1, "the third time of what was put back twice"
        )
        await node.outcomes.flush()
    assert await statuses(connection, batch_no) == {"sending": 1, "sent": 2, "failure": 1}
    assert asked == {2: 1, 3: 3, 4: 1, 5: 1}


async def test_a_stop_puts_back_what_has_not_left_and_waits_for_what_has(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 1000)
    release = asyncio.Event()

    async def hang(message: Outgoing) -> HandOver:
        await release.wait()
        return await take_all(message)

    async with sending_node(settings, pool, NotingProvider(hang), rate=100) as node:
        await until(lambda: len(node.provider.handed_over) >= 20, "20 at the provider")
        node.stop.set()
        await asyncio.sleep(0)
        release.set()
        await node.task
        handed_over = len(node.provider.handed_over)
    found = await statuses(connection, batch_no)
    assert found.pop("sent") == handed_over
    assert set(found) <= {"enqueued"}
    async with sending_node(settings, pool, NotingProvider()) as next_node:
        await until(
            lambda: len(next_node.provider.handed_over) == 1000 - handed_over, "the rest at the provider"
        )
    rows = node.provider.rows_of(batch_no) + next_node.provider.rows_of(batch_no)
    assert sorted(rows) == list(range(2, 1002))


async def test_what_was_being_claimed_at_a_stop_is_put_back(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await make_sender(connection, rate=10_000)
    batch_no = await add_batch(connection, campaign_id, 3)
    async with pool.acquire() as other:
        holding = other.transaction()
        await holding.start()
        await other.execute("select from senders for no key update")
        async with sending_node(settings, pool, NotingProvider()) as node:
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%claim_messages%'"
            while not await connection.fetchval(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            node.stop.set()
            await asyncio.sleep(0.1)
            await holding.rollback()
    assert await statuses(connection, batch_no) == {"enqueued": 3}


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
        # It would get 100 more meanwhile, were it not for the limit.
        await asyncio.sleep(0.5)
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


async def test_a_campaign_whose_messaging_service_changes_leaves_by_the_new_one_with_its_put_backs(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await add_campaign(connection, "internal", channel=Channel.INTERNAL)
    await connection.execute("insert into secret_keys (wrapped) values ('')")
    await connection.execute(
        "insert into twilio_accounts (campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name)"
        " values ('internal', 'AC1', 'SK1', '', 1, 'MG1', 'Clinic')"
    )
    made = await make_batch(
        connection, "internal", [MessageStatus.ENQUEUED], unclaimed=2, sender="MG1", at=days_ago(0.5)
    )
    await record_senders(connection, [SenderPlan("MG2", "twilio", 10)])
    assert await record_moved_lanes(connection) == 0
    await connection.execute("update twilio_accounts set service_sid = 'MG2'")
    assert await record_moved_lanes(connection) == 1
    new_sender = await connection.fetchval("select id from senders where name = 'MG2'")
    assert await claim(connection, made.sender_id, 10) == []
    assert [message.key.row_number for message in await claim(connection, new_sender, 10)] == [2, 3, 4]


async def test_looking_again_and_again_uses_no_ids_up(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    for rate in (10, 10, 20, 20):
        await record_senders(connection, [SenderPlan("public", "simulator", rate)])
        await add_batch(connection, campaign_id, 1)
        await take_batches(pool)
    await record_senders(connection, [SenderPlan("MG1", "twilio", 10)])
    assert await connection.fetchval("select array_agg(id || ' ' || rate order by id) from senders") == [
        "1 20",
        "2 10",
    ]
    assert await connection.fetchval("select last_value from lanes_id_seq") == 1
