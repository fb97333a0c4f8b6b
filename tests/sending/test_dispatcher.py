"""From an accepted batch to the provider and back, through a running dispatcher."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from campaigns.campaigns import Channel, suspend_campaign
from config.settings import Settings
from database.connections import Connection, Pool
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import HandOver, Outgoing, PutBack, Refused, Unknown
from sending.senders import SenderPlan, record_moved_lanes, record_senders
from tests.conftest import ADMIN
from tests.messages.builders import make_batch
from tests.sending.claiming import batch_row, claim, days_ago, make_sender, take_batches
from tests.sending.sending_node import (
    NotingProvider,
    add_batch,
    add_campaign,
    add_singles,
    sending_node,
    statuses,
    take_all,
    until,
)


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


@pytest.mark.parametrize("rows", [3, 0])
async def test_what_was_being_claimed_at_a_stop_is_put_back(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str, rows: int
) -> None:
    """A claim that finds nothing ends with the stop too."""
    await make_sender(connection, rate=10_000)
    batch_no = await add_batch(connection, campaign_id, rows) if rows else 0
    async with pool.acquire() as other:
        holding = other.transaction()
        await holding.start()
        await other.execute("select from senders for no key update")
        async with sending_node(settings, pool, NotingProvider()) as node:
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%claim_messages%'"
            while not await connection.fetchval(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            node.stop.set()
            (line,) = node.dispatcher._lines.values()
            await until(line._stopping.is_set, "the line's stop")
            await holding.rollback()
            async with asyncio.timeout(30):
                await node.task
    if rows:
        assert await statuses(connection, batch_no) == {"enqueued": rows}


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


async def test_nodes_with_different_settings_say_so_once_each(
    settings: Settings, pool: Pool, connection: Connection
) -> None:
    def told() -> list[float]:
        return [line["rate"] for line in logs if line["event"] == "sender_settings_differ"]

    versions: set[str] = set()
    with capture_logs() as logs:
        async with (
            sending_node(settings, pool, NotingProvider(), rate=100),
            sending_node(settings, pool, NotingProvider(), rate=200),
        ):
            await until(lambda: sorted(told()) == [100, 200], "a line of each node")
            # They change it to and fro, each second.
            while len(versions) < 4:
                versions.add(await connection.fetchval("select xmin::text from senders"))
    assert sorted(told()) == [100, 200]


async def test_a_node_whose_settings_alone_are_in_force_says_nothing(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await make_sender(connection, rate=70)
    with capture_logs() as logs:
        async with sending_node(settings, pool, NotingProvider(), rate=100) as node:
            batch_no = await add_batch(connection, campaign_id, 150)
            await until(lambda: len(node.provider.rows_of(batch_no)) == 150, "all at the provider")
    assert [line for line in logs if line["event"] == "sender_settings_differ"] == []
