"""Retries over HTTP: a message's and a batch's, each refusal in its order, and who won (8-api.md §2.4, §2.6)."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from config.settings import Settings
from database.connections import Connection, Pool
from gateway.embedded.postgres import PostgreSQLServer
from messages.identifiers import message_id
from messages.statuses import MessageStatus
from tests.api.client import APIClient
from tests.api.openapi.answer_schemas import assert_is
from tests.api.served import Answer, serving
from tests.chaos.testbed.proxy import open_commit_cutter
from tests.messages.builders import (
    NOW,
    MadeBatch,
    add_attempt,
    counted,
    fetch_attempt,
    fetch_due,
    make_batch,
    recount,
)

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
KEYS = [
    "createdAt", "updatedAt", "id", "recipient", "values", "creatorId", "fullMessage", "latestStatus", "templateBodyId",
    "campaignId",
]  # fmt: skip


def error_of(answer: Answer) -> tuple[int, str, str]:
    """Status, code and words of a refusal of shape B."""
    error = assert_is("DomainError", answer.body)["error"]
    return answer.status, error["code"], error["message"]


async def test_a_failed_message_begins_anew_under_its_id(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    own = message_id(batch.id, 2)
    answer = await client.post(f"/messages/{own}/retry")
    assert answer.status == 201
    assert list(assert_is("RetriedMessage", answer.body)) == KEYS
    assert (answer.json["id"], answer.json["latestStatus"]) == (own, "created")
    assert answer.json["createdAt"] == "2026-11-25T17:30:00.000+08:00"
    attempt = await fetch_attempt(connection, batch.key(2, 2))
    assert attempt["status"] is CREATED
    assert await fetch_due(connection, batch)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    retrieved = (await client.get(f"/messages/{own}")).json
    assert answer.json.items() <= retrieved.items()
    assert [attempt["status"] for attempt in retrieved["attempts"]] == ["created", "failure"]
    event = await connection.fetchrow(
        "select actor, host(source_address) as address, details from audit_events order by id desc"
    )
    assert event is not None
    assert (event["actor"], event["address"]) == (f"api key {client.key.split('_')[2][:8]}", "127.0.0.1")
    assert json.loads(event["details"])["message_id"] == own
    # And not again, now that it is under way.
    again = await client.post(f"/messages/{own}/retry")
    assert error_of(again) == (
        400, "message_not_retryable", "This message hasn't failed: only a failed one is retried",
    )  # fmt: skip


async def test_of_retries_at_once_one_wins(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE] * 3)
    paths = [f"/messages/{message_id(batch.id, row)}/retry" for row in (2, 3, 4) for _ in range(4)]
    answers = await asyncio.gather(*(client.post(path) for path in paths))
    assert sorted(answer.status for answer in answers) == [201] * 3 + [400] * 9
    assert {error_of(answer)[1] for answer in answers if answer.status == 400} == {"message_not_retryable"}
    assert await connection.fetchval("select count(*) from attempts where attempt = 2") == 3
    assert await connection.fetchval("select max(attempt) from attempts") == 2


async def exhaust(connection: Connection, batch: MadeBatch, settings: Settings, row: int = 2) -> None:
    """Let the message have failed as often as it may be tried."""
    for number in range(2, settings.sending.max_retries + 2):
        await add_attempt(
            connection, batch, batch.key(row, number), FAILURE, at=NOW + timedelta(hours=number)
        )


async def test_a_message_is_retried_three_times_and_that_is_the_last_thing_looked_at(
    client: APIClient, connection: Connection, campaign_id: str, settings: Settings
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE, FAILURE])
    await exhaust(connection, batch, settings)
    path = f"/messages/{message_id(batch.id, 2)}/retry"
    assert error_of(await client.post(path)) == (
        400, "retry_limit_reached", "This message was retried 3 times: no more is allowed",
    )  # fmt: skip
    # Two things wrong at once: what can't be retried at all is told first.
    await connection.execute("update batches set status = 'messages_enqueuing'")
    assert error_of(await client.post(path))[1] == "message_not_retryable"
    # A batch's retry leaves it out.
    await connection.execute("update batches set status = 'messages_enqueued'")
    assert (await client.post(f"/batch/{batch.id}/retry")).status == 201
    assert {key.row_number for key in await fetch_due(connection, batch)} == {3}


async def test_a_failed_batch_begins_anew_with_an_empty_answer(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE, SUCCESS, FAILURE])
    answer = await client.post(f"/batch/{batch.id}/retry")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (201, b"", "0")
    assert {key.row_number for key in await fetch_due(connection, batch)} == {2, 4}
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    # With messages that are `created` it is refused, and the status says so until they have begun.
    again = await client.post(f"/batch/{batch.id}/retry")
    assert error_of(again) == (
        400, "batch_not_retryable", "This batch has messages that haven't begun: try again once they have",
    )  # fmt: skip
    assert await connection.fetchval("select status from batches") == "messages_enqueuing_failed"


async def test_a_batch_in_which_nothing_failed_is_left_as_it_is(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SUCCESS, SENT])
    answer = await client.post(f"/batch/{batch.id}/retry")
    assert (answer.status, answer.body) == (201, b"")
    assert await connection.fetchval("select count(*) from attempts") == 2


async def test_a_batch_is_retried_from_two_statuses_alone(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    await connection.execute("update batches set status = 'messages_enqueuing'")
    assert error_of(await client.post(f"/batch/{batch.id}/retry")) == (
        400, "batch_not_retryable", "This batch is messages_enqueuing: it can't be retried",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        pytest.param(b"", {}, 201, id="none"),
        pytest.param(b"{", {"Content-Type": "text/plain"}, 201, id="any type, and no JSON"),
        pytest.param(b"x" * 65536, {}, 201, id="64 KiB"),
        pytest.param(b"x" * 65537, {}, 413, id="more"),
    ],
)
async def test_a_body_is_ignored_but_for_its_size(
    client: APIClient,
    connection: Connection,
    campaign_id: str,
    content: bytes,
    headers: dict[str, str],
    status: int,
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    message = f"/messages/{message_id(batch.id, 2)}/retry"
    answer = await client.post(message, content=content, headers=headers)
    assert answer.status == status
    # Its size is looked at before what the path names.
    unknown = await client.post(f"/batch/{batch.id[:-1]}x/retry", content=content, headers=headers)
    assert unknown.status == (413 if status == 413 else 404)


async def test_a_retry_of_a_batch_that_somebody_holds_is_answered_once_it_is_recorded(
    client: APIClient, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    async with pool.acquire() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("select from batches for update")
        call = asyncio.create_task(client.post(f"/batch/{batch.id}/retry"))
        # It waits for the row, as the database says.
        waits = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')"
        while not await connection.fetchval(waits):
            assert not call.done()
            await asyncio.sleep(0.02)
        await transaction.rollback()
    assert (await call).status == 201
    assert await fetch_due(connection, batch)


@pytest.mark.parametrize("of_batch", [False, True], ids=["message", "batch"])
async def test_a_retry_whose_commit_had_no_answer_is_not_told_as_not_accepted(
    of_batch: bool,
    api_settings: Settings,
    postgres: PostgreSQLServer,
    client: APIClient,
    connection: Connection,
    campaign_id: str,
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    path = f"/batch/{batch.id}/retry" if of_batch else f"/messages/{message_id(batch.id, 2)}/retry"
    name = await connection.fetchval("select current_database()")
    async with open_commit_cutter(postgres.port) as cutter:
        url = postgres.tcp_url(name).replace(f":{postgres.port}/", f":{cutter.port}/")
        database = api_settings.database.model_copy(update={"url": SecretStr(url)})
        async with serving(api_settings.model_copy(update={"database": database})) as port:
            cutter.armed = True
            # The connection ends, which says as little as is known.
            with pytest.raises((OSError, IndexError)):
                await replace(client, port=port).post(path)
            assert cutter.cut == 1
    assert (await fetch_attempt(connection, batch.key(2, 2)))["status"] is CREATED
    assert (await client.post(path)).status == 400
