"""Lists in pages: the pages of one and two rows together are the whole list, and what goes on is said on standard error."""

import re
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.gateway.cli.conftest import Call, Database

# Of each list: its command, what each row is asked on by, a search, and the ids that it finds.
LISTS: Final[list[tuple[str, str, str, "Callable[[dict[str, Any]], bool]"]]] = [
    ("agency list", "name", "SECOND.gov", lambda row: row["name"] == "Two"),
    ("member list CAMPAIGN", "email", "B@", lambda row: row["email"] == "b@a.gov.sg"),
    ("key list CAMPAIGN", "id", "two", lambda row: row["label"] == "Two"),
    ("apikey list CAMPAIGN", "prefix", "two", lambda row: row["name"] == "Two"),
    ("job list", "id", "", lambda _row: True),
]


@pytest.fixture
def full(admin: "Call", campaign_id: str, database: "Database") -> "Call":
    """Each list has three rows at least, some of which came at the same moment."""
    three = "unnest('{One,Two,Three}'::text[], '{c,a,b}'::text[]) with ordinality t (word, letter, n)"
    for statement in (
        f"insert into agencies (id, name) select 'agency_' || n, word from {three}",
        "insert into agency_domains (domain, agency_id) values ('second.gov.sg', 'agency_2')",
        f"insert into users (id, email) select 'user_' || n, letter || '@a.gov.sg' from {three}",
        f"insert into members (campaign_id, user_id, role) select c.id, 'user_' || n, 'member' from campaigns c, {three}",
        (
            "insert into ssh_keys (campaign_id, fingerprint, algorithm, public_key, label, revoked_at)"
            f" select c.id, 'SHA256:same', 'ssh-ed25519', 'x', word, now() from campaigns c, {three}"
        ),
        (
            "insert into api_keys (prefix, campaign_id, digest, name)"
            f" select 'prefix0' || n, c.id, sha256('x'), word from campaigns c, {three}"
        ),
        (
            "insert into pgqueuer (priority, entrypoint, status, payload, updated)"
            f" select 0, 'verdict', 'failed', '', '2026-11-28' from {three}"
        ),
    ):
        database.run(statement)
    return admin


def test_each_list_comes_in_pages_and_is_searched(full: "Call", campaign_id: str) -> None:
    for command, key, search, fits in LISTS:
        words = [*command.replace("CAMPAIGN", campaign_id).split(), "--json"]
        whole = full(*words)
        assert len(whole.document) >= 3, command
        assert whole.err == ""

        rows: list[dict[str, Any]] = []
        last: list[str] = []
        while True:
            page = full(*words, *last, "--limit", str(1 + len(rows)))
            rows += page.document
            match = re.search(r"There are more: add --after (.+), or raise --limit", page.err)
            if match is None:
                break
            last = ["--after", match[1]]
            assert match[1] == str(page.document[-1][key])
        assert rows == whole.document, command
        assert last

        beyond = full(*words, "--after", "4711")
        assert (beyond.status, "there is no" in beyond.err) == (1, True), command
        if search:
            found = full(*words, "--search", search).document
            assert found == [row for row in whole.document if fits(row)], command
            assert len(found) == 1
            assert "no such" in full(*words[:-1], "--search", "nothing like it").err


def test_a_name_of_several_words_is_told_as_a_shell_takes_it(full: "Call", database: "Database") -> None:
    database.run("update agencies set name = 'A place' where name = 'One'")
    assert "add --after 'A place', or" in full("agency", "list", "--limit", "1").err
