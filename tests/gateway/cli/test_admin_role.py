"""Every command that needs the database, by a login that has the rights of the admin's role and no others."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
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
    assert "grant insert on messages to sftp_gateway_worker;" in lines
    assert call("migrate", "--grants", "--json").document == {"grants": lines}


def test_the_admin_can_work(
    url_of: Callable[[DatabaseRole], str], admin: "Call", upload_with_report: str, campaign_id: str,
    database: "Database", ed25519_key: KeyPair, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", url_of(DatabaseRole.ADMIN))
    failed = database.insert_upload(
        campaign_id, "upload_failed", status="failed", object_key="originals/x", support_id="S-1", outcome=1,
        finished_at=datetime.now(UTC),
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
    done("hostkey", "generate")
    done("hostkey", "show")
    done("hostkey", "rotate")
    done("hostkey", "retire")
    done("upload", "list")
    done("upload", "show", "S-1")
    done("upload", "report", upload_with_report)
    done("upload", "retry", failed)
    done("check")
