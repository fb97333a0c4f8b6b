"""One message by HTTP: what is answered, what is stored, and what is refused in which words (8-api.md §2.1, §4)."""

import asyncio
import json
import re

import pytest

from campaigns.people.users import SERVICE_USER_ID
from database.connections import Connection
from messages.identifiers import parse_message_id, template_body_id
from rules.segments import segment
from tests.api.client import APIClient

BODY = {"recipient": "6591234567", "language": "english", "values": {"name": "Aisha"}}
TRAINING = "This is a test message used for training purposes."
FOOTER = "This is an automated message sent by the Singapore Government."


def with_(**fields: object) -> dict[str, object]:
    return {**BODY, **fields}


async def test_a_message_is_answered_key_by_key_and_stored(client: APIClient, connection: Connection) -> None:
    answer = await client.post("/messages", json=BODY)
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    document = answer.json
    created = document["createdAt"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+08:00", created)
    assert re.fullmatch(
        r"message_[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{4}00000001", document["id"]
    )
    full = f"{TRAINING}\n\nClinic\n\n---\n\nDear Aisha\n\n---\n\n{FOOTER}"
    expected = {
        "createdAt": created,
        "updatedAt": created,
        "id": document["id"],
        "recipient": "6591234567",
        "values": {"name": "Aisha"},
        "creatorId": SERVICE_USER_ID,
        "fullMessage": full,
        "latestStatus": "created",
        "templateBodyId": template_body_id(client.campaign_id, "english"),
        "campaignId": client.campaign_id,
        "language": "english",
    }
    assert answer.body == json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()
    row = await connection.fetchrow(
        "select b.*, m.recipient, m.language, m.values, m.segments, m.encoding, m.row_number,"
        " m.created_at as written_at, message_id(b.id, 1) as message_id from batches b join messages m using (batch_no)"
    )
    assert row is not None
    assert (row["kind"], row["total_messages"], row["upload_id"], row["original_file_name"]) == (
        "single",
        1,
        None,
        "",
    )
    assert (row["row_number"], row["message_id"], row["status"]) == (1, document["id"], "messages_enqueued")
    assert (row["recipient"], row["language"], json.loads(row["values"])) == (
        "6591234567",
        "english",
        {"name": "Aisha"},
    )
    counted = segment(full)
    assert (row["segments"], row["encoding"]) == (counted.segments, counted.encoding)
    assert row["created_at"] == row["written_at"]
    assert (
        json.loads(row["frame"])["before"] + "Dear Aisha" + json.loads(row["frame"])["after"]["english"]
        == full
    )
    assert re.fullmatch(
        r"batch_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", row["id"]
    )
    # A UUID of version 7 begins with its time in milliseconds.
    assert int(row["id"][6:14] + row["id"][15:19], 16) == round(row["created_at"].timestamp() * 1000)
    assert parse_message_id(document["id"]) is not None


async def test_language_and_recipient_come_back_in_one_form_and_values_as_they_were_sent(
    client: APIClient, connection: Connection
) -> None:
    quoted = 'Aïsha "A" \\ 😀\nB'
    answer = await client.post(
        "/messages", json=with_(recipient=6591234567, language="ChineSE", values={"name": quoted})
    )
    assert answer.status == 201
    document = answer.json
    assert (document["recipient"], document["language"]) == ("6591234567", "chinese")
    assert document["values"] == {"name": quoted}
    assert f"\n\n---\n\n您好 {quoted}\n\n---\n\n" in document["fullMessage"]
    assert answer.body == json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    assert json.loads(await connection.fetchval("select values from messages")) == {"name": quoted}


async def test_whoever_asks_for_the_message_finds_what_was_answered(client: APIClient) -> None:
    answered = (
        await client.post("/messages", json=with_(language="chinese", values={"name": "一 “二”"}))
    ).json
    found = (await client.get(f"/messages/{answered['id']}")).json
    assert {name: found[name] for name in answered} == answered
    assert (found["batches"], found["attempts"][0]["status"]) == ([], "created")
    [listed] = (await client.get("/messages?limit=10")).json["data"]
    assert {name: listed[name] for name in answered} == answered
    assert "batchId" not in listed


async def test_calls_at_once_are_all_there_in_fewer_transactions(
    client: APIClient, connection: Connection
) -> None:
    await connection.execute("update campaigns set api_rate = 1000")
    answers = await asyncio.gather(
        *(client.post("/messages", json=with_(values={"name": f"A{number}"})) for number in range(100))
    )
    assert {answer.status for answer in answers} == {201}
    ids = {answer.json["id"]: answer.json["values"]["name"] for answer in answers}
    assert len(ids) == 100
    rows = await connection.fetch(
        "select message_id(b.id, row_number) as id, m.values->>'name' as name from messages m join batches b using (batch_no)"
    )
    assert {row["id"]: row["name"] for row in rows} == ids
    # How many share one depends on the machine.
    assert await connection.fetchval("select count(distinct xmin::text) from messages") < 100


async def test_what_is_wrong_about_the_request_is_refused_in_the_order_of_the_checks(
    client: APIClient, connection: Connection
) -> None:
    await connection.execute("update campaigns set api_rate = 1000")
    text = {"Content-Type": "text/plain"}
    cases: list[tuple[bytes, dict[str, str], int, str]] = [
        (b"{", {}, 400, "the body is not valid JSON (line 1, column 2)"),
        (b'{"recipient":"1","language":"english"}', {}, 400, "values is missing"),
        (b"", {}, 400, "the body is not valid JSON (line 1, column 1)"),
        (b"{}", text, 415, "Unsupported Media Type"),
        (b"{}", {"Content-Type": ""}, 415, "Unsupported Media Type"),
        (b"x" * 65_537, {}, 413, "Payload Too Large"),
        # Two things wrong at once.
        (b"x" * 65_537, text, 413, "Payload Too Large"),
        (b"{", text, 415, "Unsupported Media Type"),
        (b"{", {"Idempotency-Key": "a" * 256}, 400, "Idempotency-Key must be"),
        (b'{"recipient":"1","language":"klingon","values":[]}', {}, 400, "values must be an object"),
    ]
    for content, headers, status, message in cases:
        given = {"Content-Type": "application/json", **headers}
        answer = await client.post("/messages", content=content, headers=given)
        assert (answer.status, answer.shape_a) == (status, True), content[:50]
        assert answer.json["message"].startswith(message)
    assert await connection.fetchval("select count(*) from batches") == 0


async def test_a_refusal_of_the_domain_has_shape_b_and_an_id_that_the_log_knows(
    client: APIClient, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = await client.post("/messages", json=with_(values={"name": "[Aisha]"}))
    error = answer.json["error"]
    assert (answer.status, list(answer.json)) == (400, ["error"])
    assert error == {
        "code": "parameter_invalid",
        "message": "Parameter values cannot contain avoidable expensive characters. Please refer to the guide "
        "(https://postman-v2.guides.gov.sg) to learn more.",
        "type": "domain_error",
        "id": error["id"],
    }
    assert re.fullmatch(r"[1-9][0-9]{0,18}", error["id"])
    assert error["id"] in "".join(capfd.readouterr())
