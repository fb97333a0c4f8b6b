"""Filters of pages of messages on PostgreSQL: each message that fits is found once, however often a look is cut off."""

import json
import random
import re
from datetime import timedelta

import pytest

from campaigns.people.users import ensure_user
from database.connections import Connection
from messages.pages import SQL, Filters, Page, Place, Scope, Towards, fetch_page
from messages.retrieval import fetch_batch
from messages.statuses import ErrorCode, MessageStatus
from tests.messages.builders import NOW as AT
from tests.messages.builders import fill_campaign, recount

SIZES = (1, 1, 3, 40, 1, 1500, 1, 2300, 7, 1, 60, 1, 1)
FAILURE = frozenset({MessageStatus.FAILURE})


async def make_history(connection: Connection, campaign_id: str, creator_id: str) -> list[str]:
    """Batches in all states: untouched, partly claimed, ended; some of them are `creator_id`'s."""
    ids = await fill_campaign(connection, campaign_id, SIZES)
    choice = random.Random(7)
    for place, batch_id in enumerate(ids):
        batch = await fetch_batch(connection, batch_id)
        assert batch is not None
        claimed = (0.5, 1, 0, 0.7)[place % 4]
        await connection.execute(
            "insert into attempts (batch_no, row_number, attempt, status, error)"
            " select batch_no, row_number, 1, case row_number % 7 when 0 then 6 when 1 then 3 else 5 end,"
            " case when row_number % 7 = 0 then case when row_number % 3 = 0 then 'routing_error'"
            " else 'recipient_invalid' end end from messages where batch_no = $1 and row_number <= $2",
            batch.number,
            int(claimed * batch.total_messages),
        )
        # A second attempt tells more than the first.
        await connection.execute(
            "insert into attempts (batch_no, row_number, attempt, status) select batch_no, row_number, 2, 0"
            " from attempts where batch_no = $1 and row_number % 14 = 0",
            batch.number,
        )
        counts, errors = await recount(connection, batch.number)
        ended = choice.choice([None, None, "stopped", "expired"])
        await connection.execute(
            "update batches set retrying = $2, enqueued = $3, sending = $4, sent = $5, sent_to_telco = $6,"
            " success = $7, failure = $8, errors = $9, taken_at = case when $10 then now() end,"
            " ended_at = case when $11::text is not null then now() end, ended_because = $11,"
            " creator_id = case when $12 then $13 end where batch_no = $1",
            batch.number, *counts, json.dumps(errors), claimed > 0 or place % 2 == 0, ended, place % 3 == 0, creator_id,
        )  # fmt: skip
    return ids


async def fitting(connection: Connection, campaign_id: str, filters: Filters, search: str) -> list[str]:
    """The ids of the messages that fit, newest first, as the view of their statuses has them."""
    rows = await connection.fetch(
        "select s.message_id from message_status s join batches b on b.id = s.batch_id join campaigns c on c.id = b.campaign_id"
        " where s.campaign_id = $1 and strpos(s.recipient, $2) > 0 and ($3::text[] is null or s.status = any($3))"
        " and ($4::text is null or s.error_code = $4) and ($5::timestamptz is null or b.created_at >= $5)"
        " and ($6::timestamptz is null or b.created_at < $6)"
        " and ($7::text is null or coalesce(b.creator_id, c.creator_id) = $7)"
        ' order by b.created_at desc, s.message_id collate "C" desc',
        campaign_id, search, filters.statuses and [status.word for status in filters.statuses],
        filters.error and filters.error.value, filters.since, filters.until, filters.creator_id,
    )  # fmt: skip
    return [row["message_id"] for row in rows]


async def walk(connection: Connection, scope: Scope, towards: Towards, seconds: float) -> list[Page]:
    """All pages on one way."""
    place = None if towards is Towards.OLDER else Place(AT - timedelta(days=9), "", 0)
    pages: list[Page] = []
    while True:
        page = await fetch_page(connection, scope, limit=90, place=place, towards=towards, seconds=seconds)
        pages.append(page)
        assert len(pages) < 3000, "paging does not end"
        if not (page.has_older if towards is Towards.OLDER else page.has_newer):
            return pages
        place = page.last if towards is Towards.OLDER else page.first
        assert place is not None


