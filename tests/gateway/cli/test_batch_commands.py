"""How far a batch has gone out, as scripts and people see it, and its delivery report as a file."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sending.pacing import PACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.gateway.cli.conftest import Call, Database

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
BATCH = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
OTHER = "batch_1d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
MESSAGE = "message_0d9c31e2-4b7f-8c58-9a61-7e200000000"
KEYS = [
    "id", "campaignId", "kind", "originalFileName", "status", "totalMessages", "createdAt", "counts", "errors",
    "expectedEndAt",
]  # fmt: skip
STATUSES = ["created", "enqueued", "sending", "sent", "sent_to_telco", "success", "failure"]
# Of each status one, in the order of their ranks; 200 unclaimed.
COUNTS = {
    "retrying": 1, "enqueued": 2, "sending": 3, "sent": 4, "sent_to_telco": 5, "success": 6, "failure": 7,
    "errors": json.dumps({"recipient_invalid": 4, "routing_error": 3, "stopped": 0}),
}  # fmt: skip


def show(admin: "Call", identifier: str = BATCH) -> Any:
    answer = admin("batch", "show", identifier, "--json")
    assert answer.status == 0, answer.err
    return answer.document


def make_sender(database: "Database", campaign_id: str, **columns: object) -> int:
    """The public sender, at 10 segments a second unless told, and the campaign's lane for batches; returns the lane."""
    row = {"name": "public", "provider": "simulator", "rate": 10.0, **columns}
    if not database.run("select 1 from senders where name = $1", row["name"]):
        database._insert("senders", row)
    [sender] = database.run("select id from senders where name = $1", row["name"])
    lane = {"sender_id": sender["id"], "campaign_id": campaign_id, "priority": 2}
    return int(database._insert("lanes", lane, returning="id"))


