"""Accounts at Twilio and the keys of their secrets, at the command line."""

import base64
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.settings import PREFIX
from tests.sending.twilio_control import TwilioServer, twilio_server

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Answer, Call, Database

SECRET = "hushhushhushhushhushhushhushhush"
ACCOUNT, KEY, SERVICE = "AC" + "1" * 32, "SK" + "2" * 32, "MG" + "3" * 32
SIDS = ("--account", ACCOUNT, "--key", KEY, "--service", SERVICE)
FIVE = (*SIDS, "--sender", "CLINIC", "--secret-file", "-")
CREATE = (
    "campaign", "create", "--id", "staff-1", "--name", "Clinic staff", "--notify", "ops@clinic.gov.sg",
    "--template", "english=Dear {{name}}",
)  # fmt: skip
KEY_VARIABLE = f"{PREFIX}SECRETS__KEY"


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


@pytest.fixture
def secrets_key(admin: "Call", monkeypatch: pytest.MonkeyPatch) -> str:
    """The SECRETS__KEY of this gateway."""
    key = new_key()
    monkeypatch.setenv(KEY_VARIABLE, key)
    return key


@pytest.fixture
def internal(admin: "Call", secrets_key: str) -> str:
    """An internal campaign with an account."""
    answer = create(admin)
    assert answer.status == 0, answer.err
    return "staff-1"


def create(admin: "Call", *more: str, secret: str = SECRET) -> "Answer":
    return admin(*CREATE, "--channel", "internal", *FIVE, "--no-try", *more, stdin=secret.encode())


def test_an_internal_campaign_is_created_with_its_account_and_shown_without_the_secret(
    admin: "Call", secrets_key: str
) -> None:
    answer = create(admin, "--otp")

    assert (answer.status, answer.out) == (0, "staff-1\n")
    assert (
        "warning: numbers abroad get messages of this campaign only if its messaging service has a bought number"
        in answer.err
    )
    assert "no account at Twilio yet" not in answer.err
    shown = admin("campaign", "show", "staff-1", "--json")
    account = shown.document["twilio"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", account.pop("setAt"))
    assert account == {"accountSid": ACCOUNT, "keySid": KEY, "serviceSid": SERVICE, "senderName": "CLINIC"}
    assert shown.document["otp"] is True
    assert admin("campaign", "list", "--json").document == [
        admin("campaign", "show", "staff-1", "--json").document
    ]
    people = admin("campaign", "show", "staff-1")
    for words in (ACCOUNT, SERVICE, "CLINIC", "single sends go first"):
        assert words in people.out
    assert SECRET not in answer.err + answer.out + shown.out + people.out


def test_an_internal_campaign_without_its_account_waits_for_it(
    admin: "Call", secrets_key: str, tmp_path: Path
) -> None:
    answer = admin(*CREATE, "--channel", "internal")
    assert answer.status == 0
    assert "its messages wait for `sftp-gateway campaign twilio staff-1 …`" in answer.err
    assert "messages wait for `campaign twilio`" in admin("campaign", "show", "staff-1").out
    assert admin("campaign", "show", "staff-1", "--json").document["twilio"] is None

    (tmp_path / "secret").write_text(f"{SECRET}\n")
    words = (*SIDS, "--sender", "+6591234567", "--secret-file", tmp_path / "secret", "--no-try")
    answer = admin("campaign", "twilio", "staff-1", *words)

    assert (answer.status, answer.out) == (0, "")
    assert f"messages leave by the messaging service {SERVICE} from now on" in answer.err
    assert admin("campaign", "show", "staff-1", "--json").document["twilio"]["senderName"] == "+6591234567"


def test_a_public_campaign_tells_nothing_of_accounts(admin: "Call", campaign_id: str) -> None:
    shown = admin("campaign", "show", campaign_id)
    assert "Twilio" not in shown.out
    document = admin("campaign", "show", campaign_id, "--json").document
    assert (document["twilio"], document["otp"]) == (None, False)


@pytest.mark.parametrize(
    ("words", "secret", "says"),
    [
        pytest.param(("--account", "AC1"), SECRET, "the account SID is AC and 32 hexadecimal digits", id="account"),
        pytest.param(("--account", KEY), SECRET, "the account SID is AC", id="a key for an account"),
        pytest.param(("--key", "SK" + "g" * 32), SECRET, "the API key's SID is SK", id="key"),
        pytest.param(("--service", SERVICE + "0"), SECRET, "the messaging service's SID is MG", id="service"),
        pytest.param(("--sender", "CLINIC STAFF"), SECRET, "up to 11", id="sender of 12"),
        pytest.param(("--sender", "CLÍNIC"), SECRET, "up to 11", id="sender with a mark"),
        pytest.param(("--sender", "6591234567"), SECRET, "+6591234567", id="number without its +"),
        pytest.param(("--sender", "+0591234567"), SECRET, "+6591234567", id="no such number"),
        pytest.param(("--sender", ""), SECRET, "up to 11", id="no sender"),
        pytest.param((), "", "see --secret-file", id="no secret"),
        pytest.param((), "hush hush", "see --secret-file", id="two words"),
        pytest.param((), f"{SECRET}\n{SECRET}", "see --secret-file", id="two lines"),
        pytest.param((), KEY, "is a SID", id="a SID for the secret"),
    ],
)  # fmt: skip
def test_a_value_of_a_wrong_form_is_refused_and_nothing_stored(
    admin: "Call", secrets_key: str, words: tuple[str, ...], secret: str, says: str
) -> None:
    answer = create(admin, *words, secret=secret)
    assert (answer.status, answer.out) == (1, "")
    assert says in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not secret or secret not in answer.err
    assert admin("campaign", "list", "--json").document == []


def test_each_wrong_value_has_a_line(admin: "Call", secrets_key: str) -> None:
    answer = create(admin, "--account", "x", "--service", "y", secret="")
    assert [line.partition(" is ")[0] for line in answer.err.splitlines()] == [
        "error: the account SID", "error: the messaging service's SID", "error: the API key's secret",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        pytest.param((*CREATE, "--channel", "internal", "--account", ACCOUNT), 2,
            "five values: give --key, --secret-file, --service, --sender too", id="one of five"),
        pytest.param(("campaign", "twilio", "staff-1", *SIDS), 2, "give --secret-file, --sender too", id="three of five"),
        pytest.param(("campaign", "twilio", "staff-1"), 2, "give the five values", id="none of five"),
        pytest.param((*CREATE, *FIVE, "--no-try"), 1, "add --channel internal", id="public"),
        pytest.param(("campaign", "twilio", "staff-1", *FIVE, "--no-try"), 1, "there is no campaign", id="unknown"),
        pytest.param(("campaign", "twilio", "staff-1", *SIDS, "--sender", "C1", "--secret-file", "/nowhere"), 2,
            "'/nowhere' can't be read", id="no file"),
        pytest.param(("secrets", "rotate", "--old-key-file", "/nowhere"), 2, "'/nowhere' can't be read", id="no key file"),
        pytest.param(("secrets", "rotate", "--old-key-file", "-"), 2, "not 32 bytes in base64", id="no key"),
        pytest.param(("secrets", "rotate", "--old-key-file", "-", "--old-key-lost"), 2, "contradict", id="both"),
    ],
)  # fmt: skip
def test_a_call_that_makes_no_sense_is_refused_in_one_line(
    admin: "Call", secrets_key: str, words: tuple[str, ...], status: int, says: str
) -> None:
    answer = admin(*words, stdin=SECRET.encode())
    assert (answer.status, answer.out) == (status, "")
    assert says in answer.err
    assert len(answer.err.splitlines()) == 1
    assert SECRET not in answer.err


