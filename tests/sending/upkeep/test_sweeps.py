"""What never left, what could not begin, deleted campaigns, ranges of messages: swept with time moved on by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from audit.events import Actor
from campaigns.campaigns import delete_campaign, suspend_campaign
from config.sending_sections import SendingSettings
from database.connections import Connection, Pool
from messages.attempts import record_answers
from messages.news import Answer
from messages.statuses import MessageStatus
from sending.upkeep.sweeps import Sweeps, open_sweeps
from tests.messages.builders import (
    NOW,
    MadeBatch,
    add_attempt,
    counted,
    fetch_attempt,
    fetch_due,
    later,
    make_batch,
    recount,
)
from tests.sending.claiming import claim, days_ago, make_sender
from tests.sending.upkeep.scripted_provider import ScriptedProvider

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
ACTOR = Actor(name="ops")
GIVEN_UP = ("failure", "server_error", "server_unknown_error")


@pytest.fixture
def sweeps(pool: Pool) -> Sweeps:
    return Sweeps(pool, SendingSettings())


async def statuses_of(connection: Connection, batch: MadeBatch) -> list[tuple[str, str | None, str | None]]:
    rows = await connection.fetch(
        "select status, error_type, error_code from message_status where batch_id = $1 order by row_number",
        batch.id,
    )
    return [(row["status"], row["error_type"], row["error_code"]) for row in rows]


async def test_what_never_left_in_80_hours_fails_and_a_retry_is_safe(
    sweeps: Sweeps, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [ENQUEUED, SUCCESS, FAILURE, SENT], unclaimed=2)
    await add_attempt(connection, batch, batch.key(4, 2), CREATED)
    await sweeps.sweep(later(hours=80, seconds=-1))
    assert await counted(connection, batch.batch_no) == ([1, 1, 0, 1, 0, 1, 0], {})
    await sweeps.sweep(later(hours=80))
    assert await statuses_of(connection, batch) == [
        GIVEN_UP, ("success", None, None), GIVEN_UP, ("sent", None, None), GIVEN_UP, GIVEN_UP,
    ]  # fmt: skip
    for key in (batch.key(2), batch.key(4, 2)):
        assert not (await fetch_attempt(connection, key))["may_have_arrived"]
    assert await fetch_due(connection, batch) == {}
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    assert not await connection.fetchval("select waiting from batches")


@pytest.mark.parametrize("exception", ["loadtest", "suspended", "held"])
async def test_some_may_stay_open_for_ever(
    exception: str, sweeps: Sweeps, connection: Connection, campaign_id: str
) -> None:
    provider = "loadtest" if exception == "loadtest" else "simulator"
    batch = await make_batch(connection, campaign_id, [ENQUEUED], unclaimed=1, provider=provider)
    if exception == "suspended":
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=ACTOR)
    if exception == "held":
        await connection.execute("update batches set held_since = now(), waiting = false")
    await sweeps.sweep(later(hours=200))
    assert [status for status, _, _ in await statuses_of(connection, batch)] == ["enqueued", "enqueued"]


async def test_a_batch_that_was_released_has_80_hours_from_then(
    sweeps: Sweeps, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [ENQUEUED], unclaimed=1)
    await connection.execute(
        "update batches set held_since = $1, released_at = $2", later(hours=24), later(hours=100)
    )
    await sweeps.sweep(later(hours=179))
    assert [status for status, _, _ in await statuses_of(connection, batch)] == ["enqueued", "enqueued"]
    await sweeps.sweep(later(hours=180))
    assert await statuses_of(connection, batch) == [GIVEN_UP] * 2


@pytest.mark.parametrize("taken", [True, False])
async def test_what_could_not_begin_in_a_day_is_held_and_what_has_begun_is_not(
    taken: bool, sweeps: Sweeps, connection: Connection, campaign_id: str
) -> None:
    stuck = await make_batch(connection, campaign_id, [], unclaimed=1, taken=taken)
    begun = await make_batch(connection, campaign_id, [SENT], unclaimed=1)
    held = "select batch_no, held_because, waiting from batches where held_since is not null"
    await sweeps.sweep(later(hours=24, seconds=-1))
    assert await connection.fetch(held) == []
    await sweeps.sweep(later(hours=24))
    assert [tuple(row) for row in await connection.fetch(held)] == [(stuck.batch_no, "stale", False)]
    await sweeps.sweep(later(hours=81))
    assert (await statuses_of(connection, begun))[1] == GIVEN_UP
    assert [status for status, _, _ in await statuses_of(connection, stuck)] == [
        "enqueued" if taken else "created"
    ]


async def test_a_released_batch_is_not_held_again(
    sweeps: Sweeps, connection: Connection, campaign_id: str
) -> None:
    await make_batch(connection, campaign_id, [], unclaimed=1)
    await connection.execute("update batches set released_at = $1", later(hours=1))
    await sweeps.sweep(later(hours=30))
    assert await connection.fetchval("select waiting and held_since is null from batches")


async def test_what_has_not_left_of_a_deleted_campaign_is_stopped(
    sweeps: Sweeps, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SUCCESS, SENDING, ENQUEUED], unclaimed=1)
    untaken = await make_batch(connection, campaign_id, [], unclaimed=1, taken=False)
    other = await make_batch(connection, other_campaign_id, [ENQUEUED], unclaimed=1)
    async with connection.transaction():
        await delete_campaign(connection, campaign_id, actor=ACTOR)
    await sweeps.sweep(NOW)
    stopped = ("failure", "server_error", "stopped")
    assert await statuses_of(connection, batch) == [
        ("success", None, None), ("sending", None, None), stopped, stopped,
    ]  # fmt: skip
    assert await statuses_of(connection, untaken) == [stopped]
    assert [status for status, _, _ in await statuses_of(connection, other)] == ["enqueued"] * 2
    # What was being handed over surely was not sent: it doesn't go again either.
    put_back = Answer(batch.key(3), ENQUEUED, due_at=NOW)
    await record_answers(connection, [put_back], now=later(seconds=1))
    assert (await statuses_of(connection, batch))[1] == stopped
    events = await connection.fetch("select details from audit_events where event = 'batch_stopped'")
    assert len(events) == 2
    await sweeps.sweep(later(minutes=1))
    assert await connection.fetchval("select count(*) from audit_events where event = 'batch_stopped'") == 2


async def test_nothing_is_open_after_80_hours_when_nodes_sweep_at_once(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    owners = (campaign_id, other_campaign_id) * 3
    batches = [
        await make_batch(connection, owner, [ENQUEUED, SENDING, CREATED] * 4, unclaimed=1) for owner in owners
    ]
    nodes = [Sweeps(pool, SendingSettings()) for _ in range(4)]
    await asyncio.gather(*(node.sweep(later(hours=80)) for node in nodes))
    for batch in batches:
        assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
        assert (await counted(connection, batch.batch_no))[0] == [0, 0, 4, 0, 0, 0, 8]


async def test_ranges_of_messages_are_added_ahead_of_time(
    sweeps: Sweeps, connection: Connection, campaign_id: str
) -> None:
    ranges = "select count(*) from pg_inherits where inhparent = 'attempts'::regclass"
    before = await connection.fetchval(ranges)
    await sweeps.sweep(NOW)
    assert await connection.fetchval(ranges) == before
    await connection.execute("select setval(pg_get_serial_sequence('batches', 'batch_no'), 5000000)")
    await make_batch(connection, campaign_id)
    await sweeps.sweep(NOW)
    assert await connection.fetchval(ranges) > before


async def test_the_sweeps_run_by_themselves_and_outlive_a_broken_provider(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    asked = asyncio.Event()

    async def provider_of(_sender_id: int) -> ScriptedProvider:
        if asked.is_set():
            again.set()
        asked.set()
        raise RuntimeError

    again = asyncio.Event()
    batch = await make_batch(connection, campaign_id, [SENDING], at=datetime.now(UTC) - timedelta(minutes=1))
    settings = SendingSettings(look_up_after=[0.1], sweep_every=0.1)
    async with open_sweeps(pool, settings, provider_of):
        await asyncio.wait_for(again.wait(), 20)
    assert list(await fetch_due(connection, batch)) == [batch.key()]


async def test_a_put_back_recorded_while_the_messaging_service_changed_goes_by_the_new_one(
    sweeps: Sweeps, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [ENQUEUED, SENDING], sender="MG1", at=days_ago(0.1))
    unknown = Answer(batch.key(3), SENDING, raw_code="timeout", due_at=days_ago(0))
    await record_answers(connection, [unknown], now=days_ago(0))
    other = await make_batch(connection, other_campaign_id, [ENQUEUED], sender="MG3", at=days_ago(0.1))
    new_sender = await make_sender(connection, name="MG2")
    # The lane has moved; what was being recorded meanwhile got the sender of before.
    await connection.execute(
        "update lanes set sender_id = $1 where campaign_id = $2", new_sender, campaign_id
    )
    await sweeps.sweep(datetime.now(UTC))
    senders = "select array_agg(distinct sender_id) from due where campaign_id = $1"
    assert await connection.fetchval(senders, campaign_id) == [new_sender]
    assert await connection.fetchval(senders, other_campaign_id) == [other.sender_id]
    assert await claim(connection, batch.sender_id, 10) == []
    assert [message.key for message in await claim(connection, new_sender, 10)] == [batch.key(2)]
