"""Keys, addresses, rate and NRIC of the HTTP API at the command line."""

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database


def test_a_campaign_gets_an_address_a_key_and_loses_both(
    admin: "Call", campaign_id: str, database: "Database"
) -> None:
    refused = admin("apikey", "add", campaign_id)
    assert (refused.status, refused.out) == (1, "")
    assert (
        f"give it one first by `sftp-gateway campaign addresses {campaign_id} --add ADDRESS`" in refused.err
    )
    assert len(refused.err.splitlines()) == 1

    # Several values after one option.
    added = admin(
        "campaign", "addresses", campaign_id, "--add", "192.0.2.7", "2001:DB8::7", "--add", "192.0.2.8"
    )
    assert (added.status, added.out) == (0, "192.0.2.7\n2001:db8::7\n192.0.2.8\n")
    changed = admin("campaign", "addresses", campaign_id, "--remove", "192.0.2.7", "192.0.2.8", "--json")
    assert changed.document == {"campaignId": campaign_id, "apiAddresses": ["2001:db8::7"]}
    assert admin("campaign", "addresses", campaign_id).out == "2001:db8::7\n"

    made = admin("apikey", "add", campaign_id, "--name", "appointments", "--json").document
    assert set(made) == {"key", "prefix"}
    assert re.fullmatch(r"key_test_[0-9A-Za-z]{57}", made["key"])
    assert made["prefix"] == made["key"][9:17]
    second = admin("apikey", "add", campaign_id)
    assert re.fullmatch(r"key_test_[0-9A-Za-z]{57}\n", second.out)
    assert "only time that the key is shown" in second.err

    listed = admin("apikey", "list", campaign_id, "--json")
    assert [(key["prefix"], key["name"], key["deletedAt"]) for key in listed.document] == [
        (made["prefix"], "appointments", None),
        (second.out[9:17], "", None),
    ]
    assert set(listed.document[0]) == {"prefix", "name", "madeBy", "madeAt", "deletedAt"}
    table = admin("apikey", "list", campaign_id).out
    assert made["prefix"] in table
    assert made["key"][17:] not in listed.out + table

    kept = admin("campaign", "addresses", campaign_id, "--remove", "2001:db8::7")
    assert (kept.status, kept.err.count("\n")) == (1, 1)
    assert "API keys in force (2), which need an address" in kept.err
    for prefix in (made["prefix"], second.out[9:17]):
        deleted = admin("apikey", "delete", campaign_id, prefix)
        assert (deleted.status, deleted.out) == (0, "")
    again = admin("apikey", "delete", campaign_id, made["prefix"])
    assert (again.status, again.err.count("\n")) == (1, 1)
    assert admin("campaign", "addresses", campaign_id, "--remove", "2001:db8::7").status == 0
    nowhere = admin("campaign", "addresses", campaign_id)
    assert (nowhere.status, nowhere.out) == (0, "")
    assert "may call the API from nowhere" in nowhere.err

    trail = database.run("select event, details::text as details from audit_events order by id")
    assert [row["event"] for row in trail] == [
        "campaign_created", "campaign_api_addresses_changed", "campaign_api_addresses_changed", "api_key_added",
        "api_key_added", "api_key_deleted", "api_key_deleted", "campaign_api_addresses_changed",
    ]  # fmt: skip
    assert not [row for row in trail if made["key"][17:] in row["details"]]


