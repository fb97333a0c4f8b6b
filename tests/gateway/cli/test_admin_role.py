"""Every command that needs the database, by a login that has the rights of the admin's role and no others."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from database.grants import DatabaseRole
from tests.conftest import KeyPair

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Answer, Call, Database


def test_migrate_prints_the_grants_without_a_database(call: "Call") -> None:
    answer = call("migrate", "--grants")
    assert answer.status == 0
    lines = answer.out.splitlines()
    assert lines[0] == "begin;"
    assert lines[-1] == "commit;"
    assert "grant select, insert on messages to sftp_gateway_worker;" in lines
    assert call("migrate", "--grants", "--json").document == {"grants": lines}


def test_the_admin_can_work(
    url_of: Callable[[DatabaseRole], str], admin: "Call", upload_with_report: str, campaign_id: str,
    database: "Database", ed25519_key: KeyPair, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", url_of(DatabaseRole.ADMIN))
    failed = database.insert_upload(
        campaign_id, "upload_failed", status="failed", object_key="originals/x", support_id="S-1", outcome=1,
        finished_at=datetime.now(UTC),
    )  # fmt: skip

    database.run("insert into senders (name, provider, rate) values ('public', 'simulator', 100)")
    batch = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"
    message = "message_0d9c31e2-4b7f-8c58-9a61-7e2000000002"
    failure = {"status": 6, "error": "routing_error"}
    database.insert_batch(
        campaign_id, batch, [{"attempts": [failure]}, {"attempts": [failure]}], failure=2, cursor_row=3,
        errors='{"routing_error": 2}', taken_at=datetime.now(UTC), held_since=datetime.now(UTC), held_because="stale",
    )  # fmt: skip

    def done(*words: object, **options: object) -> "Answer":
        answer = admin(*words, **options)
        assert answer.status == 0, (words, answer.err)
        return answer

    made = done(
        "campaign", "create", "--name", "C", "--notify", "a@b.example", "--template", "english=Hi"
    ).out.strip()
    done("key", "add", made, "-", stdin=ed25519_key.public_line.encode())
    [key] = done("key", "list", made, "--json").document
    done("key", "revoke", made, key["fingerprint"])
    done("campaign", "notify", made, "b@b.example")
    done("campaign", "allow", made, "--from", "192.0.2.0/24")
    done("campaign", "addresses", made, "--add", "192.0.2.7")
    done("campaign", "rate", made, "15")
    done("campaign", "nric", made, "on")
    prefixes = [done("apikey", "add", made, "--json").document["prefix"] for _ in range(2)]
    done("apikey", "delete", made, prefixes[0])
    done("apikey", "list", made)
    done("nric", "add", "patient-1", "6591234567")
    done("campaign", "suspend", made)
    done("campaign", "resume", made)
    done("campaign", "delete", made, "--yes")
    done("campaign", "list")
    done("campaign", "show", made)
    monkeypatch.setenv("SFTP_GATEWAY_SECRETS__KEY", base64.b64encode(bytes(32)).decode())
    account = (
        "--account", "AC" + "0" * 32, "--key", "SK" + "0" * 32, "--secret-file", "-", "--service", "MG" + "0" * 32,
        "--sender", "CLINIC", "--no-try",
    )  # fmt: skip
    made = done(
        "campaign", "create", "--name", "S", "--notify", "a@b.example", "--template", "english=Hi", "--channel", "internal",
        *account, stdin=b"secret",
    ).out.strip()  # fmt: skip
    done("campaign", "twilio", made, *account, stdin=b"secret")
    done("secrets", "rotate")
    done("secrets", "rotate", "--old-key-file", "-", stdin=base64.b64encode(bytes(32)))
    done("user", "ops", "tan@examples.gov.sg")
    done("user", "end-sessions", "tan@examples.gov.sg")
    done("hostkey", "generate")
    done("hostkey", "show")
    done("hostkey", "rotate")
    done("hostkey", "retire")
    done("upload", "list")
    done("upload", "show", "S-1")
    done("upload", "report", upload_with_report)
    done("upload", "retry", failed)
    (job,) = database.run("update pgqueuer set status = 'failed' returning id")
    done("job", "list")
    done("job", "retry", job["id"])
    done("sending", "pause", "--campaign", campaign_id)
    database.run("update batches set lane_id = (select id from lanes where priority = 2)")
    done("sending", "resume", "--campaign", campaign_id)
    done("sending", "pause", "--all")
    done("sending", "resume", "--sender", "public")
    done("sending", "status")
    done("batch", "list")
    done("batch", "show", batch)
    done("batch", "release", batch)
    done("message", "list", campaign_id)
    done("message", "show", message)
    done("message", "retry", message)
    database.run("update attempts set status = 6, error = 'routing_error'")
    database.run("update batches set retrying = 0, failure = 2")
    done("batch", "retry", batch)
    done("batch", "stop", batch, "--yes")
    done("batch", "report", batch, "--out", tmp_path / "report.csv")
    monkeypatch.setenv("SFTP_GATEWAY_ENVIRONMENT", "production")
    done("agency", "set", "default", "--customer-id", "C1")
    done("billing", "price", "add", "--local", "0.05", "--foreign", "0.3", "--from", "2031-02-01")
    done("billing", "price", "list")
    database.run(
        "insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at)"
        " select batch_no, 2, 9, 5, '2025-11-10', '2025-11-10' from batches where id = $1", batch,
    )  # fmt: skip
    done("billing", "close", "--month", "2025-11")
    database.run("update billing_reports set dispute_by = '2999-01-01'")
    correction = ("--month", "2025-11", "--campaign", campaign_id, "--segments", "1", "--reason", "r")
    done("billing", "correct", *correction, "--yes")
    done("billing", "show", "--agency", "default", "--period", "2025")
    done("billing", "report", "--agency", "default", "--month", "2025-11", "--out", tmp_path / "month.xlsx")
    monkeypatch.setenv("SFTP_GATEWAY_ENVIRONMENT", "test")
    done("check")
