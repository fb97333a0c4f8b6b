"""What ops see of a job that is held, and of its upload; and how it runs again."""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database


def hold(database: "Database", subject_id: str, entrypoint: str = "verdict") -> int:
    (row,) = database.run(
        "insert into pgqueuer (priority, entrypoint, status, payload, dedupe_key, headers)"
        " values (0, $1, 'failed', convert_to($2, 'UTF8'), $1 || ' ' || $2, '{\"crashes\": 5}') returning id",
        entrypoint,
        subject_id,
    )
    job_id: int = row["id"]
    return job_id


def test_a_held_verdict_is_seen_and_put_back_once(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    assert admin("job", "list", "--json").document == []
    assert "No job is held." in admin("job", "list").err
    database.insert_upload(campaign_id, "upload_1", status="validating")
    job_id = hold(database, "upload_1")
    (listed,) = admin("job", "list", "--json").document
    assert list(listed) == ["id", "kind", "subjectId", "crashes", "createdAt", "heldAt"]
    assert (listed["id"], listed["kind"], listed["subjectId"], listed["crashes"]) == (
        job_id,
        "verdict",
        "upload_1",
        5,
    )
    assert "upload_1" in admin("job", "list").out
    assert admin("upload", "show", "upload_1", "--json").document["heldJob"] == listed
    assert f"job retry {job_id}" in admin("upload", "show", "upload_1").out.replace("\n", " ")
    refused = admin("upload", "retry", "upload_1")
    assert refused.status == 1
    assert f"`sftp-gateway job retry {job_id}`" in refused.err

    for said in ("is on the queue again", "it is on the queue already"):
        answer = admin("job", "retry", str(job_id))
        assert answer.status == 0, answer.err
        assert said in answer.err
    (job,) = database.run("select status::text, headers::text from pgqueuer")
    assert (job["status"], job["headers"]) == ("queued", "{}")
    assert "heldJob" not in admin("upload", "show", "upload_1", "--json").document
    (event,) = database.run("select * from audit_events where event = 'job_retried'")
    assert (event["campaign_id"], event["upload_id"]) == (campaign_id, "upload_1")
    assert json.loads(event["details"]) == {"job": job_id, "kind": "verdict", "crashes": 5}
    assert event["actor"]


def test_a_job_that_nobody_holds_is_refused(admin: "Call", database: "Database") -> None:
    answer = admin("job", "retry", "4711")
    assert answer.status == 1
    assert "there is no held job 4711" in answer.err
    job_id = hold(database, "campaign_1", "refusal_summary")
    assert admin("job", "retry", str(job_id)).status == 0
    (event,) = database.run("select details from audit_events where event = 'job_retried'")
    assert json.loads(event["details"])["subject"] == "campaign_1"
