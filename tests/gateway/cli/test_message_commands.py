"""What became of a message, as its document says it and as people read it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from messages.retrieval import SQL

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
BATCH = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
MESSAGE = "message_0d9c31e2-4b7f-8c58-9a61-7e2000000002"
KEYS = [
    "createdAt", "updatedAt", "id", "recipient", "values", "creatorId", "fullMessage", "latestStatus", "templateBodyId",
    "campaignId", "templateBody", "batches", "language", "creatorEmail", "attempts",
]  # fmt: skip


def attempt(status: int, minutes: int = 0, **columns: object) -> dict[str, object]:
    """A row of `attempts` that begins so many minutes after AT, and changed half a minute later."""
    begun = AT + timedelta(minutes=minutes)
    return {
        "status": status,
        "created_at": begun,
        "updated_at": begun + timedelta(seconds=30),
        **columns,
    }


def show(admin: "Call", identifier: str = MESSAGE) -> Any:
    answer = admin("message", "show", identifier, "--json")
    assert answer.status == 0, answer.err
    return answer.document


def test_a_message_in_json_is_the_api_s_document_to_the_letter(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    first = attempt(6, error="recipient_unavailable", raw_code="30003", sent_at=AT + timedelta(seconds=1))
    second = attempt(
        5, 9, sent_at=AT + timedelta(minutes=9), delivered_at=AT + timedelta(minutes=9, seconds=2)
    )
    database.insert_batch(
        campaign_id, BATCH, [{"attempts": [first, second]}], taken_at=AT + timedelta(hours=1), cursor_row=2, success=1
    )  # fmt: skip
    document = show(admin)
    assert list(document) == KEYS
    template_body = document["templateBody"]
    assert list(template_body) == [
        "createdAt", "updatedAt", "id", "templateId", "language", "body", "creatorId",
    ]  # fmt: skip
    assert template_body["id"] == document["templateBodyId"]
    assert template_body["id"].startswith("template-body_")
    assert template_body["templateId"].startswith("template_")
    assert template_body["body"] == "Dear {{name}}, your visit is on {{date}}."
    assert document["creatorId"].startswith("user_")
    assert document["creatorEmail"] == "service@localhost"
    assert list(document["values"].items()) == [("name", "Tan"), ("date", "1 May")]
    assert document["fullMessage"] == "Clinic\n\n---\n\nDear Tan, your visit is on 1 May.\n\n---\n\nBye."
    assert document["createdAt"] == "2026-11-22T14:05:04.321+08:00"
    assert document["updatedAt"] == "2026-11-22T14:09:30.000+08:00"
    assert document["id"] == MESSAGE
    assert document["latestStatus"] == "success"
    assert document["batches"] == [
        {
            "createdAt": "2026-11-22T14:05:04.321+08:00",
            "updatedAt": "2026-11-22T15:00:00.000+08:00",
            "id": BATCH,
            "originalFileName": "clinic.csv",
            "status": "messages_enqueued",
            "campaignId": campaign_id,
            "creatorId": document["creatorId"],
            "totalMessages": 1,
            "BatchMessage": {
                "createdAt": "2026-11-22T14:05:04.321+08:00",
                "updatedAt": "2026-11-22T14:05:04.321+08:00",
                "id": "2",
                "batchId": BATCH,
                "messageId": MESSAGE,
            },
        }
    ]
    newest, oldest = document["attempts"]
    assert list(newest.items()) == [
        ("status", "success"),
        ("createdAt", "2026-11-22T14:09:00.000+08:00"),
        ("sentAt", "2026-11-22T14:09:00.000+08:00"),
        ("deliveredAt", "2026-11-22T14:09:02.000+08:00"),
    ]
    assert list(oldest.items()) == [
        ("status", "failure"),
        ("createdAt", "2026-11-22T14:00:00.000+08:00"),
        ("sentAt", "2026-11-22T14:00:01.000+08:00"),
        ("deliveredAt", None),
        ("error", {"type": "delivery_error", "code": "recipient_unavailable"}),
        ("mayHaveArrived", False),
        ("metadata", {}),
    ]


def test_an_expiry_of_our_own_is_marked(admin: "Call", campaign_id: str, database: "Database") -> None:
    expired = attempt(6, error="message_expired", expired=True, may_have_arrived=True)
    database.insert_batch(campaign_id, BATCH, [{"attempts": [expired]}], taken_at=AT, cursor_row=2, failure=1)
    (document,) = show(admin)["attempts"]
    assert document["mayHaveArrived"] is True
    assert document["metadata"] == {"expiredBy": "postman"}


@pytest.mark.parametrize(
    ("columns", "status", "error"),
    [
        ({}, "created", None),
        ({"taken_at": AT}, "enqueued", None),
        (
            {"taken_at": AT, "ended_at": AT, "ended_because": "stopped"},
            "failure",
            {"type": "server_error", "code": "stopped"},
        ),
        (
            {"ended_at": AT, "ended_because": "expired"},
            "failure",
            {"type": "server_error", "code": "server_unknown_error"},
        ),
    ],
)
def test_a_message_that_nobody_has_tried_has_one_attempt_of_its_batch_s_status(
    admin: "Call", campaign_id: str, database: "Database", columns: dict[str, object],
    status: str, error: dict[str, str] | None,
) -> None:  # fmt: skip
    database.insert_batch(campaign_id, BATCH, [{}], **columns)
    document = show(admin)
    assert document["latestStatus"] == status
    (only,) = document["attempts"]
    assert only["status"] == status
    assert only["createdAt"] == document["createdAt"]
    assert only.get("error") == error
    assert only.get("mayHaveArrived") == (None if error is None else False)
    [seen] = database.run("select status, error_type, error_code from message_status")
    assert (seen["status"], seen["error_code"]) == (status, error and error["code"])


def test_a_message_of_a_batch_that_has_no_frame_yet_is_shown_as_it_will_be_sent(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    database.insert_batch(campaign_id, BATCH, [{}], frame=None)
    assert show(admin)["fullMessage"] == (
        "This is a test message used for training purposes.\n\nClinic reminders\n\n---\n\nDear Tan, your visit is on "
        "1 May.\n\n---\n\nThis is an automated message sent by the Singapore Government."
    )


def test_a_single_send_shows_no_batch(admin: "Call", campaign_id: str, database: "Database") -> None:
    database.insert_batch(campaign_id, BATCH, [{}], kind="single")
    assert show(admin)["batches"] == []


@pytest.mark.parametrize(
    "identifier", ["message_1", MESSAGE.replace("-8c58-", "-4c58-"), MESSAGE[:-1] + "3", BATCH]
)
def test_an_unknown_message_is_refused(
    admin: "Call", campaign_id: str, database: "Database", identifier: str
) -> None:
    database.insert_batch(campaign_id, BATCH, [{}])
    answer = admin("message", "show", identifier)
    assert (answer.status, answer.out) == (1, "")
    assert "there is no message" in answer.err


def test_people_are_told_what_a_failure_means_and_whether_it_may_have_arrived(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    messages: list[dict[str, object]] = [
        {"attempts": [attempt(6, error="message_expired", may_have_arrived=True)]},
        {"attempts": [attempt(6, error="server_unknown_error", raw_code="21606")]},
        {"attempts": [attempt(6, error="recipient_unavailable", sent_at=AT)]},
        {"attempts": [attempt(2)]},
    ]
    database.insert_batch(campaign_id, BATCH, messages, taken_at=AT, cursor_row=5, failure=3, sending=1)

    def shown(row: int) -> str:
        answer = admin("message", "show", f"{MESSAGE[:-1]}{row}")
        assert answer.status == 0, answer.err
        return answer.out

    assert "may have arrived" in shown(2)
    assert "never left" in shown(3)
    assert "21606" in shown(3)
    assert "was not delivered" in shown(4)
    assert "yes: retry later" in shown(4)
    assert "arrival" not in shown(5)


def test_messages_are_listed_newest_first_over_batches_and_found_by_part_of_the_number(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    for number in range(60):
        recipients = [f"65911{number:02}{row:03}" for row in range(3 if number == 30 else 1)]
        database.insert_batch(
            campaign_id,
            f"batch_0d9c31{number:02}-4b7f-4c58-9a61-7e20c4f1a3b8",
            [{"recipient": recipient} for recipient in recipients],
            kind="single" if number % 2 else "batch",
            created_at=AT + timedelta(seconds=number - number % 3),
        )
    database.insert_batch(
        admin("campaign", "create", "--name", "B", "--notify", "b@b.sg", "--template", "english=x").out.strip(),
        BATCH, [{"recipient": "6591130000"}],
    )  # fmt: skip

    def listed(*words: str) -> list[str]:
        answer = admin("message", "list", campaign_id, "--json", *words)
        assert answer.status == 0, answer.err
        assert all(list(document) == KEYS for document in answer.document)
        return [document["recipient"] for document in answer.document]

    everything = listed("--limit", "1000")
    assert len(everything) == 62
    assert everything[:4] == ["6591159000", "6591158000", "6591157000", "6591156000"]
    assert everything[29:33] == ["6591130002", "6591130001", "6591130000", "6591129000"]
    assert listed() == everything[:50]
    assert listed("--limit", "3") == everything[:3]
    assert listed("--search", "91130") == ["6591130002", "6591130001", "6591130000"]
    assert listed("--search", "91130", "--limit", "2") == ["6591130002", "6591130001"]
    shown = admin("message", "list", campaign_id, "--json", "--limit", "31").document
    # In the middle of a batch.
    assert listed("--after", shown[-1]["id"]) == everything[31:]
    assert listed("--after", shown[-1]["id"], "--search", "91130") == ["6591130000"]
    assert f"add --after {shown[1]['id']}" in admin("message", "list", campaign_id, "--limit", "2").err
    assert admin("message", "list", campaign_id, "--after", "nobody").status == 1
    assert listed("--search", "%") == []
    assert listed("--search", "98765") == []
    assert admin("message", "list", campaign_id, "--search", "1" * 21).status == 2
    assert admin("message", "list", "nobody").status == 1


def test_a_look_up_by_id_uses_the_index_of_stems(campaign_id: str, database: "Database") -> None:
    database.run(
        "insert into batches (id, campaign_id, original_file_name, total_messages) "
        "select 'batch_' || gen_random_uuid(), $1, 'x.csv', 1 from generate_series(1, 2000)",
        campaign_id,
    )
    database.run("analyze batches")
    statement = SQL["find_batch_of_message"].replace("$1", "'0d9c31e2-4b7f-c58-9a61-7e20'")
    plan = "\n".join(row[0] for row in database.run(f"explain {statement}"))
    assert "Index Scan using batches_by_message_id" in plan
