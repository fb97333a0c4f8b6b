"""Pages of messages on PostgreSQL: every message is on exactly one page, whichever way they are walked."""

import re
from datetime import timedelta
from itertools import pairwise

import pytest

from database.connections import Connection
from messages.identifiers import MessageKey, message_id, parse_message_id
from messages.pages import (
    SQL,
    Page,
    Place,
    Scope,
    Towards,
    fetch_page,
    fetch_place,
    is_number,
    list_messages,
    place_in_batch,
)
from messages.retrieval import Batch, fetch_batch
from tests.messages.builders import NOW as AT
from tests.messages.builders import fill_campaign

# Sizes of batches: single sends, small ones, and such that are looked through by themselves.
MIXED = (1, 1, 1, 3, 40, 1, 1500, 1, 1, 2300, 7, 1)


async def in_order(connection: Connection, campaign_id: str, search: str = "") -> list[str]:
    """The ids of a campaign's messages as the contract orders them: newest first, then by id."""
    rows = await connection.fetch(
        "select message_id from message_status join batches on batches.id = batch_id"
        " where message_status.campaign_id = $1 and strpos(recipient, $2) > 0"
        ' order by created_at desc, message_id collate "C" desc',
        campaign_id,
        search,
    )
    return [row["message_id"] for row in rows]


def ids_of(page: Page) -> list[str]:
    return [message.id for message in page.messages]


async def walk(
    connection: Connection, scope: Scope, limit: int, *, seconds: float = 60, back_from: Place | None = None
) -> list[Page]:
    """All pages on one way: older ones from the newest on, or newer ones from a place on. Each says rightly if more follow."""
    towards = Towards.OLDER if back_from is None else Towards.NEWER
    place = back_from
    pages = []
    while True:
        page = await fetch_page(connection, scope, limit=limit, place=place, towards=towards, seconds=seconds)
        pages.append(page)
        assert len(pages) < 5000, "paging does not end"
        if not (page.has_older if back_from is None else page.has_newer):
            return pages
        assert len(page.messages) == limit or seconds == 0
        place = page.last if back_from is None else page.first
        assert place is not None


@pytest.mark.parametrize("limit", [1, 3, 7, 400, 1000])
async def test_each_message_is_on_one_page_whichever_way_they_are_walked(
    connection: Connection, campaign_id: str, other_campaign_id: str, limit: int
) -> None:
    sizes = [1, 1, 2, 1, 3, 1, 12] if limit < 10 else MIXED
    await fill_campaign(connection, campaign_id, sizes)
    await fill_campaign(connection, other_campaign_id, [1, 5, 1], seed=2)
    expected = await in_order(connection, campaign_id)
    assert len(expected) == sum(sizes)
    forth = await walk(connection, Scope(campaign_id), limit)
    assert [identifier for page in forth for identifier in ids_of(page)] == expected
    assert [page.has_newer for page in forth] == [place > 0 for place in range(len(forth))]
    back = await walk(connection, Scope(campaign_id), limit, back_from=forth[-1].last)
    assert [identifier for page in reversed(back) for identifier in ids_of(page)] == expected[:-1]
    assert all(page.has_older for page in back)
    # The page before another one's first message is the very page that came before it.
    for before, after in pairwise(forth):
        page = await fetch_page(
            connection, Scope(campaign_id), limit=limit, place=after.first, towards=Towards.NEWER
        )
        assert ids_of(page) == ids_of(before)
        assert (page.first, page.last) == (before.first, before.last)


@pytest.mark.parametrize(
    ("size", "limit"), [pytest.param(25, 4, id="small"), pytest.param(2300, 700, id="large")]
)
async def test_a_batch_is_paged_by_itself(
    connection: Connection, campaign_id: str, size: int, limit: int
) -> None:
    _, own, _ = await fill_campaign(connection, campaign_id, [3, size, 1100])
    batch = await fetch_batch(connection, own)
    assert batch is not None
    scope = Scope(campaign_id, batch)
    expected = [
        identifier for identifier in await in_order(connection, campaign_id) if own[6:20] in identifier
    ]
    forth = await walk(connection, scope, limit)
    assert [identifier for page in forth for identifier in ids_of(page)] == expected
    assert [page.has_newer for page in forth] == [place > 0 for place in range(len(forth))]
    back = await walk(connection, scope, limit, back_from=forth[-1].last)
    assert [identifier for page in reversed(back) for identifier in ids_of(page)] == expected[:-1]