@pytest.mark.parametrize(
    ("filters", "search"),
    [
        (Filters(statuses=FAILURE), ""),
        (Filters(statuses=frozenset({MessageStatus.CREATED, MessageStatus.ENQUEUED})), ""),
        (Filters(error=ErrorCode.ROUTING_ERROR), "4"),
        (Filters(error=ErrorCode.STOPPED, statuses=FAILURE), ""),
        (Filters(error=ErrorCode.SERVER_UNKNOWN_ERROR), ""),
        (Filters(error=ErrorCode.STOPPED, statuses=frozenset({MessageStatus.SUCCESS})), ""),
        (Filters(since=AT + timedelta(milliseconds=1), until=AT + timedelta(milliseconds=3)), ""),
        (Filters(creator_id="theirs"), "7"),
        (Filters(creator_id="campaign's", statuses=frozenset({MessageStatus.SENT})), ""),
    ],
)
async def test_what_fits_is_found_once_on_both_ways(
    connection: Connection, campaign_id: str, other_campaign_id: str, filters: Filters, search: str
) -> None:
    async with connection.transaction():
        other = await ensure_user(connection, "ben@clinic.gov.sg")
    await make_history(connection, campaign_id, other.id)
    await fill_campaign(connection, other_campaign_id, [5, 1], seed=2)
    if filters.creator_id is not None:
        own = await connection.fetchval("select creator_id from campaigns where id = $1", campaign_id)
        creator_id = other.id if filters.creator_id == "theirs" else own
        filters = Filters(statuses=filters.statuses, creator_id=creator_id)
    expected = await fitting(connection, campaign_id, filters, search)
    contradicts = filters.error is not None and MessageStatus.SUCCESS in (filters.statuses or ())
    assert bool(expected) is not contradicts
    scope = Scope(campaign_id, search=search or None, filters=filters)
    for towards in Towards:
        for seconds in (60, 0):
            pages = await walk(connection, scope, towards, seconds)
            ordered = pages if towards is Towards.OLDER else list(reversed(pages))
            assert [message.id for page in ordered for message in page.messages] == expected
            if seconds:
                assert all(len(page.messages) == 90 for page in pages[:-1])


async def test_a_large_batch_is_filtered_by_itself(connection: Connection, campaign_id: str) -> None:
    ids = await make_history(connection, campaign_id, "nobody")
    batch = await fetch_batch(connection, ids[5])
    assert batch is not None
    filters = Filters(statuses=FAILURE)
    expected = [
        identifier
        for identifier in await fitting(connection, campaign_id, filters, "")
        if batch.id[6:20] in identifier
    ]
    for seconds in (60, 0):
        pages = await walk(connection, Scope(campaign_id, batch, filters=filters), Towards.OLDER, seconds)
        assert [message.id for page in pages for message in page.messages] == expected


async def test_batches_without_a_row_that_fits_are_passed_over(
    connection: Connection, campaign_id: str
) -> None:
    """However many rows they have: one look over their counts, and none at their messages."""
    await fill_campaign(connection, campaign_id, [4000, 5000, 900])
    # Of some all have failed, of the others none.
    await connection.execute(
        "update batches set failure = total_messages, errors = '{\"recipient_invalid\": 900}' where total_messages < 5000"
    )
    await connection.execute("analyze")
    page = await fetch_page(
        connection, Scope(campaign_id, filters=Filters(error=ErrorCode.ROUTING_ERROR)), limit=100, seconds=0
    )
    assert page == Page([])


@pytest.mark.parametrize("way", ["older", "newer"])
@pytest.mark.parametrize("in_batch", [False, True])
async def test_a_look_reads_as_many_rows_as_it_is_to_and_no_more(
    connection: Connection, campaign_id: str, way: str, in_batch: bool
) -> None:
    """Also where the planner knows nothing of the values, and with a filter that makes it look at attempts."""
    ids = await fill_campaign(connection, campaign_id, [1] * 200 + [4000])
    batch = await fetch_batch(connection, ids[-1])
    assert batch is not None
    await connection.execute(
        "insert into attempts (batch_no, row_number, attempt, status)"
        " select batch_no, row_number, 1, 5 from messages"
    )
    await connection.execute("update batches set success = total_messages")
    await connection.execute("analyze")
    name = f"filter_{way}_in_batch" if in_batch else f"filter_{way}"
    wanted = "'{5}', null"
    values = f"{batch.number}, 2000, null, 50, {wanted}, 0, null"
    types = "(integer, bigint, text, integer, integer[], text, integer, text)"
    if not in_batch:
        # Before the large one, or behind it: either way the small ones.
        place = f"'{AT + timedelta(milliseconds=30)}', '', 0"
        values = (
            f"'{campaign_id}', {place}, null, 50, 50, 1000, '-infinity', '{{}}', null, null, null, {wanted}"
        )
        types = (
            "(text, timestamptz, text, bigint, text, integer, integer, integer, timestamptz, text,"
            " timestamptz, timestamptz, text,"
            " integer[], text)"
        )
    await connection.execute(f"prepare looked {types} as {SQL[name]}")
    for mode in ("force_custom_plan", "force_generic_plan"):
        await connection.execute(f"set plan_cache_mode = {mode}")
        lines = await connection.fetch(f"explain (analyze) execute looked ({values})")
        plan = "\n".join(line[0] for line in lines)
        scans = re.findall(r"Scan.* on (?:messages|attempts)_.*\(actual .*?rows=([\d.]+) loops=(\d+)", plan)
        read = [round(float(rows) * int(loops)) for rows, loops in scans]
        assert read, plan
        assert max(read) <= 51, plan
