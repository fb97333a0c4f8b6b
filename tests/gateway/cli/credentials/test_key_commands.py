"""Keys at the command line: nothing refused is stored, nothing added is lost, revoking is at once."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import KeyPair
    from tests.gateway.cli.conftest import Call, Database


def fingerprint_of(answer_out: str) -> str:
    return answer_out.split()[0]


def test_a_key_is_added_listed_and_revoked(admin: "Call", campaign_id: str, ed25519_key: "KeyPair") -> None:
    file = ed25519_key.private_file.with_suffix(".pub")
    added = admin("key", "add", campaign_id, file, "--label", "batch server")
    assert added.status == 0, added.err
    fingerprint = fingerprint_of(added.out)
    assert added.out == f'{fingerprint} (ssh-ed25519, 256 bits, "agency key"): added\n'

    again = admin("key", "add", campaign_id, "-", stdin=file.read_bytes())
    assert (again.status, again.out.endswith(": was there already\n")) == (0, True)
    (listed,) = admin("key", "list", campaign_id, "--json").document
    assert (listed["fingerprint"], listed["algorithm"], listed["label"]) == (
        fingerprint,
        "ssh-ed25519",
        "batch server",
    )
    assert listed["revokedAt"] is None
    assert "in force" in admin("key", "list", campaign_id).out

    assert admin("key", "revoke", campaign_id, fingerprint).status == 0
    assert "revoked" in admin("key", "list", campaign_id).out
    assert admin("key", "revoke", campaign_id, fingerprint).status == 1
    back = admin("key", "add", campaign_id, file)
    assert "was revoked for this campaign before" in back.err


def test_adding_in_json_tells_what_was_done(
    admin: "Call", campaign_id: str, ed25519_key: "KeyPair", other_key: "KeyPair"
) -> None:
    admin("key", "add", campaign_id, "-", stdin=ed25519_key.public_line.encode())
    both = f"{ed25519_key.public_line}\r\n{other_key.public_line}\r\n".encode()
    document = admin("key", "add", campaign_id, "-", "--json", stdin=both).document
    assert [len(document[name]) for name in ("added", "alreadyThere", "sharedWith")] == [1, 1, 0]


def test_a_key_of_another_campaign_is_a_warning(
    admin: "Call", campaign_id: str, ed25519_key: "KeyPair"
) -> None:
    admin(
        "campaign", "create", "--id", "other", "--name", "B", "--notify", "b@b.sg", "--template", "english=x"
    )
    admin("key", "add", "other", "-", stdin=ed25519_key.public_line.encode())
    answer = admin("key", "add", campaign_id, "-", stdin=ed25519_key.public_line.encode())
    assert answer.status == 0
    assert "warning: SHA256:" in answer.err
    assert "is also a key of other" in answer.err


BAD = {
    "private, openssh": (("-t", "ed25519"), None, "PRIVATE"),
    "private, pem": (("-t", "rsa", "-b", "2048", "-m", "PEM"), None, "PRIVATE"),
    "private, pkcs8": (("-t", "ecdsa", "-m", "PKCS8"), None, "PRIVATE"),
    "public, pem": (("-t", "rsa", "-b", "2048"), "PEM", "ssh-keygen -i -m PEM -f "),
    "public, pkcs8": (("-t", "ecdsa"), "PKCS8", "ssh-keygen -i -m PKCS8 -f "),
    "public, rfc 4716": (("-t", "ed25519"), "RFC4716", "ssh-keygen -i -m RFC4716 -f "),
    "rsa 1024": (("-t", "rsa", "-b", "1024"), "", "1024 bits is too weak"),
}


@pytest.mark.parametrize(("options", "form", "says"), BAD.values(), ids=BAD.keys())
def test_what_is_refused_is_not_stored(
    admin: "Call",
    campaign_id: str,
    key_maker: "Callable[..., KeyPair]",
    database: "Database",
    tmp_path: Path,
    ed25519_key: "KeyPair",
    options: tuple[str, ...],
    form: str | None,
    says: str,
) -> None:
    import subprocess

    pair = key_maker(*options)
    public = pair.private_file.with_suffix(".pub")
    if form is None:
        content = pair.private_file.read_bytes()
    elif form:
        content = subprocess.run(
            ["ssh-keygen", "-e", "-m", form, "-f", public], check=True, capture_output=True, timeout=30
        ).stdout
    else:
        content = public.read_bytes()
    # A good key beside it is not stored either.
    file = tmp_path / "agency.txt"
    file.write_bytes(f"{ed25519_key.public_line}\n".encode() + content)

    answer = admin("key", "add", campaign_id, file)

    assert (answer.status, answer.out) == (1, "")
    assert says in answer.err
    assert admin("key", "check", file).status == 1
    assert database.run("select * from ssh_keys") == []
    # No part of what was given comes back, and the trail is silent.
    secret = content.decode().splitlines()[1 if form is not None and form else 0][:40]
    assert form == "" or "AAAA" not in answer.err
    assert secret not in answer.err
    assert database.run("select * from audit_events where event = 'key_added'") == []


def test_checking_needs_no_settings(call: "Call", ed25519_key: "KeyPair") -> None:
    answer = call("key", "check", "-", stdin=ed25519_key.public_line.encode())
    assert answer.status == 0
    assert answer.out.endswith(": would be accepted\n")
    bad = call("key", "check", "-", "--json", stdin=b"ssh-dss AAAA x\n")
    assert bad.status == 1
    assert [refusal["code"] for refusal in bad.document["refusals"]] == ["dsa"]


@pytest.mark.parametrize("verb", ["add", "list", "revoke"])
def test_an_unknown_campaign_is_said_to_be_unknown(admin: "Call", ed25519_key: "KeyPair", verb: str) -> None:
    words = {"add": ["-"], "list": [], "revoke": ["SHA256:" + "a" * 43]}[verb]
    answer = admin("key", verb, "nobody", *words, stdin=ed25519_key.public_line.encode())
    assert answer.status == 1
    assert "there is no campaign 'nobody'" in answer.err


def test_a_fingerprint_of_another_form_is_refused(admin: "Call", campaign_id: str) -> None:
    answer = admin("key", "revoke", campaign_id, "MD5:00:11")
    assert answer.status == 1
    assert "SHA256:" in answer.err
