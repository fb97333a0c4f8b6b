"""Queries and cursors of lists, case by case (8-api.md §2.7): pure."""

import base64
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest

from api.errors import RequestRefused
from api.lists.cursors import Cursor, parse_cursor
from api.lists.queries import ListQuery, parse_query
from messages.pages import Towards

AT = datetime(2026, 11, 25, 1, 30, 12, 417_000, tzinfo=UTC)
THIRD = Cursor(AT, "message_0d9c31e2-4b7f-8c58-9a61-7e2000000003")
# The contract's own example.
TEXT = "WyIyMDI2LTExLTI1VDA5OjMwOjEyLjQxNyswODowMCIsIm1lc3NhZ2VfMGQ5YzMxZTItNGI3Zi04YzU4LTlhNjEtN2UyMDAwMDAwMDAzIl0="
# One whose base64 has both characters that another alphabet writes otherwise.
AWKWARD = Cursor(AT, "aaaa?aa>")


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_cursor_is_the_contract_s_to_the_letter() -> None:
    assert THIRD.text() == TEXT
    assert base64.b64decode(Cursor(AT, "30219").text()) == b'["2026-11-25T09:30:12.417+08:00","30219"]'


@pytest.mark.parametrize("cursor", [THIRD, Cursor(AT, "30219"), AWKWARD])
def test_a_cursor_is_read_in_each_form_in_which_it_may_come_back(cursor: Cursor) -> None:
    text = cursor.text()
    safe = base64.urlsafe_b64encode(base64.b64decode(text)).decode()
    for form in (text, text.rstrip("="), safe, safe.rstrip("="), text.replace("+", " ")):
        assert parse_cursor(form) == cursor
    # As a client escapes it, or forgets to.
    for form in (quote(text, safe=""), quote_plus(text), text, safe):
        assert parse_query(f"limit=1&before={form}".encode()).cursor == cursor


def test_the_awkward_cursor_has_what_it_is_there_for() -> None:
    assert {"+", "/"} <= set(AWKWARD.text())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("null", id="not base64 of JSON"),
        pytest.param(TEXT + "!", id="a character of no alphabet"),
        pytest.param(TEXT[:-4] + "\n", id="a line break"),
        pytest.param("٥" * 8, id="digits of another script"),
        pytest.param(TEXT[1:], id="its first character is missing"),
        pytest.param("A", id="a length that base64 can't have"),
        pytest.param(encoded("["), id="half of an array"),
        pytest.param(encoded("[" * 1000), id="nested deeply"),
        pytest.param(encoded("{}"), id="an object"),
        pytest.param(encoded('["2026-11-25T09:30:12.417+08:00"]'), id="one member"),
        pytest.param(encoded('["2026-11-25T09:30:12.417+08:00","a","b"]'), id="three members"),
        pytest.param(encoded('["2026-11-25T09:30:12.417+08:00",3]'), id="a number as id"),
        pytest.param(encoded('[1764034212417,"3"]'), id="a number as time"),
        pytest.param(encoded('["2026-11-25T01:30:12.417Z","3"]'), id="a time as others write it"),
        pytest.param(encoded('["2026-11-25T09:30:12+08:00","3"]'), id="no milliseconds"),
        pytest.param(encoded('["2026-02-30T09:30:12.417+08:00","3"]'), id="no such day"),
        pytest.param(encoded('["0001-01-01T00:00:00.000+08:00","3"]'), id="before all times"),
        pytest.param(encoded('["2026-11-25T09:30:12.417+08:00","\\ud800"]'), id="half of a surrogate pair"),
        pytest.param("/////w==", id="no UTF-8"),
    ],
)
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert parse_cursor(text) is None
    with pytest.raises(RequestRefused) as refused:
        parse_query(f"limit=1&after={quote(text)}".encode())
    assert (refused.value.status, refused.value.message) == (400, "after is no cursor of this list's")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "limit is missing: give a whole number from 1 to 1000"),
        ("Limit=5", "limit is missing: give a whole number from 1 to 1000"),
        *(
            (f"limit={text}", "limit must be a whole number from 1 to 1000")
            for text in ("", "0", "1001", "-1", "+1", "%2B1", "1.0", "1e2", "ten", "0x10", "1_0", " 1", "%D9%A5",
                         "%C2%B2", "9" * 500)
        ),
        ("limit=1&limit=1", "limit is given more than once"),
        (f"limit=1&after={TEXT}&after={TEXT}", "after is given more than once"),
        (f"limit=1&after={TEXT}&before={TEXT}", "after and before can't be given together"),
        ("limit=1&after=&before=", "after and before can't be given together"),
        ("limit=1&before=x", "before is no cursor of this list's"),
        ("limit=1&search=" + "1" * 21, "search has more than 20 characters"),
        # Whichever is looked at first is told.
        ("limit=0&after=x&search=" + "1" * 21, "limit must be a whole number from 1 to 1000"),
    ],
)  # fmt: skip
def test_a_query_is_refused_in_one_sentence_that_names_the_parameter(query: str, message: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        parse_query(query.encode())
    assert (refused.value.status, refused.value.message) == (400, message)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=1", ListQuery(1, Towards.OLDER, None, None)),
        ("limit=1000", ListQuery(1000, Towards.OLDER, None, None)),
        ("limit=007", ListQuery(7, Towards.OLDER, None, None)),
        (f"limit=5&after={TEXT}", ListQuery(5, Towards.OLDER, THIRD, None)),
        (f"before={TEXT}&limit=5", ListQuery(5, Towards.NEWER, THIRD, None)),
        ("limit=5&search=11", ListQuery(5, Towards.OLDER, None, "11")),
        ("limit=5&search=" + "1" * 20, ListQuery(5, Towards.OLDER, None, "1" * 20)),
        ("limit=5&search=", ListQuery(5, Towards.OLDER, None, None)),
        ("limit=5&search=%2B65", ListQuery(5, Towards.OLDER, None, "+65")),
        # Twenty characters, however many bytes.
        ("limit=5&search=" + quote("五" * 20), ListQuery(5, Towards.OLDER, None, "五" * 20)),
        ("limit=5&page=2&page=3&&=&%FF", ListQuery(5, Towards.OLDER, None, None)),
    ],
)
def test_a_query_is_read(query: str, expected: ListQuery) -> None:
    assert parse_query(query.encode()) == expected
