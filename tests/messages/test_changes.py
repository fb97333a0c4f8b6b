"""Retry, stop and release on PostgreSQL, to the letter of 8-api.md §2.4 and §2.6 and of 7-sending.md §5."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from audit.events import Actor
from campaigns.campaigns import delete_campaign
from database.connections import Connection, Pool
from messages.attempts import record_answers, record_receipts
from messages.changes import (
    release_batch,
    retry_batch,
    retry_message,
    stop_batch,
    stop_batch_of_deleted_campaign,
)
from messages.errors import (
    BatchEnded,
    BatchNotFound,
    BatchNotHeld,
    BatchNotRetryable,
    MessageNotFound,
    MessageNotRetryable,
    MessagesError,
    RetryLimitReached,
)
from messages.identifiers import message_id
from messages.news import Answer, Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.messages.builders import (
    LATER,
    MadeBatch,
    add_attempt,
    counted,
    fetch_attempt,
    fetch_due,
    make_batch,
    recount,
)

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
ACTOR = Actor(name="ops")


async def retry_row(connection: Connection, batch: MadeBatch, row: int = 2, *, limit: int = 3) -> None:
    await retry_message(connection, message_id(batch.id, row), max_retries=limit, actor=ACTOR)


async def statuses_of(connection: Connection, batch: MadeBatch) -> list[tuple[str, str | None]]:
    """What ops see of each message."""
    rows = await connection.fetch(
        "select status, error_code from message_status where batch_id = $1 order by row_number", batch.id
    )
    return [(row["status"], row["error_code"]) for row in rows]


async def events_of(connection: Connection) -> list[tuple[str, str, dict[str, object]]]:
    rows = await connection.fetch(
        "select event, actor, details from audit_events where event like 'batch%' or event like 'message%' order by id"
    )
    return [(row["event"], row["actor"], json.loads(row["details"])) for row in rows]


async def test_a_failed_message_gets_a_new_attempt_under_its_id(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE, SUCCESS], priority=1)
    await retry_row(connection, batch)
    retried = await fetch_attempt(connection, batch.key(2, 2))
    assert retried["status"] is CREATED
    due = await fetch_due(connection, batch)
    assert {key: priority for key, (priority, _) in due.items()} == {batch.key(2, 2): 1}
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    assert await statuses_of(connection, batch) == [("created", None), ("success", None)]
    assert await events_of(connection) == [
        (
            "message_retried",
            "ops",
            {"batch_id": batch.id, "message_id": message_id(batch.id, 2), "attempt": 2},
        )
    ]


@pytest.mark.parametrize("status", [status for status in MessageStatus if status is not FAILURE])
async def test_what_has_not_failed_is_not_retried(
    status: MessageStatus, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [status], unclaimed=1)
    for row in (2, 3):
        with pytest.raises(MessageNotRetryable, match="hasn't failed"):
            await retry_row(connection, batch, row)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


async def test_a_message_is_retried_only_from_two_statuses_of_its_batch(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    await connection.execute("update batches set status = 'messages_enqueuing'")
    with pytest.raises(MessageNotRetryable, match="messages_enqueuing"):
        await retry_row(connection, batch)


async def test_a_message_is_retried_as_often_as_the_settings_allow_and_no_oftener(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    for attempt in (2, 3, 4):
        await retry_row(connection, batch)
        with pytest.raises(MessageNotRetryable):
            await retry_row(connection, batch)
        await connection.execute("update attempts set status = 2 where attempt = $1", attempt)
        await connection.execute("delete from due")
        await connection.execute("update batches set retrying = 0, sending = 1")
        failed = Receipt(batch.key(2, attempt), FAILURE, ErrorCode.ROUTING_ERROR)
        await record_receipts(connection, [failed], now=LATER)
    with pytest.raises(RetryLimitReached) as refused:
        await retry_row(connection, batch)
    assert refused.value.code == "retry_limit_reached"
    assert await counted(connection, batch.batch_no) == ([0, 0, 0, 0, 0, 0, 1], {"routing_error": 1})


async def test_of_many_retries_at_once_one_wins(pool: Pool, connection: Connection, campaign_id: str) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])

    async def retry() -> bool:
        async with pool.acquire() as own:
            try:
                await retry_row(own, batch)
            except MessageNotRetryable:
                return False
            return True

    assert sorted(await asyncio.gather(*(retry() for _ in range(6)))) == [False] * 5 + [True]
    assert await counted(connection, batch.batch_no) == ([1, 0, 0, 0, 0, 0, 0], {})


@pytest.mark.parametrize("unknown", ["row", "batch", "form", "campaign"])
async def test_an_unknown_message_and_one_of_another_campaign_are_not_found_alike(
    unknown: str, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    name = {
        "row": message_id(batch.id, 99),
        "batch": "message_0d9c31e2-4b7f-8c58-9a61-7e2000000003",
        "form": "message_1",
        "campaign": message_id(batch.id, 2),
    }[unknown]
    with pytest.raises(MessageNotFound):
        await retry_message(
            connection,
            name,
            max_retries=3,
            actor=ACTOR,
            campaign_id="campaign_other" if unknown == "campaign" else None,
        )


async def test_a_batch_is_retried_but_for_what_is_at_its_limit_and_what_was_stopped(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE, FAILURE, SUCCESS, FAILURE, SENT])
    await add_attempt(connection, batch, batch.key(3, 2), FAILURE)
    await connection.execute("update attempts set error = 'stopped' where row_number = 5")
    await connection.execute("""update batches set errors = '{"stopped": 1, "recipient_unavailable": 2}'""")
    assert await retry_batch(connection, batch.id, max_retries=1, actor=ACTOR) == 1
    assert [status for status, _ in await statuses_of(connection, batch)] == [
        "created", "failure", "success", "failure", "sent",
    ]  # fmt: skip
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    assert await events_of(connection) == [("batch_retried", "ops", {"batch_id": batch.id, "messages": 1})]


async def test_a_batch_in_which_nothing_failed_is_retried_without_any_effect(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SUCCESS, SENT], unclaimed=2)
    assert await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR) == 0
    assert await events_of(connection) == []


@pytest.mark.parametrize("because", ["a retry has not begun", "it was not taken up"])
async def test_a_batch_with_a_created_message_is_refused_and_marked_until_all_are_taken(
    because: str, connection: Connection, campaign_id: str
) -> None:
    if because == "it was not taken up":
        batch = await make_batch(connection, campaign_id, [], unclaimed=2, taken=False)
    else:
        batch = await make_batch(connection, campaign_id, [FAILURE, FAILURE])
        await retry_row(connection, batch)
    with pytest.raises(BatchNotRetryable) as refused:
        await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR)
    assert refused.value.code == "batch_not_retryable"
    status = "select status from batches where batch_no = $1"
    assert await connection.fetchval(status, batch.batch_no) == "messages_enqueuing_failed"
    with pytest.raises(BatchNotRetryable):
        await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR)
    # The sending core takes the batch up, or claims the retry.
    await connection.execute(
        "update batches set taken_at = now(), sending = sending + retrying, retrying = 0 where batch_no = $1",
        batch.batch_no,
    )
    assert await connection.fetchval(status, batch.batch_no) == "messages_enqueued"


async def test_a_stop_ends_what_has_not_left_and_nothing_else(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(
        connection, campaign_id, [SUCCESS, SENT, SENDING, ENQUEUED, FAILURE], unclaimed=2
    )
    await add_attempt(connection, batch, batch.key(6, 2), CREATED)
    await record_answers(
        connection, [Answer(batch.key(4), SENDING, raw_code="timeout", due_at=LATER)], now=LATER
    )
    assert await stop_batch(connection, batch.id, actor=ACTOR) == 4
    assert await statuses_of(connection, batch) == [
        ("success", None),
        ("sent", None),
        ("sending", None),
        *[("failure", "stopped")] * 4,
    ]
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    # The look-up of what may have left goes on.
    assert list(await fetch_due(connection, batch)) == [batch.key(4)]
    assert not await connection.fetchval("select waiting from batches")
    assert await events_of(connection) == [
        ("batch_stopped", "ops", {"batch_id": batch.id, "messages": 4, "reason": "asked for"})
    ]
    for row in (5, 6, 7, 8):
        with pytest.raises(MessageNotRetryable, match="stopped"):
            await retry_row(connection, batch, row)
    assert await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR) == 0
    for key in (batch.key(3), batch.key(4)):
        await record_receipts(connection, [Receipt(key, SUCCESS)], now=LATER)
    assert await connection.fetchval("select finished_at is not null from batches")


async def test_what_has_all_left_can_not_be_stopped(connection: Connection, campaign_id: str) -> None:
    batch = await make_batch(connection, campaign_id, [SUCCESS, SENT, FAILURE])
    with pytest.raises(BatchEnded):
        await stop_batch(connection, batch.id, actor=ACTOR)
    assert await events_of(connection) == []


async def test_a_batch_that_nobody_has_taken_up_is_stopped_too(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [], unclaimed=2, taken=False)
    assert await stop_batch(connection, batch.id, actor=ACTOR) == 2
    assert await statuses_of(connection, batch) == [("failure", "stopped")] * 2
    assert await connection.fetchval("select finished_at is not null from batches")
    with pytest.raises(BatchEnded):
        await stop_batch(connection, batch.id, actor=ACTOR)


@pytest.mark.parametrize("rows", [[2], None], ids=["one message", "the batch"])
async def test_what_never_left_in_time_is_retried(
    rows: Sequence[int] | None, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SUCCESS], unclaimed=2)
    await connection.execute(
        "update batches set ended_at = now(), ended_because = 'expired', waiting = false"
    )
    before = await statuses_of(connection, batch)
    assert before == [("success", None)] + [("failure", "server_unknown_error")] * 2
    if rows is None:
        assert await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR) == 2
    else:
        await retry_row(connection, batch, 3)
    retried = [("created", None)] * (2 if rows is None else 1)
    assert await statuses_of(connection, batch) == [*before[:1], *retried, *before[1 + len(retried) :]]
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    assert [key.attempt for key in await fetch_due(connection, batch)] == [2] * len(retried)
    assert not await connection.fetchval("select waiting from batches")


async def test_a_deleted_campaigns_batch_ends_as_stopped_and_is_not_retried(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE, ENQUEUED], unclaimed=1)
    assert await stop_batch_of_deleted_campaign(connection, batch.id) == 0
    async with connection.transaction():
        await delete_campaign(connection, campaign_id, actor=ACTOR)
    assert await stop_batch_of_deleted_campaign(connection, batch.id) == 2
    assert [code for _, code in await statuses_of(connection, batch)] == [
        "recipient_unavailable", "stopped", "stopped",
    ]  # fmt: skip
    with pytest.raises(MessageNotRetryable):
        await retry_row(connection, batch)
    with pytest.raises(BatchNotRetryable):
        await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR)


async def test_a_held_batch_is_released_once_and_announced(
    connection: Connection, campaign_id: str, pool: Pool
) -> None:
    batch = await make_batch(connection, campaign_id, [], unclaimed=2)
    with pytest.raises(BatchNotHeld):
        await release_batch(connection, batch.id, actor=ACTOR)
    await connection.execute("update batches set held_since = now(), held_because = 'stale', waiting = false")
    heard: asyncio.Queue[object] = asyncio.Queue()
    async with pool.acquire() as listening:

        def hear(*told: object) -> None:
            heard.put_nowait(told[-1])

        await listening.add_listener("sftp_gateway_batches", hear)
        await release_batch(connection, batch.id, actor=ACTOR)
        assert await asyncio.wait_for(heard.get(), 10) == batch.id
        await listening.remove_listener("sftp_gateway_batches", hear)
    assert await connection.fetchval("select waiting and released_at is not null from batches")
    assert await events_of(connection) == [("batch_released", "ops", {"batch_id": batch.id})]
    with pytest.raises(BatchNotHeld):
        await release_batch(connection, batch.id, actor=ACTOR)


@pytest.mark.parametrize("call", [stop_batch, release_batch])
async def test_an_unknown_batch_and_one_of_another_campaign_are_not_found_alike(
    call: object, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [ENQUEUED])
    assert callable(call)
    for name, owner in (("batch_unknown", None), (batch.id, "campaign_other")):
        with pytest.raises(BatchNotFound):
            await call(connection, name, actor=ACTOR, campaign_id=owner)
    with pytest.raises(MessagesError):
        await retry_batch(connection, batch.id, max_retries=3, actor=ACTOR, campaign_id="campaign_other")
