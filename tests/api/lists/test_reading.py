"""What the endpoints say of messages: each document key by key (8-api.md §2.3, §2.4, §2.7), and to whom."""

from datetime import timedelta
from typing import Any

import pytest

from campaigns.campaigns import fetch_known_campaign
from campaigns.people.users import SERVICE_USER_ID
from database.connections import Connection
from messages.documents import api_time
from messages.identifiers import attempt_id, message_id, template_body_id, template_id
from messages.statuses import MessageStatus
from tests.api.client import APIClient
from tests.api.openapi.answer_schemas import assert_is
from tests.messages.builders import FOREIGN, NOW, MadeBatch, add_attempt, archive_first_range, make_batch

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
AT = "2026-11-25T17:30:00.000+08:00"
TAKEN = "2026-11-25T17:30:00.000+08:00"


@pytest.fixture
async def tried(connection: Connection, campaign_id: str) -> MadeBatch:
    """A batch of three: row 2 failed, was retried and arrived; row 3 expired; nobody has tried row 4."""
    batch = await make_batch(connection, campaign_id, [FAILURE, FAILURE], unclaimed=1)
    await add_attempt(connection, batch, batch.key(2, 2), SUCCESS, at=NOW + timedelta(minutes=5))
    await connection.execute(
        "update attempts set delivered_at = $1 where row_number = 2 and attempt = 2",
        NOW + timedelta(minutes=5, milliseconds=417),
    )
    await connection.execute(
        "update attempts set error = 'message_expired', expired = true, provider_id = null where row_number = 3"
    )
    return batch


async def beginning(
    connection: Connection,
    batch: MadeBatch,
    row: int,
    *,
    updated_at: str,
    status: str,
    recipient: str = "6591234567",
) -> dict[str, object]:
    """What all long documents of the message begin with."""
    campaign = await fetch_known_campaign(connection, batch.campaign_id)
    body_id = template_body_id(campaign.id, "english")
    made_at = api_time(campaign.created_at)
    return {
        "createdAt": AT,
        "updatedAt": updated_at,
        "id": message_id(batch.id, row),
        "recipient": recipient,
        "values": {"name": f"Tan {row - 1}"},
        "creatorId": SERVICE_USER_ID,
        "fullMessage": f"Dear Tan {row - 1}",
        "latestStatus": status,
        "templateBodyId": body_id,
        "campaignId": campaign.id,
        "templateBody": {
            "createdAt": made_at,
            "updatedAt": made_at,
            "id": body_id,
            "templateId": template_id(campaign.id),
            "language": "english",
            "body": "Dear {{name}}",
            "creatorId": SERVICE_USER_ID,
        },
    }


def batches_of(batch: MadeBatch, row: int, total: int = 3) -> list[dict[str, object]]:
    return [
        {
            "createdAt": AT,
            "updatedAt": TAKEN,
            "id": batch.id,
            "originalFileName": "a.csv",
            "status": "messages_enqueued",
            "campaignId": batch.campaign_id,
            "creatorId": SERVICE_USER_ID,
            "totalMessages": total,
            "BatchMessage": {
                "createdAt": AT,
                "updatedAt": AT,
                "id": str(row),
                "batchId": batch.id,
                "messageId": message_id(batch.id, row),
            },
        }
    ]


def list_attempt(batch: MadeBatch, row: int, number: int, **own: object) -> dict[str, object]:
    """An attempt as the lists show it; `own` is what is not as in one that was made at AT and nothing came of."""
    attempt = {
        "sentAt": None,
        "deliveredAt": None,
        "createdAt": AT,
        "updatedAt": AT,
        "id": attempt_id(batch.id, row, number),
        "messageId": message_id(batch.id, row),
        "externalAttemptId": "",
        "status": "enqueued",
        "errorType": None,
        "errorCode": None,
        "metadata": {},
        "creatorId": SERVICE_USER_ID,
        "creator": {"email": "service@localhost"},
    }
    assert own.keys() <= attempt.keys()
    return {**attempt, **own}


def in_order(document: Any) -> Any:
    """The document with the order of its keys made visible to a comparison."""
    if isinstance(document, dict):
        return [(name, in_order(value)) for name, value in document.items()]
    return [in_order(value) for value in document] if isinstance(document, list) else document


def expected_attempts(batch: MadeBatch) -> dict[int, list[dict[str, object]]]:
    later = "2026-11-25T17:35:00.000+08:00"
    failed = {"status": "failure", "errorType": "delivery_error", "sentAt": AT}
    return {
        2: [
            list_attempt(
                batch, 2, 2, sentAt=later, deliveredAt="2026-11-25T17:35:00.417+08:00", createdAt=later, updatedAt=later,
                externalAttemptId=f"SM{batch.batch_no}-2-2", status="success",
            ),
            list_attempt(
                batch, 2, 1, **failed, errorCode="recipient_unavailable", externalAttemptId=f"SM{batch.batch_no}-2-1"
            ),
        ],
        3: [list_attempt(batch, 3, 1, **failed, errorCode="message_expired", metadata={"expiredBy": "postman"})],
        4: [list_attempt(batch, 4, 1)],
    }  # fmt: skip