async def test_what_is_added_meanwhile_comes_before_the_first_page_and_moves_no_other(
    connection: Connection, campaign_id: str
) -> None:
    await fill_campaign(connection, campaign_id, MIXED)
    expected = await in_order(connection, campaign_id)
    place, seen = None, []
    for number in range(100):
        page = await fetch_page(connection, Scope(campaign_id), limit=100, place=place)
        seen += ids_of(page)
        await fill_campaign(
            connection, campaign_id, [1, 2], at=AT + timedelta(seconds=1 + number), seed=number + 10
        )
        if not page.has_older:
            break
        place = page.last
    assert seen == expected
    assert place is not None
    back = await walk(connection, Scope(campaign_id), 100, back_from=place)
    walked = [identifier for page in reversed(back) for identifier in ids_of(page)]
    everything = await in_order(connection, campaign_id)
    assert walked == everything[: everything.index(place.message_id)]


@pytest.mark.parametrize("search", ["0000001", "23", "6590000012", "9", "7777777"])
@pytest.mark.parametrize(
    "seconds", [pytest.param(60, id="to the end"), pytest.param(0, id="cut off at once")]
)
async def test_a_search_finds_each_message_once_however_often_it_is_cut_off(
    connection: Connection, campaign_id: str, search: str, seconds: float
) -> None:
    await fill_campaign(connection, campaign_id, MIXED * 2)
    expected = await in_order(connection, campaign_id, search)
    scope = Scope(campaign_id, search=search)
    forth = await walk(connection, scope, 250, seconds=seconds)
    assert [identifier for page in forth for identifier in ids_of(page)] == expected
    if seconds:
        assert forth[0].has_older == (len(expected) > 250)
        assert len(forth) == max(1, -(-len(expected) // 250))
    else:
        # What was cut off goes on where it was, though it found less than a page, or nothing. (9 is in all.)
        assert search == "9" or any(len(page.messages) < 250 for page in forth[:-1])
        assert all(page.last is not None for page in forth[:-1])
    oldest = Place(AT - timedelta(days=1), "batch_", 1)
    back = await walk(connection, scope, 250, seconds=seconds, back_from=oldest)
    assert [identifier for page in reversed(back) for identifier in ids_of(page)] == expected


async def test_a_search_says_of_both_sides_whether_there_are_more_that_fit(
    connection: Connection, campaign_id: str
) -> None:
    await fill_campaign(connection, campaign_id, [30])
    scope = Scope(campaign_id, search="000002")

    async def page_of(limit: int, place: Place | None = None, towards: Towards = Towards.OLDER) -> Page:
        return await fetch_page(connection, scope, limit=limit, place=place, towards=towards)

    everything = await page_of(100)
    assert [message.recipient[-2:] for message in everything.messages] == [
        "29",
        "28",
        "27",
        "26",
        "25",
        "24",
        "23",
        "22",
        "20",
        "02",
    ]
    assert (everything.has_older, everything.has_newer) == (False, False)
    first = await page_of(4)
    assert (first.has_older, first.has_newer) == (True, False)
    middle = await page_of(3, first.last)
    assert (middle.has_older, middle.has_newer) == (True, True)
    last = await page_of(100, middle.last)
    assert (last.has_older, last.has_newer) == (False, True)
    assert middle.first is not None
    again = await page_of(100, middle.first, Towards.NEWER)
    assert ids_of(again) == ids_of(first)
    assert (again.has_older, again.has_newer) == (True, False)
    # Rows that don't fit are beyond these places, and none that do.
    batch_id = everything.messages[0].batch.id
    ahead = await page_of(100, Place(AT, batch_id, 30))
    assert (ids_of(ahead), ahead.has_newer) == (ids_of(everything), False)
    behind = await page_of(100, Place(AT, batch_id, 1), Towards.NEWER)
    assert (ids_of(behind), behind.has_older) == (ids_of(everything), False)


async def test_nothing_is_an_empty_page(connection: Connection, campaign_id: str) -> None:
    assert await fetch_page(connection, Scope(campaign_id), limit=5) == Page([])
    await fill_campaign(connection, campaign_id, [2])
    assert await fetch_page(connection, Scope(campaign_id, search="777777"), limit=5) == Page([])
    beyond = await fetch_page(
        connection, Scope(campaign_id), limit=5, place=Place(AT - timedelta(days=1), "batch_", 1)
    )
    assert beyond == Page([], has_older=False, has_newer=True)


async def test_a_place_needs_no_message_that_is_there(connection: Connection, campaign_id: str) -> None:
    (own,) = await fill_campaign(connection, campaign_id, [20])
    known = parse_message_id(message_id(own, 12))
    assert known is not None
    place = await fetch_place(connection, AT, known)
    assert place == Place(AT, own, 12)
    rows = [
        message.row_number
        for message in (await fetch_page(connection, Scope(campaign_id), limit=3, place=place)).messages
    ]
    # There is no row 10.
    assert rows == [11, 9, 8]
    stranger = MessageKey("ffffffff-ffff-fff-ffff-ffff", 3)
    assert (await fetch_place(connection, AT, stranger)).batch_id > own
    for at, expected in ((AT, 20), (AT + timedelta(days=1), 20), (AT - timedelta(days=1), 0)):
        place = await fetch_place(connection, at, stranger)
        page = await fetch_page(connection, Scope(campaign_id), limit=50, place=place)
        assert len(page.messages) == expected


@pytest.mark.parametrize(
    ("days", "row_number", "older", "newer"),
    [(0, 12, 10, 9), (0, 2**31 - 1, 20, 0), (1, 12, 20, 0), (-1, 12, 0, 20)],
)
async def test_a_place_in_a_batch_is_by_its_time_before_its_row(
    connection: Connection, campaign_id: str, days: int, row_number: int, older: int, newer: int
) -> None:
    (own,) = await fill_campaign(connection, campaign_id, [20])
    batch = await fetch_batch(connection, own)
    assert isinstance(batch, Batch)
    place = place_in_batch(batch, AT + timedelta(days=days), row_number)
    for towards, expected in ((Towards.OLDER, older), (Towards.NEWER, newer)):
        page = await fetch_page(connection, Scope(campaign_id, batch), limit=50, place=place, towards=towards)
        assert len(page.messages) == expected


async def test_the_newest_messages_are_listed_without_a_place(
    connection: Connection, campaign_id: str
) -> None:
    await fill_campaign(connection, campaign_id, MIXED)
    expected = await in_order(connection, campaign_id, "11")
    found = await list_messages(connection, campaign_id, search="11", limit=20)
    assert [message.id for message in found] == expected[:20]
    assert await list_messages(connection, campaign_id, search="1_", limit=20) == []


@pytest.mark.parametrize("text", ["", "+65", "9 1", "٥", "²", "1%", "_"])
def test_what_is_no_number_is_none(text: str) -> None:
    assert not is_number(text)


# How each statement is asked for fifty rows from the middle of the large batch on.
LOOKS = {
    "look_older": "(text, timestamptz, text, bigint, text, bigint, bigint, bigint, timestamptz, text)",
    "look_newer": "(text, timestamptz, text, bigint, text, bigint, bigint, bigint, timestamptz, text)",
    "look_older_in_batch": "(integer, bigint, text, bigint)",
    "look_newer_in_batch": "(integer, bigint, text, bigint)",
}


@pytest.mark.parametrize("analyzed", [False, True])
@pytest.mark.parametrize("name", LOOKS)
async def test_no_page_reads_a_large_batch_as_a_whole(
    connection: Connection, campaign_id: str, name: str, analyzed: bool
) -> None:
    """Neither where PostgreSQL has never looked at the tables, nor where it takes a batch to have few rows, as most have."""
    (*_, large) = await fill_campaign(connection, campaign_id, [1] * 600 + [6000])
    if analyzed:
        await connection.execute("analyze batches, messages")
    row = await connection.fetchrow("select batch_no, created_at from batches where id = $1", large)
    assert row is not None
    values = f"{row['batch_no']}, 3000, null, 50"
    if not name.endswith("_in_batch"):
        values = f"'{campaign_id}', '{row['created_at']}', '{large}', 3000, null, 50, 50, 1000, '-infinity', '{{}}'"
    await connection.execute(f"prepare looked {LOOKS[name]} as {SQL[name]}")
    for mode in ("force_custom_plan", "force_generic_plan"):
        await connection.execute(f"set plan_cache_mode = {mode}")
        lines = await connection.fetch(f"explain (analyze) execute looked ({values})")
        plan = "\n".join(line[0] for line in lines)
        counts = [int(count) for count in re.findall(r"\(actual .*?rows=(\d+)", plan)]
        assert counts, plan
        assert max(counts) <= 51, plan
