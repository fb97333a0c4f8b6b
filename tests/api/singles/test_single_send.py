"""One message by HTTP: what is answered, what is stored, and what is refused in which words (8-api.md §2.1, §4)."""

import json
import re

from database.connections import Connection
from messages.documents import CREATOR_ID
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
        "creatorId": CREATOR_ID,
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