STATUSES = {
    2: ("success", "2026-11-25T17:35:00.000+08:00"),
    3: ("failure", AT),
    4: ("enqueued", TAKEN),
}


async def test_a_message_is_retrieved_with_its_batch_and_attempts(
    client: APIClient, connection: Connection, tried: MadeBatch
) -> None:
    later = "2026-11-25T17:35:00.000+08:00"
    error = {"type": "delivery_error"}
    attempts: dict[int, list[dict[str, object]]] = {
        2: [
            {"status": "success", "createdAt": later, "sentAt": later, "deliveredAt": "2026-11-25T17:35:00.417+08:00"},
            {"status": "failure", "createdAt": AT, "sentAt": AT, "deliveredAt": None,
             "error": {**error, "code": "recipient_unavailable"}},
        ],
        3: [{"status": "failure", "createdAt": AT, "sentAt": AT, "deliveredAt": None,
             "error": {**error, "code": "message_expired"}}],
        4: [{"status": "enqueued", "createdAt": AT, "sentAt": None, "deliveredAt": None}],
    }  # fmt: skip
    for row, (status, updated_at) in STATUSES.items():
        answer = await client.get(f"/messages/{message_id(tried.id, row)}")
        expected = {
            **await beginning(connection, tried, row, updated_at=updated_at, status=status),
            "batches": batches_of(tried, row),
            "language": "english",
            "creatorEmail": "service@localhost",
            "attempts": attempts[row],
        }
        assert (answer.status, in_order(answer.json)) == (200, in_order(expected))
        assert_is("Message", answer.body)
        assert answer.headers["content-type"] == "application/json"


async def test_a_batch_s_list_has_its_items(
    client: APIClient, connection: Connection, tried: MadeBatch
) -> None:
    answer = await client.get(f"/batch/{tried.id}/messages?limit=10")
    expected = [
        {
            **await beginning(connection, tried, row, updated_at=updated_at, status=status),
            "messageAttempts": expected_attempts(tried)[row],
            "language": "english",
            "creatorEmail": "service@localhost",
            "numAttempts": len(expected_attempts(tried)[row]),
        }
        for row, (status, updated_at) in reversed(STATUSES.items())
    ]
    assert answer.status == 200
    assert_is("PageOfBatch", answer.body)
    assert list(answer.json) == ["data", "pageData"]
    assert in_order(answer.json["data"]) == in_order(expected)
    assert list(answer.json["pageData"]) == ["hasNextPage", "hasPreviousPage", "startCursor", "endCursor"]


async def test_a_campaign_s_list_has_items_of_batches_and_single_sends(
    client: APIClient, connection: Connection, tried: MadeBatch
) -> None:
    sent = await client.post(
        "/messages", json={"recipient": FOREIGN, "language": "English", "values": {"name": "Aisha"}}
    )
    assert sent.status == 201
    answer = await client.get("/messages?limit=10")
    single, *others = assert_is("PageOfCampaign", answer.body)["data"]
    expected = [
        {
            **await beginning(connection, tried, row, updated_at=updated_at, status=status),
            "batches": batches_of(tried, row),
            "messageAttempts": expected_attempts(tried)[row],
            "language": "english",
            "batchId": tried.id,
            "creatorEmail": "service@localhost",
            "numAttempts": len(expected_attempts(tried)[row]),
        }
        for row, (status, updated_at) in reversed(STATUSES.items())
    ]
    assert in_order(others) == in_order(expected)
    # A single send is in no batch, and says of itself what it said when it was sent.
    assert list(single) == [
        "createdAt", "updatedAt", "id", "recipient", "values", "creatorId", "fullMessage", "latestStatus", "templateBodyId",
        "campaignId", "templateBody", "batches", "messageAttempts", "language", "creatorEmail", "numAttempts",
    ]  # fmt: skip
    assert single["batches"] == []
    assert single["numAttempts"] == 1
    [attempt] = single["messageAttempts"]
    assert (attempt["status"], attempt["createdAt"]) == ("created", sent.json["createdAt"])
    assert sent.json.items() <= single.items()
    retrieved = await client.get(f"/messages/{sent.json['id']}")
    assert sent.json.items() <= retrieved.json.items()
    assert retrieved.json["batches"] == []


