"""What ops see of an upload, and what they can do for it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.cli.arguments import parse_since
from gateway.errors import CallMisused

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
KEYS = [
    "id",
    "campaignId",
    "fileName",
    "status",
    "bytes",
    "sha256",
    "receivedAt",
    "finishedAt",
    "batchId",
    "totalMessages",
    "duplicateOf",
    "reportKey",
    "supportId",
    "numRows",
    "numErrors",
    "notifiedAt",
]


def test_an_upload_in_json_has_the_keys_of_the_contract(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    database.insert_upload(
        campaign_id, "upload_1", status="accepted", sha256="ab" * 32, batch_id="batch_1", total_messages=2, num_rows=0,
        num_errors=0, duplicate_of=None, finished_at=AT + timedelta(minutes=6), notified_at=AT + timedelta(minutes=7),
    )  # fmt: skip
    (document,) = admin("upload", "list", "--json").document
    assert list(document) == KEYS
    assert document == {
        "id": "upload_1",
        "campaignId": campaign_id,
        "fileName": "clinic.csv",
        "status": "accepted",
        "bytes": 1234,
        "sha256": "ab" * 32,
        "receivedAt": "2026-11-22T06:05:04.321Z",
        "finishedAt": "2026-11-22T06:06:00.000Z",
        "batchId": "batch_1",
        "totalMessages": 2,
        "duplicateOf": None,
        "reportKey": None,
        "supportId": None,
        "numRows": 0,
        "numErrors": 0,
        "notifiedAt": "2026-11-22T06:07:00.000Z",
    }


def test_uploads_are_listed_newest_first_and_filtered(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    admin(
        "campaign", "create", "--id", "other", "--name", "B", "--notify", "b@b.sg", "--template", "english=x"
    )
    for number in range(4):
        database.insert_upload(
            "other" if number == 3 else campaign_id,
            f"upload_{number}",
            received_at=AT + timedelta(hours=number),
            **({"status": "failed", "support_id": "S-1", "finished_at": AT} if number == 1 else {}),
        )

    def ids(*words: str) -> list[str]:
        answer = admin("upload", "list", *words, "--json")
        assert answer.status == 0, answer.err
        return [upload["id"] for upload in answer.document]

    assert ids() == ["upload_3", "upload_2", "upload_1", "upload_0"]
    assert ids("--campaign", campaign_id) == ["upload_2", "upload_1", "upload_0"]
    assert ids("--status", "failed") == ["upload_1"]
    assert ids("--after", "upload_2") == ["upload_1", "upload_0"]
    assert ids("--after", "upload_3", "--campaign", campaign_id, "--limit", "1") == ["upload_2"]
    page = admin("upload", "list", "--limit", "2")
    assert "There are more: add --after upload_2, or raise --limit" in page.err
    assert "no upload 'nobody'" in admin("upload", "list", "--after", "nobody").err
    assert ids("--since", "2026-11-22T08:00") == ["upload_3", "upload_2"]
    assert ids("--since", "2026-11-22T16:00+08:00", "--campaign", "other") == ["upload_3"]
    assert ids("--limit", "2") == ["upload_3", "upload_2"]
    assert admin("upload", "list", "--campaign", "nobody").status == 1
    wrong = admin("upload", "list", "--status", "acepted")
    assert (wrong.status, "did you mean accepted?" in wrong.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", AT - timedelta(seconds=90)),
        ("30m", AT - timedelta(minutes=30)),
        ("24h", AT - timedelta(hours=24)),
        ("7d", AT - timedelta(days=7)),
        ("2w", AT - timedelta(weeks=2)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T08:00:00+08:00", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T00:00:00Z", datetime(2026, 11, 20, tzinfo=UTC)),
    ],
)
def test_since_is_an_age_or_a_time(text: str, at: datetime) -> None:
    assert parse_since(text, now=AT) == at


@pytest.mark.parametrize("text", ["", "yesterday", "24", "h", "-1h", "2026-13-01"])
def test_since_is_nothing_else(text: str) -> None:
    with pytest.raises(CallMisused, match="--since"):
        parse_since(text, now=AT)


def test_an_upload_is_shown_with_its_timeline(admin: "Call", campaign_id: str, database: "Database") -> None:
    database.insert_upload(campaign_id, "upload_1", status="failed", support_id="S-0A1B", finished_at=AT)
    for seconds, event in enumerate(["upload_received", "upload_failed"]):
        database.run(
            "insert into audit_events (at, event, campaign_id, upload_id, actor, source_address, connection_id, details) "
            "values ($1, $2, $3, 'upload_1', 'SHA256:x', '192.0.2.7', 'c1', $4)",
            AT + timedelta(seconds=seconds), event, campaign_id, json.dumps({"attempts": seconds}),
        )  # fmt: skip

    for name in ("upload_1", "S-0A1B"):
        document = admin("upload", "show", name, "--json").document
        assert list(document) == [*KEYS, "timeline"]
        assert document["timeline"] == [
            {
                "at": f"2026-11-22T06:00:0{seconds}.000Z",
                "event": event,
                "actor": "SHA256:x",
                "sourceAddress": "192.0.2.7",
                "connectionId": "c1",
                "details": {"attempts": seconds},
            }
            for seconds, event in enumerate(["upload_received", "upload_failed"])
        ]
    shown = admin("upload", "show", "upload_1")
    assert "S-0A1B" in shown.out
    assert "+1.000 s" in shown.out


def test_a_failed_upload_is_retried_once(admin: "Call", campaign_id: str, database: "Database") -> None:
    database.insert_upload(
        campaign_id,
        "upload_1",
        status="failed",
        support_id="S-1",
        finished_at=AT,
        object_key="originals/x",
        outcome=1,
    )
    answer = admin("upload", "retry", "upload_1")
    assert answer.status == 0, answer.err
    (row,) = database.run("select status, finished_at from uploads")
    assert (row["status"], row["finished_at"]) == ("received", None)
    assert len(database.run("select * from pgqueuer")) == 1
    (event,) = database.run("select actor from audit_events where event = 'upload_retried'")
    assert event["actor"]
    again = admin("upload", "retry", "upload_1")
    assert again.status == 1
    assert "will get its outcome by itself" in again.err
    assert len(database.run("select * from pgqueuer")) == 1


def test_an_interrupted_upload_is_released(admin: "Call", campaign_id: str, database: "Database") -> None:
    database.insert_upload(
        campaign_id, "upload_1", status="rejected", refusal_code="upload_interrupted", finished_at=AT,
        object_key="originals/x", outcome=1,
    )  # fmt: skip
    assert admin("upload", "release", "upload_1").status == 0
    assert database.run("select status from uploads")[0]["status"] == "received"
    assert len(database.run("select * from audit_events where event = 'upload_released'")) == 1


@pytest.mark.parametrize(
    ("verb", "columns", "says"),
    [
        ("retry", {"status": "accepted", "batch_id": "b"}, "only a failed upload can be retried"),
        ("retry", {"status": "rejected"}, "only a failed upload can be retried"),
        ("retry", {"status": "failed", "support_id": "S-1"}, "ask the agency to upload the file again"),
        ("release", {"status": "rejected", "refusal_code": "file_too_large"}, "not refused as interrupted"),
        ("release", {"status": "failed", "support_id": "S-1"}, "not refused as interrupted"),
        ("report", {"status": "accepted", "batch_id": "b"}, "has no report"),
    ],
)
def test_what_does_not_fit_is_refused(
    admin: "Call", campaign_id: str, database: "Database", verb: str, columns: dict[str, object], says: str
) -> None:
    database.insert_upload(campaign_id, "upload_1", finished_at=AT, **columns)
    answer = admin("upload", verb, "upload_1")
    assert (answer.status, answer.out) == (1, "")
    assert says in answer.err
    assert database.run("select * from pgqueuer") == []


@pytest.mark.parametrize("verb", ["show", "retry", "release", "report"])
def test_an_unknown_upload_is_said_to_be_unknown(admin: "Call", verb: str) -> None:
    answer = admin("upload", verb, "upload_x")
    assert answer.status == 1
    assert "there is no upload 'upload_x'" in answer.err


def test_a_report_is_read_written_or_linked(admin: "Call", upload_with_report: str, tmp_path: Path) -> None:
    read = admin("upload", "report", upload_with_report)
    assert read.status == 0
    assert read.raw.startswith(b"\xef\xbb\xbfrecipient,")
    file = tmp_path / "report.csv"
    assert admin("upload", "report", upload_with_report, "--out", file).status == 0
    assert file.read_bytes() == read.raw
    assert file.stat().st_mode & 0o777 == 0o600
    assert admin("upload", "report", upload_with_report, "--out", file).status == 2
    link = admin("upload", "report", upload_with_report, "--link").out
    assert "X-Amz-Signature=" in link


def test_an_upload_by_http_tells_its_source_and_its_withdrawal_and_is_not_decided_anew(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    ended = {"status": "failed", "support_id": "S-1", "finished_at": AT, "outcome": 1}
    database.insert_upload(
        campaign_id, "upload_1", source="api", content_sha256="ab" * 32, withdrawn_at=AT, **ended
    )
    database.insert_upload(campaign_id, "upload_2", source="api", object_key="originals/x", **ended)
    database.insert_upload(campaign_id, "upload_3", **ended)
    document = admin("upload", "show", "upload_1", "--json").document
    assert list(document) == [*KEYS, "source", "timeline"]
    assert (document["status"], document["source"], document["sha256"]) == ("withdrawn", "api", "ab" * 32)
    assert "withdrawn" in admin("upload", "show", "upload_1").out
    assert "withdrawn" in admin("upload", "list").out
    for status, ids in (("withdrawn", {"upload_1"}), ("failed", {"upload_2", "upload_3"})):
        found = admin("upload", "list", "--status", status, "--json").document
        assert {upload["id"] for upload in found} == ids
    for verb, upload_id, status in (("retry", "upload_2", "failed"), ("release", "upload_1", "withdrawn")):
        answer = admin("upload", verb, upload_id)
        assert (answer.status, answer.out) == (1, "")
        assert (
            f"{upload_id} came by the HTTP API and is {status}: its sender was told so at once" in answer.err
        )
    assert database.run("select * from pgqueuer") == []