def test_without_a_key_secrets_are_neither_stored_nor_asked_for(admin: "Call") -> None:
    answer = create(admin)
    assert (answer.status, answer.out) == (2, "")
    assert "SFTP_GATEWAY_SECRETS__KEY is not set" in answer.err
    assert "openssl rand -base64 32" in answer.err
    assert admin(*CREATE, "--channel", "internal").status == 0
    assert admin("campaign", "show", "staff-1").status == 0
    assert admin("secrets", "rotate").status == 2


def test_a_wrong_key_is_told_in_one_line_that_says_what_to_do(
    admin: "Call", internal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, new_key())
    for call in (("secrets", "rotate"), ("campaign", "twilio", internal, *FIVE, "--no-try")):
        answer = admin(*call, stdin=SECRET.encode())
        assert answer.status == 2
        (line,) = answer.err.splitlines()
        assert "SFTP_GATEWAY_SECRETS__KEY is not the key" in line
        assert "--old-key-file" in line
        assert "--old-key-lost" in line
    assert admin("campaign", "show", internal).status == 0


def test_secrets_are_encrypted_anew(admin: "Call", internal: str, database: "Database") -> None:
    before = database.run("select secret from twilio_accounts")
    answer = admin("secrets", "rotate")
    assert (answer.status, answer.out) == (0, "")
    assert "1 API secret encrypted with a new key" in answer.err
    assert database.run("select secret from twilio_accounts") != before
    assert admin("secrets", "rotate", "--json").document == {"encrypted": 1, "unreadable": []}


