"""What a batch send is answered, and what is there then: a batch, a report, or nothing at all (8-api.md §2.5)."""

import asyncio
import hashlib
import json
import urllib.request

import pytest

from campaigns.campaigns import resume_campaign, suspend_campaign
from database.connections import Connection, Pool
from keys.api_keys import record_api_key_deleted
from tests.api.batches.bodies import BAD, GOOD, HEADERS, begun, body, form, part
from tests.api.client import APIClient
from tests.api.served import Answer, parse_answer
from tests.conftest import ADMIN


def fetch(link: str) -> bytes:
    """What is there for whoever has the link."""
    with urllib.request.urlopen(link, timeout=30) as answer:
        content: bytes = answer.read()
    return content


async def send(client: APIClient, content: bytes, **headers: str) -> Answer:
    """A batch send of this file."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/batch/messages", content=form(content), headers={**HEADERS, **named})


@pytest.mark.usefixtures("worker")
async def test_a_good_file_is_answered_with_its_batch(client: APIClient, pool: Pool, api_key: str) -> None:
    answer = await send(client, GOOD, X_Request_Id="request-1")
    assert answer.status == 201
    upload = await pool.fetchrow("select * from uploads")
    assert upload is not None
    assert answer.body == b'{"isValid":true,"batchId":"%s"}' % upload["batch_id"].encode()
    assert (upload["status"], upload["source"], upload["listed"]) == ("accepted", "api", False)
    assert (upload["sha256"], upload["content_sha256"]) == (None, hashlib.sha256(GOOD).hexdigest())
    assert (upload["file_name"], upload["bytes"]) == ("appointments.csv", len(GOOD))
    assert (str(upload["source_address"]), upload["connection_id"]) == ("127.0.0.1", "request-1")
    batch = await pool.fetchrow("select * from batches")
    assert batch is not None
    assert (batch["id"], batch["upload_id"], batch["total_messages"]) == (upload["batch_id"], upload["id"], 2)
    assert batch["original_file_name"] == "appointments.csv"
    assert await pool.fetchval("select count(*) from messages") == 2
    # Nobody gets an e-mail, and each step is on record.
    assert await pool.fetchval("select count(*) from notifications") == 0
    events = await pool.fetch(
        "select event, actor from audit_events where upload_id = $1 order by id", upload["id"]
    )
    assert [event["event"] for event in events] == ["upload_received", "upload_decided"]
    assert events[0]["actor"] == f"api key {api_key.removeprefix('key_test_')[:8]}"


@pytest.mark.usefixtures("worker")
async def test_a_bad_file_is_answered_with_its_report_and_its_findings(client: APIClient, pool: Pool) -> None:
    answer = await send(client, BAD)
    assert answer.status == 400
    told = json.loads(answer.body)
    assert list(told) == [
        "isValid", "reportURL", "numRows", "numErrors", "fileHasAvoidableExpensiveCharacter", "fileHasUnicode", "errors",
    ]  # fmt: skip
    assert (told["isValid"], told["numRows"], told["numErrors"]) == (False, 2, 2)
    assert (told["fileHasAvoidableExpensiveCharacter"], told["fileHasUnicode"]) == (False, True)
    assert [list(finding) for finding in told["errors"]] == [["row", "column", "code", "text"]] * 2
    first, second = told["errors"]
    assert list(first.values())[:3] == [2, "recipient", "recipient_has_plus"]
    assert first["text"] == "recipient +6591234567 begins with +: remove the +"
    assert (second["row"], second["column"], second["code"]) == (3, "name", "value_missing")
    rows = (await asyncio.to_thread(fetch, told["reportURL"])).decode("utf-8-sig").splitlines()
    assert first["text"] in rows[1]
    assert second["text"] in rows[2]
    assert await pool.fetchval("select count(*) from batches") == 0
    assert await pool.fetchval("select count(*) from notifications") == 0
    assert await pool.fetchval("select status from uploads") == "rejected"
    # The reason of a file as a whole stands before the findings; the test environment takes 20 rows.
    many = await send(client, GOOD + b"6591234567,english,Tan\r\n" * 20)
    told = json.loads(many.body)
    assert (many.status, list(told)[-2:]) == (400, ["errorReason", "errors"])
    assert (told["numRows"], told["numErrors"], told["errors"][0]["row"]) == (0, 1, None)
    assert told["errors"][0]["text"] == told["errorReason"]
    assert told["errors"][0]["code"] == "too_many_rows"


@pytest.mark.usefixtures("worker")
async def test_equal_files_are_two_batches_and_one_under_an_idempotency_key(
    client: APIClient, pool: Pool
) -> None:
    first, second = await send(client, GOOD), await send(client, GOOD)
    assert (first.status, second.status) == (201, 201)
    assert first.body != second.body
    keyed = await send(client, GOOD, Idempotency_Key="one")
    # Another boundary: programs draw a new one for each request.
    again = await client.post(
        "/batch/messages",
        content=form(GOOD).replace(b"8f5c1d", b"another"),
        headers={"Content-Type": "multipart/form-data; boundary=another", "Idempotency-Key": "one"},
    )
    assert (again.status, again.body) == (201, keyed.body)
    assert (keyed.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (
        None,
        "true",
    )
    other = await send(client, GOOD + b"6591234569,english,Ong\r\n", Idempotency_Key="one")
    assert (other.status, json.loads(other.body)["error"]["code"]) == (422, "idempotency_key_reused")
    assert await pool.fetchval("select count(*) from batches") == 3
    # A refusal is a final answer too. Where it wasn't kept, as when a process dies, it is composed again from the outcome.
    refused = await send(client, BAD, Idempotency_Key="two")
    await pool.execute("update idempotency_keys set status = null, answer = null")
    for key, content, before in (("two", BAD, refused), ("one", GOOD, keyed)):
        answer = await send(client, content, Idempotency_Key=key)
        assert (answer.status, answer.body) == (before.status, before.body)
        assert answer.headers["idempotency-replayed"] == "true"
    assert await pool.fetchval("select count(*) from uploads") == 4


REFUSED: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "media type": (form(GOOD), {"Content-Type": "text/csv"}, 415, "Unsupported Media Type"),
    "no boundary": (form(GOOD), {"Content-Type": "multipart/form-data"}, 400, "names no boundary"),
    "not CSV": (form(GOOD, "x.xlsx"), {}, 400, "only .csv files are accepted"),
    "CSV inside": (form(GOOD, "x.csv.txt"), {}, 400, "only .csv files are accepted"),
    "no filename": (form(GOOD, ""), {}, 400, "has no filename"),
    "long filename": (form(GOOD, f"{'x' * 252}.csv"), {}, 400, "at most 255 bytes"),
    "deceiving filename": (form(GOOD, "x\u202e.csv"), {}, 400, "no control characters"),
    "two files": (body(part(GOOD), part(GOOD)), {}, 400, "more than one part"),
    "cut off": (form(GOOD)[:-8], {}, 400, "ends before its last boundary"),
    "idempotency key": (form(GOOD), {"Idempotency-Key": "\t"}, 400, "Idempotency-Key"),
    "no body": (b"", {}, 400, "ends before its last boundary"),
    # Two things wrong at once: the order of the checks decides.
    "media type before name": (
        form(GOOD, "x.txt"),
        {"Content-Type": "text/csv"},
        415,
        "Unsupported Media Type",
    ),
}


async def test_what_is_no_batch_send_is_refused_in_shape_a(client: APIClient, pool: Pool) -> None:
    for case, (content, headers, status, message) in REFUSED.items():
        answer = await client.call("POST", "/batch/messages", content=content, headers={**HEADERS, **headers})
        assert (case, answer.status, answer.shape_a) == (case, status, True)
        assert message in json.loads(answer.body)["message"]
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_who_loses_access_while_the_body_comes_in_sends_nothing(
    client: APIClient, campaign_id: str, api_key: str, pool: Pool, connection: Connection
) -> None:
    content = form(GOOD)
    async with begun(client, content[:-20], len(content)) as (reader, writer):
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=ADMIN)
        writer.write(content[-20:])
        answer = parse_answer(await reader.read())
    assert (answer.status, answer.shape_a) == (403, True)
    async with connection.transaction():
        await resume_campaign(connection, campaign_id, actor=ADMIN)
    async with begun(client, content[:-20], len(content)) as (reader, writer):
        async with connection.transaction():
            prefix = api_key.removeprefix("key_test_")[:8]
            await record_api_key_deleted(connection, campaign_id, prefix, actor=ADMIN)
        writer.write(content[-20:])
        answer = parse_answer(await reader.read())
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "bearer")
    assert await pool.fetchval("select count(*) from uploads") == 0
