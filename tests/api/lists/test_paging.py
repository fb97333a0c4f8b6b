"""Pages over HTTP: what the two lists say around their items, walks with cursors, and searches (8-api.md §2.7)."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from database.connections import Connection, Pool
from messages.identifiers import message_id
from messages.pages import list_messages
from tests.api.client import APIClient
from tests.messages.builders import NOW, fill_campaign, make_batch

EMPTY: dict[str, object] = {
    "hasNextPage": False,
    "hasPreviousPage": False,
    "startCursor": None,
    "endCursor": None,
}
NOTHING = {"data": [], "pageData": EMPTY}


async def page_of(client: APIClient, query: str, path: str = "/messages") -> Any:
    answer = await client.get(f"{path}?{query}")
    assert answer.status == 200, answer.body
    return answer.json


def ids_of(page: Any) -> list[str]:
    return [item["id"] for item in page["data"]]


def decoded(cursor: str) -> Any:
    return json.loads(base64.b64decode(cursor, validate=True))


async def test_a_page_tells_of_both_sides_and_its_cursors_are_its_ends(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, unclaimed=4)
    own = [message_id(batch.id, row) for row in (6, 5, 4, 3, 2)]
    at = "2026-11-25T17:30:00.000+08:00"
    for path, identifiers in (("/messages", own), (f"/batch/{batch.id}/messages", ["6", "5", "4", "3", "2"])):
        first = await page_of(client, "limit=2", path)
        assert ids_of(first) == own[:2]
        about = first["pageData"]
        assert (about["hasNextPage"], about["hasPreviousPage"]) == (True, False)
        assert decoded(about["startCursor"]) == [at, identifiers[0]]
        assert decoded(about["endCursor"]) == [at, identifiers[1]]
        second = await page_of(client, f"limit=2&after={quote(about['endCursor'])}", path)
        assert ids_of(second) == own[2:4]
        about = second["pageData"]
        assert (about["hasNextPage"], about["hasPreviousPage"]) == (True, True)
        last = await page_of(client, f"limit=2&after={about['endCursor'].rstrip('=')}", path)
        assert ids_of(last) == own[4:]
        assert (last["pageData"]["hasNextPage"], last["pageData"]["hasPreviousPage"]) == (False, True)
        assert last["pageData"]["startCursor"] == last["pageData"]["endCursor"]
        # Just before it, in the same order: not the newest two.
        before = await page_of(client, f"limit=2&before={quote(last['pageData']['startCursor'])}", path)
        assert before == second
        assert await page_of(client, f"limit=3&before={quote(about['startCursor'])}", path) == {
            "data": first["data"],
            "pageData": {**first["pageData"]},
        }
        beyond = await page_of(client, f"limit=2&after={quote(last['pageData']['endCursor'])}", path)
        assert beyond == {"data": [], "pageData": {**EMPTY, "hasPreviousPage": True}}


async def test_cursors_are_each_list_s_own(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, unclaimed=2)
    of_batch = (await page_of(client, "limit=1", f"/batch/{batch.id}/messages"))["pageData"]["endCursor"]
    of_campaign = (await page_of(client, "limit=1"))["pageData"]["endCursor"]
    for name, path, cursor in (
        ("after", "/messages", of_batch),
        ("before", f"/batch/{batch.id}/messages", of_campaign),
        ("after", f"/batch/{batch.id}/messages", encoded("2026-11-25T17:30:00.000+08:00", "0")),
        ("after", f"/batch/{batch.id}/messages", encoded("2026-11-25T17:30:00.000+08:00", "2147483648")),
        ("after", f"/batch/{batch.id}/messages", encoded("2026-11-25T17:30:00.000+08:00", "٥")),
        (
            "before",
            "/messages",
            encoded("2026-11-25T17:30:00.000+08:00", "message_0d9c31e2-4b7f-8c58-9a61-7e2000000000"),
        ),
    ):
        answer = await client.get(f"{path}?limit=1&{name}={quote(cursor)}")
        expected = f'{{"message":"{name} is no cursor of this list\'s","statusCode":400}}'
        assert (answer.status, answer.body.decode()) == (400, expected)


def encoded(*members: str) -> str:
    return base64.b64encode(json.dumps(members, separators=(",", ":")).encode()).decode()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "limit is missing: give a whole number from 1 to 1000"),
        ("?limit=0", "limit must be a whole number from 1 to 1000"),
        ("?limit=5&search=123456789012345678901", "search has more than 20 characters"),
        ("?limit=5&after=a&before=b", "after and before can't be given together"),
    ],
)
async def test_a_wrong_query_is_refused_in_words(
    client: APIClient, connection: Connection, campaign_id: str, query: str, message: str
) -> None:
    batch = await make_batch(connection, campaign_id)
    for path in ("/messages", f"/batch/{batch.id}/messages", "/batch/batch_1/messages"):
        answer = await client.get(path + query)
        assert (answer.status, answer.json) == (400, {"message": message, "statusCode": 400})


async def test_a_search_is_part_of_the_number(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    own = await make_batch(connection, campaign_id, recipient="6591122233", at=NOW)
    other = await make_batch(connection, campaign_id, recipient="6598765432", at=NOW + timedelta(seconds=1))
    found = message_id(own.id, 2)
    for search in ("11", "6591122233", "33", "122"):
        page = await page_of(client, f"limit=5&search={search}")
        assert ids_of(page) == [found]
        assert (page["pageData"]["hasNextPage"], page["pageData"]["hasPreviousPage"]) == (False, False)
        assert ids_of(await page_of(client, f"limit=5&search={search}", f"/batch/{own.id}/messages")) == [
            found
        ]
        assert await page_of(client, f"limit=5&search={search}", f"/batch/{other.id}/messages") == NOTHING
    for search in ("%2B65", "9+1", "9%201", "%25", "_", "a", "%D9%A5", "%00", "%FF", "11111111111111111111"):
        assert await page_of(client, f"limit=5&search={search}") == NOTHING
        assert await page_of(client, f"limit=5&search={search}", f"/batch/{own.id}/messages") == NOTHING
    assert len(ids_of(await page_of(client, "limit=5&search="))) == 2
    assert len(ids_of(await page_of(client, "limit=5&searching=98&page=7"))) == 2


@contextlib.asynccontextmanager
async def sending(pool: Pool, campaign_id: str) -> AsyncIterator[list[str]]:
    """Meanwhile new messages come: single sends and small batches, as fast as one connection writes them; their batches' ids."""
    made: list[str] = []
    is_over = asyncio.Event()

    async def send() -> None:
        number = 0
        async with pool.acquire() as connection:
            while not is_over.is_set():
                number += 1
                at = NOW + timedelta(minutes=1, milliseconds=10 * number)
                made.extend(
                    await fill_campaign(connection, campaign_id, [1, 2, 1], at=at, seed=number + 1000)
                )

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send())
        try:
            yield made
        finally:
            is_over.set()