def test_the_key_is_changed_by_wrapping_and_then_rotating(
    admin: "Call", internal: str, secrets_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, new_key())

    answer = admin("secrets", "rotate", "--old-key-file", "-", stdin=f"{secrets_key}\n".encode())

    assert (answer.status, answer.out) == (0, "")
    assert "1 key wrapped with the new SFTP_GATEWAY_SECRETS__KEY" in answer.err
    again = admin("secrets", "rotate", "--old-key-file", "-", "--json", stdin=secrets_key.encode())
    assert again.document == {"rewrapped": 0}
    assert admin("secrets", "rotate", "--json").document == {"encrypted": 1, "unreadable": []}
    monkeypatch.setenv(KEY_VARIABLE, secrets_key)
    assert admin("secrets", "rotate").status == 2


def test_a_lost_key_is_given_up_when_a_person_says_so(
    admin: "Call", internal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, new_key())
    refused = admin("secrets", "rotate", "--old-key-lost")
    assert refused.status == 2
    assert "add --yes" in refused.err
    assert admin("secrets", "rotate", "--old-key-lost", stdin=b"n\n").status == 1
    assert admin("secrets", "rotate").status == 2

    answer = admin("secrets", "rotate", "--old-key-lost", "--yes")

    assert answer.status == 0
    assert f"`sftp-gateway campaign twilio {internal} …`" in answer.err
    assert ACCOUNT in answer.err
    assert admin("secrets", "rotate", "--json").document == {"encrypted": 0, "unreadable": [internal]}
    assert admin("campaign", "twilio", internal, *FIVE, "--no-try", stdin=SECRET.encode()).status == 0
    assert admin("secrets", "rotate", "--json").document == {"encrypted": 1, "unreadable": []}


def test_a_person_is_asked_for_the_secret_which_is_not_shown(
    admin: "Call", secrets_key: str, gateway_variables: dict[str, str]
) -> None:
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *CREATE, "--channel", "internal", *FIVE, "--no-try"],
        env={**os.environ, **gateway_variables}, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        with os.fdopen(ours, "r+b", buffering=0) as terminal:
            while b"secret: " not in shown:
                shown += terminal.read(1000)
            terminal.write(f"{SECRET}\n".encode())
            # A terminal that its last process has left can't be read any more.
            with contextlib.suppress(OSError):
                while more := terminal.read(1000):
                    shown += more
        assert process.wait(timeout=60) == 0
    assert b"staff-1" in shown
    assert SECRET.encode() not in shown


@pytest.fixture
def twilio(monkeypatch: pytest.MonkeyPatch) -> Iterator[TwilioServer]:
    """A Twilio that knows the account of these tests."""
    with twilio_server() as server:
        server.behave(account=ACCOUNT, key=KEY, secret=SECRET, services=[SERVICE])
        monkeypatch.setenv(f"{PREFIX}SENDING__TWILIO__BASE_URL", server.base_url)
        yield server


def test_an_account_is_tried_before_it_is_stored(
    admin: "Call", secrets_key: str, twilio: TwilioServer
) -> None:
    create_words = (*CREATE, "--channel", "internal", *FIVE)
    wrong = admin(*create_words, stdin=b"wrong")
    assert (wrong.status, wrong.out) == (1, "")
    assert "Twilio refuses the API key or its secret (HTTP 401, code 20003). Nothing was stored" in wrong.err
    other = admin(*create_words, "--account", "AC" + "9" * 32, stdin=SECRET.encode())
    assert other.status == 1
    assert "belong to another account" in other.err
    assert admin("campaign", "list", "--json").document == []

    assert admin(*create_words, stdin=SECRET.encode()).status == 0
    assert twilio.record()["created"] == 0

    before = admin("campaign", "show", "staff-1", "--json").document
    none = admin("campaign", "twilio", "staff-1", *FIVE, "--service", "MG" + "9" * 32, stdin=SECRET.encode())
    assert none.status == 1
    assert "no such messaging service" in none.err
    assert admin("campaign", "show", "staff-1", "--json").document == before
    again = admin("campaign", "twilio", "staff-1", *FIVE, stdin=SECRET.encode())
    assert (again.status, "which Twilio knows" in again.err) == (0, True)


def test_without_twilio_an_account_is_stored_untried_or_not_at_all(
    admin: "Call", secrets_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}SENDING__TWILIO__BASE_URL", "http://127.0.0.1:9")
    answer = admin(*CREATE, "--channel", "internal", *FIVE, stdin=SECRET.encode())
    assert (answer.status, answer.out) == (3, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("error: Twilio can't be reached")
    assert "--no-try" in line
    assert admin("campaign", "list", "--json").document == []
    assert create(admin).status == 0
