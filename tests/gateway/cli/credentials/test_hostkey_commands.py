"""Host keys at the command line."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call


def test_host_keys_are_made_shown_rotated_and_retired(admin: "Call") -> None:
    missing = admin("hostkey", "show")
    assert missing.status == 2
    assert "hostkey generate" in missing.err

    made = admin("hostkey", "generate", "--json").document
    assert [(key["type"], key["state"]) for key in made] == [
        ("ed25519", "current"),
        ("ecdsa", "current"),
        ("rsa", "current"),
    ]
    shown = admin("hostkey", "show", "--host", "sftp.example.org", "--port", "2222")
    assert shown.status == 0
    for key in made:
        assert key["fingerprint"] in shown.out
        assert f"[sftp.example.org]:2222 {key['publicKey']}" in shown.out.splitlines()
    assert sum(line.startswith("sftp.example.org IN SSHFP ") for line in shown.out.splitlines()) == 3

    assert admin("hostkey", "retire").status == 1
    assert admin("hostkey", "rotate").status == 0
    assert admin("hostkey", "rotate").status == 1
    both = admin("hostkey", "show", "--json").document
    assert [key["state"] for key in both] == ["current", "new"] * 3
    assert admin("hostkey", "retire").status == 0
    kept = admin("hostkey", "show", "--json").document
    assert [key["fingerprint"] for key in kept] == [
        key["fingerprint"] for key in both if key["state"] == "new"
    ]
    assert admin("hostkey", "retire").status == 1


def test_a_second_node_is_told_to_copy_the_keys(
    admin: "Call", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    admin("hostkey", "generate")
    monkeypatch.setenv("SFTP_GATEWAY_SFTP__HOST_KEY_DIR", str(tmp_path))
    answer = admin("hostkey", "generate")
    assert answer.status == 1
    assert "copy its folder" in answer.err