def test_a_batch_in_json_has_the_keys_of_the_contract(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    database.insert_batch(campaign_id, BATCH, [{}], total_messages=228, taken_at=AT, **COUNTS)
    document = show(admin)
    assert list(document) == KEYS
    assert list(document["counts"].items()) == list(zip(STATUSES, [1, 202, 3, 4, 5, 6, 7], strict=True))
    assert document["errors"] == {"recipient_invalid": 4, "routing_error": 3}
    assert {key: document[key] for key in KEYS if key not in ("counts", "errors")} == {
        "id": BATCH,
        "campaignId": campaign_id,
        "kind": "batch",
        "originalFileName": "clinic.csv",
        "status": "messages_enqueued",
        "totalMessages": 228,
        "createdAt": "2026-11-22T06:05:04.321Z",
        "expectedEndAt": None,
    }
    assert admin("batch", "list", "--json").document == [document]


@pytest.mark.parametrize(
    ("columns", "status", "errors"),
    [
        ({}, "created", {}),
        ({"taken_at": AT}, "enqueued", {}),
        ({"taken_at": AT, "ended_at": AT, "ended_because": "stopped"}, "failure", {"stopped": 3}),
        ({"ended_at": AT, "ended_because": "expired"}, "failure", {"server_unknown_error": 3}),
    ],
)
def test_messages_without_an_attempt_are_counted_as_their_batch_says(
    admin: "Call", campaign_id: str, database: "Database", columns: dict[str, object], status: str, errors: object
) -> None:  # fmt: skip
    database.insert_batch(campaign_id, BATCH, [{}, {}, {}], **columns)
    document = show(admin)
    assert document["counts"] == {**dict.fromkeys(STATUSES, 0), status: 3}
    assert document["errors"] == errors


def test_batches_are_listed_newest_first_without_single_sends(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    other = admin(
        "campaign", "create", "--name", "B", "--notify", "b@b.sg", "--template", "english=x"
    ).out.strip()
    for number in range(4):
        database.insert_batch(
            other if number == 3 else campaign_id,
            BATCH.replace("_0", f"_{number}"),
            [{}],
            kind="single" if number == 1 else "batch",
            created_at=AT + timedelta(hours=number),
        )

    def ids(*words: str) -> list[str]:
        return [batch["id"][6] for batch in admin("batch", "list", *words, "--json").document]

    assert ids() == ["3", "2", "0"]
    assert ids("--campaign", campaign_id) == ["2", "0"]
    assert ids("--since", "2026-11-22T07:30") == ["3", "2"]
    assert ids("--limit", "1") == ["3"]
    assert ids("--limit", "1", "--after", BATCH.replace("_0", "_3")) == ["2"]
    assert ids("--campaign", campaign_id, "--after", BATCH.replace("_0", "_2")) == ["0"]
    assert admin("batch", "list", "--after", "batch_9").status == 1
    assert admin("batch", "list", "--campaign", "nobody").status == 1
    assert admin("batch", "show", "batch_1").status == 1
    assert "1 created" in admin("batch", "list").out


def test_the_expected_end_counts_what_shares_the_sender(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    others = [
        admin(
            "campaign", "create", "--name", "B", "--notify", "b@b.sg", "--template", "english=x"
        ).out.strip()
        for _ in range(3)
    ]
    lane = make_sender(database, campaign_id)
    lanes = [make_sender(database, other) for other in others]
    common: dict[str, Any] = {"taken_at": AT, "waiting": True}
    # 3,000 segments of its own, behind 1,000 of an older batch of the same campaign.
    database.insert_batch(campaign_id, OTHER, [{}], total_messages=1000, lane_id=lane, **common)
    database.insert_batch(campaign_id, BATCH, [{"segments": 3}], total_messages=1000, lane_id=lane, **common)
    database.insert_batch(
        campaign_id, BATCH.replace("_0", "_7"), [{}], total_messages=9999, lane_id=lane, **common
    )
    # A small batch of another campaign goes whole meanwhile; of a large one as much as of ours; of a suspended one nothing.
    for name, total, its, other in zip("234", (50, 100_000, 500), lanes, others, strict=True):
        database.insert_batch(
            other, BATCH.replace("_0", f"_{name}"), [{}], total_messages=total, lane_id=its, **common
        )
    admin("campaign", "suspend", others[2])
    before = datetime.now(UTC)
    end = datetime.fromisoformat(show(admin)["expectedEndAt"])
    expected = (4000 + 50 + 4000) / (10 * PACE)
    assert abs((end - before).total_seconds() - expected) < 30
    shown = admin("batch", "show", BATCH).out
    assert "10 segments/s" in shown


def test_a_batch_that_takes_more_than_a_day_says_so(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    lane = make_sender(database, campaign_id)
    now = datetime.now(UTC)
    for name, total in (("0", 845_000), ("1", 855_000)):
        database.run("delete from messages")
        database.run("delete from batches")
        database.insert_batch(
            campaign_id, BATCH.replace("_0", f"_{name}"), [{}], total_messages=total, lane_id=lane, taken_at=now,
            waiting=True, created_at=now,
        )  # fmt: skip
        shown = admin("batch", "show", BATCH.replace("_0", f"_{name}"))
        assert shown.status == 0, shown.err
        assert ("can't leave within 24 h" in shown.out) == (name == "1")


@pytest.mark.parametrize(
    ("batch", "sender", "before", "says"),
    [
        ({"held_since": AT, "held_because": "upgrade"}, {}, None, f"`sftp-gateway batch release {BATCH}`"),
        ({}, {"provider": "none"}, None, "its channel has no provider"),
        ({}, {"paused_since": AT, "paused_because": "wrong credentials"}, None, "paused (wrong credentials)"),
        ({}, {}, "suspend", "campaign resume"),
    ],
)
def test_what_keeps_a_batch_is_said_with_what_to_do(
    admin: "Call", campaign_id: str, database: "Database", batch: dict[str, object],
    sender: dict[str, object], before: str | None, says: str,
) -> None:  # fmt: skip
    lane = make_sender(database, campaign_id, **sender)
    database.insert_batch(campaign_id, BATCH, [{}], lane_id=lane, taken_at=AT, waiting=True, **batch)
    if before:
        admin("campaign", before, campaign_id)
    assert says in admin("batch", "show", BATCH).out
    assert show(admin)["expectedEndAt"] is None


def test_an_internal_campaign_without_its_account_says_so(admin: "Call", database: "Database") -> None:
    campaign = admin(
        "campaign", "create", "--name", "B", "--notify", "b@b.sg", "--channel", "internal", "--template", "english=x"
    ).out.strip()  # fmt: skip
    database.insert_batch(campaign, BATCH, [{}])
    assert f"`sftp-gateway campaign twilio {campaign}`" in admin("batch", "show", BATCH).out


def test_a_batch_that_no_sender_has_taken_up_says_so(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    database.insert_batch(campaign_id, BATCH, [{}])
    assert "no sender has taken it up yet" in admin("batch", "show", BATCH).out


FAILURES: list[dict[str, object]] = [
    {"attempts": [{"status": 6, "error": "server_unknown_error"}]},
    {"attempts": [{"status": 6, "error": "message_expired", "may_have_arrived": True}]},
    {"attempts": [{"status": 6, "error": "recipient_invalid", "sent_at": AT}]},
    # The first attempt may have arrived, but the last one says what became of the message.
    {
        "attempts": [
            {"status": 6, "error": "message_expired", "may_have_arrived": True},
            {"status": 5, "sent_at": AT, "delivered_at": AT},
        ]
    },
]


def test_batch_and_upload_say_which_failures_never_left_and_which_may_have_arrived(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    upload = database.insert_upload(
        campaign_id, "upload_1", status="accepted", batch_id=BATCH, total_messages=5, finished_at=AT
    )
    database.insert_batch(
        campaign_id, BATCH, [*FAILURES, {}], upload_id=upload, taken_at=AT, cursor_row=5, success=1, failure=3,
        ended_at=AT, ended_because="stopped",
    )  # fmt: skip
    for answer in (admin("batch", "show", BATCH), admin("upload", "show", "upload_1")):
        assert answer.status == 0, answer.err
        assert "2 never left, 1 were not delivered, 1 may have arrived" in answer.out
    assert "messages_enqueued: 1 success, 4 failure" in admin("upload", "show", "upload_1").out


def claimed(*attempts: "Mapping[str, object]") -> list[dict[str, object]]:
    return [{"attempts": [attempt]} for attempt in attempts]


def test_the_failed_messages_of_a_batch_are_retried(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    lane = make_sender(database, campaign_id)
    unavailable = {"status": 6, "error": "recipient_unavailable"}
    database.insert_batch(
        campaign_id, BATCH, claimed(unavailable, {"status": 5}, unavailable), taken_at=AT, lane_id=lane, cursor_row=4,
        success=1, failure=2, errors=json.dumps({"recipient_unavailable": 2}),
    )  # fmt: skip
    answer = admin("batch", "retry", BATCH)
    assert answer.status == 0, answer.err
    assert "2 messages will be sent again" in answer.err
    assert show(admin)["counts"] == {**dict.fromkeys(STATUSES, 0), "created": 2, "success": 1}
    again = admin("batch", "retry", BATCH)
    assert (again.status, "haven't begun" in again.err) == (1, True)
    one = admin("message", "retry", f"{MESSAGE}2")
    assert (one.status, "only a failed one is retried" in one.err) == (1, True)
    assert admin("batch", "retry", "batch_1").status == 1


def test_a_failed_message_is_retried_until_its_limit(
    admin: "Call", campaign_id: str, database: "Database", monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = make_sender(database, campaign_id)
    database.insert_batch(
        campaign_id, BATCH, claimed({"status": 6, "error": "routing_error"}), taken_at=AT, lane_id=lane, cursor_row=2,
        failure=1, errors=json.dumps({"routing_error": 1}),
    )  # fmt: skip
    answer = admin("message", "retry", f"{MESSAGE}2")
    assert answer.status == 0, answer.err
    document = admin("message", "show", f"{MESSAGE}2", "--json").document
    assert document["latestStatus"] == "created"
    assert [attempt["status"] for attempt in document["attempts"]] == ["created", "failure"]
    database.run("update attempts set status = 6, error = 'routing_error'")
    database.run("update batches set retrying = 0, failure = 1")
    monkeypatch.setenv("SFTP_GATEWAY_SENDING__MAX_RETRIES", "1")
    refused = admin("message", "retry", f"{MESSAGE}2")
    assert (refused.status, "no more is allowed" in refused.err) == (1, True)
    assert admin("message", "retry", "message_1").status == 1


def test_stopping_a_batch_asks_first(admin: "Call", campaign_id: str, database: "Database") -> None:
    lane = make_sender(database, campaign_id)
    database.insert_batch(
        campaign_id, BATCH, [*claimed({"status": 5}), {}, {}], taken_at=AT, lane_id=lane, waiting=True, cursor_row=2,
        success=1,
    )  # fmt: skip
    assert admin("batch", "stop", BATCH).status == 2
    assert admin("batch", "stop", BATCH, stdin=b"n\n").status == 1
    assert show(admin)["counts"]["enqueued"] == 2
    answer = admin("batch", "stop", BATCH, "--yes")
    assert answer.status == 0, answer.err
    assert "2 messages will never leave" in answer.err
    assert show(admin)["errors"] == {"stopped": 2}
    assert "stopped" in admin("batch", "show", BATCH).out
    assert admin("batch", "stop", BATCH, "--yes").status == 1


def test_a_held_batch_is_released(admin: "Call", campaign_id: str, database: "Database") -> None:
    lane = make_sender(database, campaign_id)
    database.insert_batch(
        campaign_id, BATCH, [{}], taken_at=AT, lane_id=lane, held_since=AT, held_because="stale"
    )
    answer = admin("batch", "release", BATCH)
    assert answer.status == 0, answer.err
    assert "released" in admin("batch", "show", BATCH).out
    assert show(admin)["expectedEndAt"] is not None
    assert admin("batch", "release", BATCH).status == 1
