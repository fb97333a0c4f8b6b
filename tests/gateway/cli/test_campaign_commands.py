"""Campaigns at the command line."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from campaigns.people.agencies import DEFAULT_AGENCY_ID
from campaigns.people.users import SERVICE_EMAIL, SERVICE_USER_ID

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

CREATE = ("campaign", "create", "--name", "Clinic reminders", "--notify", "ops@clinic.gov.sg")
ENGLISH = ("--template", "english=Dear {{name}}, see {{place}}.")


def test_create_prints_the_campaign_id_alone(admin: "Call") -> None:
    answer = admin(*CREATE, *ENGLISH)
    assert answer.status == 0
    assert re.fullmatch(r"campaign_[0-9a-f-]{36}\n", answer.out)


def test_create_in_json_has_the_one_key(admin: "Call") -> None:
    answer = admin(*CREATE, *ENGLISH, "--id", "demo_1", "--json")
    assert answer.document == {"campaignId": "demo_1"}


def test_a_campaign_is_shown_as_it_was_created(admin: "Call", tmp_path: Path) -> None:
    (tmp_path / "zh.txt").write_bytes("\ufeff您好 {{name}}，{{place}}。\n".encode())
    admin(
        *CREATE, "--template", f"Chinese=@{tmp_path / 'zh.txt'}", *ENGLISH, "--id", "c-1", "--channel", "internal",
        "--header", "Clinic A", "--from", "192.0.2.7", "--from", "198.51.100.0/24",
    )  # fmt: skip

    document = admin("campaign", "show", "c-1", "--json").document

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document.pop("createdAt"))
    assert document == {
        "campaignId": "c-1",
        "name": "Clinic reminders",
        "channel": "internal",
        "status": "active",
        "header": "Clinic A",
        "template": {"chinese": "您好 {{name}}，{{place}}。", "english": "Dear {{name}}, see {{place}}."},
        "parameters": ["name", "place"],
        "notifyEmail": "ops@clinic.gov.sg",
        "allowedSources": ["192.0.2.7/32", "198.51.100.0/24"],
        "keys": 0,
        "otp": False,
        "twilio": None,
        "suspendedAt": None,
        "deletedAt": None,
        "apiAddresses": [],
        "apiKeys": 0,
        "apiRate": None,
        "nric": False,
        "agencyId": DEFAULT_AGENCY_ID,
        "creatorId": SERVICE_USER_ID,
        "creatorEmail": SERVICE_EMAIL,
    }
    assert "recipient,language,name,place" in admin("campaign", "show", "c-1").out


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--template", "english=Dear {{Name}}"], 1, "english: the parameter Name"),
        (["--template", "english=Dear {{recipient}}"], 1, "the parameter recipient"),
        (["--template", "english=Dear {{name}} [x]"], 1, "unsupported character [ (U+005B), use ( instead"),
        (["--template", "english=" + "x" * 1001], 1, "1001 characters"),
        (["--template", "english={{a}}", "--template", "malay={{b}}"], 1, "malay: the parameter a"),
        (["--template", "english="], 1, "the body is empty"),
        (["--template", "english=x", "--header", ""], 1, "header is empty"),
        (["--template", "english=x", "--id", "a b"], 1, "3 to 64 characters"),
        (["--template", "english=x", "--notify", "a@b.sg,c@d.sg"], 1, "exactly one"),
        (["--template", "english=x", "--from", "office"], 1, "not an address or network"),
        (["--template", "english=x", "--name", "  ", "--header", "x"], 1, "needs a name"),
        (["--template", "french=x"], 2, "'french'"),
        (["--template", "english"], 2, "LANG=TEXT"),
        (["--template", "english=x", "--channel", "email"], 2, "public or internal"),
        ([], 2, "--template"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_a_rule_forbids_is_refused_and_not_stored(
    admin: "Call", words: list[str], status: int, says: str
) -> None:
    answer = admin(*CREATE, *words)
    assert (answer.status, answer.out) == (status, "")
    assert says in answer.err
    assert all(line.startswith("error: ") for line in answer.err.splitlines())
    assert admin("campaign", "list", "--json").document == []


def test_a_long_body_is_a_warning(admin: "Call") -> None:
    answer = admin(*CREATE, "--template", "english=" + "x" * 321)
    assert answer.status == 0
    assert "warning: english: the body has 321 characters" in answer.err
    assert answer.out.startswith("campaign_")


def test_an_id_is_given_once(admin: "Call") -> None:
    admin(*CREATE, *ENGLISH, "--id", "demo")
    answer = admin(*CREATE, *ENGLISH, "--id", "demo")
    assert answer.status == 1
    assert "taken" in answer.err


def test_the_life_of_a_campaign(admin: "Call", campaign_id: str) -> None:
    def status() -> str:
        return str(admin("campaign", "show", campaign_id, "--json").document["status"])

    assert admin("campaign", "suspend", campaign_id).status == 0
    assert status() == "suspended"
    assert "already" in admin("campaign", "suspend", campaign_id).err
    assert admin("campaign", "resume", campaign_id).status == 0
    assert status() == "active"
    assert admin("campaign", "notify", campaign_id, "new@clinic.gov.sg").status == 0
    assert admin("campaign", "notify", campaign_id, "new@clinic").status == 1
    assert admin("campaign", "allow", campaign_id, "--from", "192.0.2.0/24").status == 0
    document = admin("campaign", "show", campaign_id, "--json").document
    assert (document["notifyEmail"], document["allowedSources"]) == ("new@clinic.gov.sg", ["192.0.2.0/24"])
    assert admin("campaign", "allow", campaign_id).status == 2
    assert admin("campaign", "allow", campaign_id, "--anywhere").status == 0
    refused = admin("campaign", "delete", campaign_id)
    assert refused.status == 2
    assert "--yes" in refused.err
    assert status() == "active"
    assert admin("campaign", "delete", campaign_id, "--yes").status == 0
    assert status() == "deleted"
    assert admin("campaign", "resume", campaign_id).status == 1
    assert admin("campaign", "delete", campaign_id, "--yes").status == 0
    (listed,) = admin("campaign", "list", "--json").document
    assert (listed["status"], listed["allowedSources"]) == ("deleted", [])


def test_a_deletion_takes_its_answer_from_a_script_too(admin: "Call", campaign_id: str) -> None:
    stopped = admin("campaign", "delete", campaign_id, stdin=b"n\n")
    assert (stopped.status, stopped.err) == (1, "error: stopped: nothing was done\n")
    assert admin("campaign", "show", campaign_id, "--json").document["status"] == "active"
    assert admin("campaign", "delete", campaign_id, stdin=b"y\n").status == 0
    assert admin("campaign", "show", campaign_id, "--json").document["status"] == "deleted"


def test_several_values_may_follow_one_option(admin: "Call") -> None:
    created = admin(
        *CREATE, "--template", "english=Hi {{name}}", "malay=Hai {{name}}", "--id", "c-1",
        "--from", "192.0.2.7", "::1", "198.51.100.0/24",
    )  # fmt: skip
    assert created.status == 0, created.err
    document = admin("campaign", "show", "c-1", "--json").document
    assert list(document["template"]) == ["english", "malay"]
    assert document["allowedSources"] == ["192.0.2.7/32", "::1/128", "198.51.100.0/24"]
    assert admin("campaign", "allow", "--from", "192.0.2.7", "192.0.2.8", "c-1").status == 0
    document = admin("campaign", "show", "c-1", "--json").document
    assert document["allowedSources"] == ["192.0.2.7/32", "192.0.2.8/32"]
    assert admin("campaign", "allow", "c-1", "--from", "192.0.2.7", "nonsense").status == 2
    assert admin("campaign", "allow", "c-1", "192.0.2.7").status == 2


@pytest.mark.parametrize(
    "words",
    [
        ("show",),
        ("suspend",),
        ("resume",),
        ("notify", "a@b.sg"),
        ("allow", "--anywhere"),
        ("delete", "--yes"),
    ],
    ids=lambda words: words[0],
)
def test_an_unknown_campaign_is_said_to_be_unknown(admin: "Call", words: tuple[str, ...]) -> None:
    answer = admin("campaign", words[0], "nobody", *words[1:])
    assert answer.status == 1
    assert "there is no campaign 'nobody'" in answer.err


def test_tables_show_no_control_characters(admin: "Call") -> None:
    admin(
        "campaign",
        "create",
        "--name",
        "A\x1b[31mB\rC\u061cD",
        "--header",
        "A",
        "--notify",
        "a@b.sg",
        *ENGLISH,
    )
    listed = admin("campaign", "list")
    assert "A\\x1b[31mB\\rC\\u061cD" in listed.out
    assert "\x1b" not in listed.out
    assert json.loads(admin("campaign", "list", "--json").out)[0]["name"] == "A\x1b[31mB\rC\u061cD"


def test_an_empty_list_is_said_to_be_empty(admin: "Call") -> None:
    answer = admin("campaign", "list")
    assert (answer.status, answer.out) == (0, "")
    assert "no campaigns yet" in answer.err


def test_who_did_it_is_on_record(
    admin: "Call", campaign_id: str, monkeypatch: pytest.MonkeyPatch, database: "Database"
) -> None:
    monkeypatch.setenv("LOGNAME", "kim")
    monkeypatch.setenv("SUDO_USER", "lee")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.50 50000 192.0.2.1 22")
    admin("campaign", "suspend", campaign_id)

    (row,) = database.run(
        "select actor, host(source_address) as address from audit_events where event = 'campaign_suspended'"
    )
    assert (row["actor"], row["address"]) == ("lee as kim", "192.0.2.50")