async def test_ten_thousand_messages_are_walked_forth_and_back_while_others_come(
    client: APIClient, connection: Connection, pool: Pool, campaign_id: str
) -> None:
    """Issue 13, Show 3. Large batches, small ones and single sends in turn; each message is on one page on each way."""
    sizes = ([1] * 50 + [30, 1200] + [1] * 20 + [700]) * 5
    assert sum(sizes) == 10_000
    await fill_campaign(connection, campaign_id, sizes)
    rows = await connection.fetch(
        "select message_id(b.id, row_number) as id from messages join batches b using (batch_no)"
        ' order by b.created_at desc, b.id collate "C" desc, row_number desc'
    )
    expected = [row["id"] for row in rows]
    async with sending(pool, campaign_id) as made:
        # The walk begins at the newest one of the ten thousand, as newer ones are there already.
        newest = encoded("2026-11-25T17:31:00.000+08:00", "message_00000000-0000-8000-8000-000000000001")
        forth: list[Any] = []
        cursor = newest
        while True:
            page = await page_of(client, f"limit=900&after={quote(cursor)}")
            forth.append(page)
            if not page["pageData"]["hasNextPage"]:
                break
            cursor = page["pageData"]["endCursor"]
        assert [identifier for page in forth for identifier in ids_of(page)] == expected
        assert all(page["pageData"]["hasPreviousPage"] for page in forth[1:])
        # Back from the last one, page by page, to the newest that there were when this began.
        until = len(made)
        back: list[Any] = []
        cursor = forth[-1]["pageData"]["endCursor"]
        while True:
            page = await page_of(client, f"limit=900&before={quote(cursor)}")
            back.append(page)
            assert page["pageData"]["hasNextPage"]
            if any(batch_id[6:20] in identifier for batch_id in made[until:] for identifier in ids_of(page)):
                break
            if not page["pageData"]["hasPreviousPage"]:
                break
            cursor = page["pageData"]["startCursor"]
    walked = [identifier for page in reversed(back) for identifier in ids_of(page)]
    assert len(set(walked)) == len(walked)
    assert walked[-9_999:] == expected[:-1]
    newer = walked[:-9_999]
    assert newer
    assert not {*newer} & {*expected}
    # A small page just before the walk's second one is the end of its first.
    small = await page_of(client, f"limit=5&before={quote(forth[1]['pageData']['startCursor'])}")
    assert ids_of(small) == ids_of(forth[0])[-5:]


async def test_many_searches_at_once_are_all_answered(
    client: APIClient, connection: Connection, campaign_id: str
) -> None:
    await fill_campaign(connection, campaign_id, [1] * 300 + [2000])
    found = await list_messages(connection, campaign_id, search="19", limit=1000)
    expected = [message.id for message in found]
    assert len(expected) > 20
    pages = await asyncio.gather(*(page_of(client, "limit=20&search=19") for _ in range(20)))
    for page in pages:
        # Where many wait, the time of one may be over sooner, and its page says so.
        assert page["pageData"]["hasNextPage"]
        assert ids_of(page) == expected[: len(page["data"])]
