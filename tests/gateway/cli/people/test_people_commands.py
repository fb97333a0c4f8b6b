"""Agencies, users and members at the command line, and whose a new campaign is."""

import json
from typing import TYPE_CHECKING

import pytest

from campaigns.people.users import SERVICE_EMAIL, SERVICE_USER_ID
from tests.gateway.cli.test_campaign_commands import CREATE, ENGLISH

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Answer, Call, Database

AGENCY = "Ministry of Examples"
TAN, LIM, VENDOR = "tan@examples.gov.sg", "lim@examples.gov.sg", "dev@vendor.example"


@pytest.fixture
def agency(admin: "Call") -> str:
    assert admin("agency", "add", AGENCY, "--domain", "examples.gov.sg").status == 0
    assert admin("agency", "add", AGENCY, "--domain", "vendor.example", "--member-only").status == 0
    return AGENCY


def refused(answer: "Answer") -> str:
    """The one line of a refusal."""
    assert answer.status == 1, answer.err
    assert answer.out == ""
    (line,) = answer.err.splitlines()
    return line


def members(admin: "Call", campaign: str) -> dict[str, str]:
    return {one["email"]: one["role"] for one in admin("member", "list", campaign, "--json").document}


def test_an_agency_has_its_domains_and_people(admin: "Call", agency: str) -> None:
    assert admin("agency", "pic", agency, "Tan@Examples.gov.sg").status == 0
    assert admin("agency", "creator", agency, LIM).status == 0
    shown = admin("agency", "show", agency, "--json").document
    assert shown["domains"] == ["examples.gov.sg"]
    assert shown["memberDomains"] == ["vendor.example"]
    assert (shown["pics"], shown["creators"], shown["campaigns"]) == ([TAN], [LIM], 0)
    assert [one["name"] for one in admin("agency", "list", "--json").document] == [AGENCY, "default"]
    assert TAN in admin("agency", "show", agency).out
    assert admin("agency", "creator", agency, LIM, "--remove").status == 0
    assert admin("agency", "show", agency, "--json").document["creators"] == []


def test_who_is_no_longer_in_charge_is_an_officer_without_the_right_to_create(
    admin: "Call", agency: str
) -> None:
    admin("agency", "pic", agency, TAN)
    admin("agency", "creator", agency, TAN)
    admin(*CREATE, *ENGLISH, "--id", "c-1", "--creator", TAN)
    assert admin("agency", "pic", agency, TAN, "--remove").status == 0
    shown = admin("user", "show", TAN, "--json").document
    assert (shown["isPic"], shown["mayCreate"]) == (False, False)
    assert shown["memberships"] == [{"campaignId": "c-1", "role": "owner"}]


def test_of_thousands_of_memberships_the_newest_are_shown_as_text(
    admin: "Call", agency: str, database: "Database"
) -> None:
    admin("agency", "pic", agency, TAN)
    database.run(
        "with made as (insert into campaigns (id, name, header, notify_email) select 'c-' || n, 'c', 'c', 'a@b.c' "
        "from generate_series(1, 52) n returning id) insert into members (campaign_id, user_id, role, added_at) "
        "select made.id, u.id, 'member', now() + substr(made.id, 3)::integer * interval '1 minute' "
        "from made, users u where u.email = $1",
        TAN,
    )
    shown = admin("user", "show", TAN)
    assert [line.split()[-1] for line in shown.out.splitlines() if "member of" in line] == [
        f"c-{number}" for number in range(52, 2, -1)
    ]
    assert shown.err == "Not shown: 2 memberships; --json tells all of them\n"
    assert len(admin("user", "show", TAN, "--json").document["memberships"]) == 52


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("agency", "add", "Vendor", "--domain", "vendor.example"), "--member-only"),
        (("agency", "add", "Other", "--domain", "examples.gov.sg"), "is listed already"),
        (("agency", "add", "Other", "--domain", "xn--gv-lka.sg", "--member-only"), "internationalised"),
        (("agency", "add", " "), "printable characters"),
        (("agency", "show", "Ministry of Silly Walks"), "no agency"),
        (("agency", "pic", AGENCY, "someone@gmail.com"), "nor of an agency's domain"),
        (("agency", "pic", AGENCY, "someone@evilexamples.gov.sg.example"), "nor of an agency's domain"),
        (("agency", "pic", AGENCY, "tan"), "not an e-mail address"),
        (("user", "show", TAN), "nobody here"),
        (("user", "ops", "service@localhost"), "is not a domain"),
        (("member", "add", "no-such", TAN, "--role", "owner"), "there is no campaign"),
    ],
)
def test_what_breaks_a_rule_is_refused_in_one_line(
    admin: "Call", agency: str, words: tuple[str, ...], told: str
) -> None:
    assert told in refused(admin(*words))