async def test_values_are_in_the_template_s_order_whatever_the_order_they_were_sent_in(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    """In a retry's answer they are as sent."""
    await connection.execute(
        "update template_bodies set body = body || ' {{place}} {{a}}' where campaign_id = $1", campaign_id
    )
    values = {"place": "Bedok", "name": "Aisha", "a": "1"}
    sent = await client.post(
        "/messages", json={"recipient": "6591234567", "language": "english", "values": values}
    )
    assert list(sent.json["values"].items()) == list(values.items())
    by_template = [("name", "Aisha"), ("place", "Bedok"), ("a", "1")]
    retrieved = await client.get(f"/messages/{sent.json['id']}")
    listed = await client.get("/messages?limit=1")
    for document in (retrieved.json, listed.json["data"][0]):
        assert list(document["values"].items()) == by_template
    # It can leave by a sender, but has not within its time.
    await make_batch(connection, campaign_id, priority=1)
    await connection.execute(
        "update batches set taken_at = now(), ended_at = now(), ended_because = 'expired', lane_id = (select id from lanes)"
        " where kind = 'single'"
    )
    retried = await client.post(f"/messages/{sent.json['id']}/retry")
    assert retried.status == 201
    assert list(retried.json["values"].items()) == list(values.items())


@pytest.mark.parametrize(
    "identifier",
    [
        "message_0d9c31e2-4b7f-8c58-9a61-7e2000000003",
        "message_0d9c31e2-4b7f-8c58-9a61-7e20ffffffff",
        "message_1",
        "message_%00",
        "%FF",
        "batch",
        "a" * 1500,
    ],
)
async def test_what_is_no_message_is_not_found(client: APIClient, identifier: str) -> None:
    for answer in (
        await client.get(f"/messages/{identifier}"),
        await client.post(f"/messages/{identifier}/retry"),
    ):
        assert (answer.status, answer.body) == (404, b'{"message":"Not Found","statusCode":404}')


@pytest.mark.parametrize(
    "identifier", ["batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8", "batch_1", "batch_%00", "%FF", "messages "]
)
async def test_what_is_no_batch_is_not_found(client: APIClient, identifier: str) -> None:
    path = f"/batch/{identifier.replace(' ', '%20')}"
    for answer in (await client.get(f"{path}/messages?limit=1"), await client.post(f"{path}/retry")):
        assert (answer.status, answer.body) == (404, b'{"message":"Not Found","statusCode":404}')


async def test_what_is_another_campaign_s_or_a_single_send_s_batch_is_not_found(
    client: APIClient, connection: Connection, other_campaign_id: str, campaign_id: str
) -> None:
    foreign = await make_batch(connection, other_campaign_id, [FAILURE])
    single = await make_batch(connection, campaign_id, [FAILURE], priority=1)
    await connection.execute("update batches set kind = 'single' where id = $1", single.id)
    for path in (
        f"/messages/{message_id(foreign.id, 2)}",
        f"/batch/{foreign.id}/messages?limit=1",
        f"/batch/{single.id}/messages?limit=1",
    ):
        assert (await client.get(path)).status == 404
    for path in (
        f"/messages/{message_id(foreign.id, 2)}/retry",
        f"/batch/{foreign.id}/retry",
        f"/batch/{single.id}/retry",
    ):
        assert (await client.post(path)).status == 404
    assert await connection.fetchval("select count(*) from attempts") == 2
    # The order of the checks: the query before the object.
    assert (await client.get(f"/batch/{foreign.id}/messages")).status == 400
    # A cursor may name another's message: it is a place in the order, and nothing of that message is told.
    listed = (await client.get("/messages?limit=1")).json["data"]
    assert [message["id"] for message in listed] == [message_id(single.id, 2)]


async def test_a_head_is_answered_like_its_get_without_a_body(client: APIClient, tried: MadeBatch) -> None:
    for path in (
        f"/messages/{message_id(tried.id, 2)}",
        f"/batch/{tried.id}/messages?limit=1",
        "/messages?limit=2",
    ):
        whole, head = await client.get(path), await client.call("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.body))


async def test_a_batch_without_a_frame_is_shown_as_it_will_be_sent(
    client: APIClient, connection: Connection, tried: MadeBatch
) -> None:
    await connection.execute("update batches set frame = null")
    message = (await client.get(f"/messages/{message_id(tried.id, 2)}")).json
    assert message["fullMessage"] == (
        "This is a test message used for training purposes.\n\nClinic\n\n---\n\nDear Tan 1\n\n---\n\n"
        "This is an automated message sent by the Singapore Government."
    )


async def test_what_is_archived_is_gone_for_now_and_lists_say_that_there_is_more(
    client: APIClient, connection: Connection, tried: MadeBatch, campaign_id: str
) -> None:
    await archive_first_range(connection)
    gone = {
        "message": "These messages are archived: ask the operators of this service for them",
        "statusCode": 410,
    }
    for path in (f"/messages/{message_id(tried.id, 2)}", f"/batch/{tried.id}/messages?limit=9"):
        answer = await client.get(path)
        assert (answer.status, answer.json) == (410, gone), path
    answer = await client.get("/messages?limit=9")
    assert (answer.status, answer.json["data"], list(answer.json)) == (
        200,
        [],
        ["data", "pageData", "archived"],
    )
    assert_is("PageOfCampaign", answer.body)
    retried = await client.post(f"/messages/{message_id(tried.id, 2)}/retry")
    assert (retried.status, retried.json["error"]["code"]) == (400, "message_not_retryable")
    assert "is archived" in retried.json["error"]["message"]
    assert (await client.get(f"/messages/{message_id(tried.id, 2)[:-35]}{'0' * 35}")).status == 404
