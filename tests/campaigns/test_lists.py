"""Lists of campaigns: pages, search, and plans that read no table whole however many campaigns there are."""

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from campaigns.campaigns import SQL, list_campaigns
from campaigns.errors import CampaignNotFound, CampaignRefused
from database.connections import Connection

CAMPAIGNS = 3000


@pytest.fixture
async def many(connection: Connection) -> AsyncIterator[Connection]:
    """Campaigns of two agencies, some made at the same moment."""
    async with connection.transaction():
        await connection.execute("insert into agencies (id, name) values ('agency_other', 'Other')")
        await connection.execute(
            "insert into campaigns (id, name, channel, header, notify_email, allowed_sources, agency_id, created_at)"
            " select 'c-' || n, case n % 100 when 7 then 'Grüße ''26 from ward ' || n else 'Appointments ' || n end,"
            " 'public', 'H', 'a@b.gov.sg', '{}', case n % 1000 when 0 then 'agency_other' else agency.id end,"
            " timestamptz '2026-01-01' + make_interval(mins => n / 3) from agencies agency, generate_series(1, $1::integer) n"
            " where agency.name = 'default'",
            CAMPAIGNS,
        )
        await connection.execute("set local jit = off")
        await connection.execute("analyze campaigns")
        yield connection


async def test_pages_follow_each_other_without_gap_or_repeat(many: Connection) -> None:
    listed: list[str] = []
    after = None
    while page := await list_campaigns(many, after=after, limit=700):
        listed += [campaign.id for campaign in page]
        after = listed[-1]
    assert len(listed) == len(set(listed)) == CAMPAIGNS
    expected = await many.fetch("select id from campaigns order by created_at desc, id desc")
    assert listed == [row["id"] for row in expected]
    with pytest.raises(CampaignNotFound):
        await list_campaigns(many, after="nobody")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("grüße", 30),
        ("GRÜ ward", 30),
        ("ward 1007", 1),
        ("Appoint 2999", 1),
        ("c-299", 11),
        ("c-", CAMPAIGNS),
        ("c_2", 0),
        ("nowhere", 0),
        ("'; drop", 0),
        ("100% 26", 1),
    ],
)
async def test_a_search_finds_words_by_their_beginning_and_ids(
    many: Connection, search: str, found: int
) -> None:
    assert len(await list_campaigns(many, search=search, limit=CAMPAIGNS)) == found


async def test_a_search_without_a_word_is_refused(connection: Connection) -> None:
    with pytest.raises(CampaignRefused, match="search for"):
        await list_campaigns(connection, search="%% _")


async def test_an_agency_has_its_own_list(many: Connection) -> None:
    assert [each.id for each in await list_campaigns(many, agency_id="agency_other")] == [
        "c-3000",
        "c-2000",
        "c-1000",
    ]


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("list_campaigns", (None, None, None, None, None, 51, None)),
        (
            "list_campaigns",
            ("agency_other", None, None, datetime(2026, 1, 1, 11, tzinfo=UTC), "c-2000", 51, None),
        ),
        ("list_campaigns", (None, None, None, None, None, 51, ["c-7"])),
        ("search_campaigns", ("'ward':* & '1007':*", "ward 1007%", 1001)),
        # The planner takes it for as frequent as any other beginning.
        ("search_campaigns", ("'zebra':*", "zebra%", 1001)),
    ],
)
async def test_no_list_reads_the_table_whole(
    many: Connection, statement: str, arguments: tuple[object, ...]
) -> None:
    if statement == "search_campaigns":
        await many.execute(SQL["plan_by_words"])
    (explained,) = json.loads(await many.fetchval("explain (format json) " + SQL[statement], *arguments))
    nodes = list(nodes_of(explained["Plan"]))
    assert [node["Node Type"] for node in nodes if node.get("Relation Name") == "campaigns"]
    assert not [
        node for node in nodes if (node["Node Type"], node.get("Relation Name")) == ("Seq Scan", "campaigns")
    ]
    # An index alone doesn't say that it is the one of words.
    assert statement == "list_campaigns" or "campaigns_by_words" in {node.get("Index Name") for node in nodes}


async def test_what_many_names_have_is_found_page_by_page(many: Connection) -> None:
    found = await list_campaigns(many, search="appointments", limit=20)
    assert [each.id for each in found] == [
        row["id"]
        for row in await many.fetch(
            "select id from campaigns where name like 'App%' order by created_at desc, id desc limit 20"
        )
    ]


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, from the top."""
    yield node
    for below in node.get("Plans", ()):
        yield from nodes_of(below)