def test_another_agencys_person_is_not_put_in_charge(admin: "Call", agency: str) -> None:
    admin("agency", "add", "Other", "--domain", "other.gov.sg")
    assert "another agency's" in refused(admin("agency", "pic", agency, "goh@other.gov.sg"))


def test_ops_are_made_and_unmade(admin: "Call") -> None:
    assert admin("user", "ops", "ops@tech.gov.sg").status == 0
    assert admin("user", "show", "ops@tech.gov.sg", "--json").document["isOps"] is True
    assert admin("user", "ops", "ops@tech.gov.sg", "--remove").status == 0
    assert admin("user", "show", "ops@tech.gov.sg", "--json").document["isOps"] is False


def test_members_are_added_changed_and_removed(admin: "Call", agency: str) -> None:
    admin(*CREATE, *ENGLISH, "--id", "c-1", "--creator", TAN)
    assert admin("member", "add", "c-1", VENDOR, "--role", "restricted").status == 0
    assert admin("member", "add", "c-1", VENDOR, "--role", "member").status == 0
    assert members(admin, "c-1") == {TAN: "owner", VENDOR: "member"}
    assert TAN in admin("member", "list", "c-1").out
    assert admin("member", "remove", "c-1", VENDOR).status == 0
    assert members(admin, "c-1") == {TAN: "owner"}
    assert "no member" in refused(admin("member", "remove", "c-1", VENDOR))


def test_vendors_own_nothing_unless_raised_and_the_last_owner_stays(admin: "Call", agency: str) -> None:
    admin(*CREATE, *ENGLISH, "--id", "c-1", "--creator", TAN)
    assert "only addresses below gov.sg" in refused(admin("member", "add", "c-1", VENDOR, "--role", "owner"))
    assert "last owner" in refused(admin("member", "add", "c-1", TAN, "--role", "member"))
    assert "last owner" in refused(admin("member", "remove", "c-1", TAN))
    admin("agency", "creator", agency, VENDOR)
    assert admin("member", "add", "c-1", VENDOR, "--role", "owner").status == 0
    assert admin("member", "remove", "c-1", TAN).status == 0
    assert members(admin, "c-1") == {VENDOR: "owner"}


def test_each_change_can_be_told_as_json(admin: "Call", agency: str) -> None:
    for words, key in (
        (("agency", "pic", agency, TAN), "isPic"),
        (("agency", "creator", agency, TAN), "mayCreate"),
        (("user", "ops", TAN), "isOps"),
    ):
        told = admin(*words, "--json").document
        assert (told["email"], told[key]) == (TAN, True)
        assert admin(*words, "--remove", "--json").document[key] is False
    admin(*CREATE, *ENGLISH, "--id", "c-1", "--creator", LIM)
    member = admin("member", "add", "c-1", TAN, "--role", "restricted", "--json").document
    assert member == {
        "campaignId": "c-1",
        "userId": admin("user", "show", TAN, "--json").document["userId"],
        "email": TAN,
        "role": "restricted",
    }
    assert admin("member", "remove", "c-1", TAN, "--json").document == {**member, "role": None}


def test_a_role_that_is_none_is_a_misused_call(admin: "Call", agency: str) -> None:
    assert admin("member", "add", "c-1", TAN, "--role", "admin").status == 2