def test_a_campaign_is_shown_with_what_it_may_do_by_the_api(admin: "Call", campaign_id: str) -> None:
    admin("campaign", "addresses", campaign_id, "--add", "192.0.2.7")
    admin("apikey", "add", campaign_id)
    assert (
        admin("campaign", "rate", campaign_id, "15").err
        == f"{campaign_id} may call the API 15 times a second from now on\n"
    )
    assert admin("campaign", "nric", campaign_id, "on").err == f"{campaign_id} may send by NRIC from now on\n"
    assert "was so already" in admin("campaign", "nric", campaign_id, "on").err
    shown = admin("campaign", "show", campaign_id, "--json").document
    assert [shown[key] for key in ("apiAddresses", "apiKeys", "apiRate", "nric")] == [
        ["192.0.2.7"],
        1,
        15,
        True,
    ]
    assert admin("campaign", "list", "--json").document == [shown]
    text = admin("campaign", "show", campaign_id).out
    for fact in ("192.0.2.7", "API keys in force", "API calls a second", "sends by NRIC"):
        assert fact in text
    reset = admin("campaign", "rate", campaign_id, "default")
    assert "as often as api.rate says, 10 times a second here" in reset.err
    assert admin("campaign", "nric", campaign_id, "off").status == 0
    shown = admin("campaign", "show", campaign_id, "--json").document
    assert (shown["apiRate"], shown["nric"]) == (None, False)


REFUSED: list[tuple[list[str], int, str]] = [
    (["campaign", "addresses", "C", "--add", "192.0.2.0/24"], 1, "is a network: the API takes single addresses only"),
    (["campaign", "addresses", "C", "--add", "office"], 1, "'office' is not the address of a caller"),
    (["campaign", "addresses", "unknown", "--add", "192.0.2.7"], 1, "there is no campaign 'unknown'"),
    (["campaign", "addresses", "unknown"], 1, "there is no campaign 'unknown'"),
    (["campaign", "addresses", "C", "--remove", "192.0.2.7"], 1, "192.0.2.7 is none of the API's addresses"),
    (["campaign", "rate", "C", "0"], 1, "from 1 to 1,000"),
    (["campaign", "rate", "C", "1001"], 1, "from 1 to 1,000"),
    (["campaign", "rate", "C", "many"], 2, "whole number"),
    (["campaign", "rate", "C", "٥"], 2, "whole number"),
    (["campaign", "nric", "C", "yes"], 2, "on or off"),
    (["apikey", "add", "unknown"], 1, "there is no campaign 'unknown'"),
    (["apikey", "add", "C", "--name", "a\nb"], 1, "printable characters"),
    (["apikey", "list", "unknown"], 1, "there is no campaign 'unknown'"),
    (["apikey", "delete", "C", "Fj4iq0Ab"], 1, "has no API key Fj4iq0Ab in force"),
    (["apikey", "delete", "C", "key_test_secret"], 2, "8 letters and digits"),
    (["nric", "add", "S0000001I", "6591234567"], 1, "a real NRIC"),
    (["nric", "add", "patient-1", "91234567"], 1, "no message can go to this number"),
]  # fmt: skip


def test_what_a_rule_forbids_is_told_in_one_line(admin: "Call", campaign_id: str) -> None:
    for words, status, says in REFUSED:
        answer = admin(*(campaign_id if word == "C" else word for word in words))
        assert (answer.status, answer.out) == (status, ""), words
        assert answer.err.count("\n") == 1, words
        assert says in answer.err
        assert "secret" not in answer.err


def test_an_identifier_stands_for_a_number_in_the_test_environment_alone(
    admin: "Call", database: "Database", monkeypatch: pytest.MonkeyPatch
) -> None:
    added = admin("nric", "add", "patient-1", "6591234567")
    assert (added.status, added.err) == (0, "patient-1 stands for that number from now on\n")
    [row] = database.run("select identifier, number from nric_test_identifiers")
    assert tuple(row) == ("patient-1", "6591234567")
    monkeypatch.setenv("SFTP_GATEWAY_ENVIRONMENT", "production")
    refused = admin("nric", "add", "patient-2", "6591234567")
    assert refused.status != 0
    assert "test environment" in refused.err


def test_a_key_says_which_environment_it_is_for(
    admin: "Call", campaign_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin("campaign", "addresses", campaign_id, "--add", "192.0.2.7")
    for environment, word in (("production", "live"), ("loadtest", "load")):
        monkeypatch.setenv("SFTP_GATEWAY_ENVIRONMENT", environment)
        made = admin("apikey", "add", campaign_id)
        assert made.out.startswith(f"key_{word}_"), made.err