@pytest.mark.parametrize(
    ("options", "header", "creator"),
    [
        pytest.param((), "Clinic reminders", SERVICE_EMAIL, id="nobody's"),
        pytest.param(("--creator", TAN), AGENCY, TAN, id="a person's"),
        pytest.param(
            ("--creator", "goh@unlisted.gov.sg"), "Clinic reminders", "goh@unlisted.gov.sg", id="of no agency"
        ),
        pytest.param(("--creator", TAN, "--agency", AGENCY), AGENCY, TAN, id="a person's and an agency's"),
        pytest.param(("--creator", TAN, "--header", "Clinic A"), "Clinic A", TAN, id="with a header"),
    ],
)
def test_whose_a_campaign_is(
    admin: "Call", agency: str, options: tuple[str, ...], header: str, creator: str
) -> None:
    assert admin(*CREATE, *ENGLISH, "--id", "c-1", *options).status == 0
    shown = admin("campaign", "show", "c-1", "--json").document
    assert (shown["header"], shown["creatorEmail"]) == (header, creator)
    assert list(members(admin, "c-1")) == [creator] * (creator != SERVICE_EMAIL)


def test_an_agencys_campaign_without_a_creator_is_its_service_users(admin: "Call", agency: str) -> None:
    admin(*CREATE, *ENGLISH, "--id", "c-1", "--agency", agency)
    shown = admin("campaign", "show", "c-1", "--json").document
    assert shown["header"] == AGENCY
    assert shown["creatorEmail"].startswith("service@ministry-of-examples-")
    assert shown["creatorId"] != SERVICE_USER_ID
    assert admin("agency", "show", agency, "--json").document["campaigns"] == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--creator", VENDOR), "only addresses below gov.sg create campaigns"),
        (("--creator", "goh@other.gov.sg", "--agency", AGENCY), "another agency's"),
        (("--agency", "Nobody"), "no agency"),
        (("--creator", "x"), "not an e-mail address"),
    ],
)
def test_a_campaign_that_can_be_nobodys_is_not_created(
    admin: "Call", agency: str, options: tuple[str, ...], told: str
) -> None:
    admin("agency", "add", "Other", "--domain", "other.gov.sg")
    assert told in refused(admin(*CREATE, *ENGLISH, "--id", "c-1", *options))
    assert admin("campaign", "show", "c-1").status == 1


def test_the_audit_trail_tells_people_by_id_alone(admin: "Call", agency: str, database: "Database") -> None:
    admin("agency", "pic", agency, TAN)
    admin("user", "ops", LIM)
    admin(*CREATE, *ENGLISH, "--id", "c-1", "--creator", TAN)
    admin("member", "add", "c-1", LIM, "--role", "member")
    admin("member", "remove", "c-1", LIM)
    events = database.run("select event, details::text as details from audit_events order by id")
    names = {event["event"] for event in events}
    assert names >= {"agency_added", "user_pic_changed", "user_ops_changed", "member_set", "member_removed"}
    told = json.dumps([event["details"] for event in events])
    assert TAN not in told
    assert LIM not in told


def test_all_sessions_of_a_person_are_ended(admin: "Call", database: "Database") -> None:
    admin("user", "ops", TAN)
    admin("user", "ops", LIM)
    database.run(
        "insert into console_sessions (id, digest, user_id, ends_at) select 'session_' || n || u.id,"
        " sha256((n || u.id)::bytea), u.id, now() + interval '1 hour' from users u, generate_series(1, 2) n where not is_service"
    )
    answer = admin("user", "end-sessions", TAN, "--json")
    assert (answer.document["email"], answer.document["sessionsEnded"]) == (TAN, 2)
    rows = database.run(
        "select u.email from console_sessions s join users u on u.id = s.user_id where s.ended_at is null"
    )
    assert [row["email"] for row in rows] == [LIM, LIM]
    assert f"0 sessions of {TAN} ended" in admin("user", "end-sessions", TAN).err
    assert "nobody here" in refused(admin("user", "end-sessions", "no@examples.gov.sg"))
    (event,) = database.run("select actor, details from audit_events where event = 'console_session_ended'")
    assert event["actor"]
    assert '"reason": "ops"' in event["details"]
