"""The pages of the list of campaigns, compared with a plain query that sorts all of them."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from console.campaigns.home import SQL
from database.connections import Connection, planned_anew

# Some were made at the same time, and some were opened at the same time.
_INSERT = """
insert into agencies (id, name) values ('one', 'One'), ('two', 'Two');
insert into users (id, email, agency_id) select 'user_' || n, 'u' || n || '@one.gov.sg', 'one' from generate_series(1, 3) n;
insert into campaigns (id, name, header, notify_email, agency_id, creator_id, status, deleted_at, created_at)
select (array['alpha-', 'beta-'])[ceil(random() * 2)] || n,
    (array['Tax letters', 'Letters home', 'Clinic', 'Outletters'])[ceil(random() * 4)], 'c', 'a@b.c',
    (array['one', 'two'])[ceil(random() * 2)], 'user_' || ceil(random() * 3), status,
    case status when 'deleted' then now() end, timestamptz '2026-11-01' + ceil(random() * 15) * interval '1 day'
from (select n, (array['active', 'suspended', 'deleted'])[ceil(random() * 3)] as status from generate_series(1, 80) n) numbered;
insert into members (campaign_id, user_id, role)
select id, 'user_1', (array['owner', 'member', 'restricted'])[ceil(random() * 3)] from campaigns where random() < 0.3;
insert into campaign_visits (user_id, campaign_id, opened_at)
select 'user_1', id, timestamptz '2026-11-20' + ceil(random() * 5) * interval '1 day' from campaigns where random() < 0.3
"""
_PLAIN = """
select c.id from campaigns c
left join campaign_visits v on v.campaign_id = c.id and v.user_id = $1
left join members m on m.campaign_id = c.id and m.user_id = $1
where ($2 or c.agency_id = $3 or (c.status <> 'deleted' and (c.creator_id = $1 or m.role is not null)))
    and ($4::text is null or c.name ~* ('\\m' || $4) or c.id like $4 || '%') and ($5::text[] is null or c.id = any($5))
order by coalesce(v.opened_at, 'epoch') desc, c.created_at desc, c.id desc
"""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("is_ops", "agency_id"),
    [(True, None), (False, "one"), (False, None)],
    ids=["ops", "in charge", "an officer"],
)
async def test_pages_hold_what_a_plain_query_finds(
    connection: Connection, is_ops: bool, agency_id: str | None
) -> None:
    await connection.execute("select setseed(0.3)")
    await connection.execute(_INSERT)
    some = [row["id"] for row in await connection.fetch("select id from campaigns where random() < 0.4")]
    searches: list[tuple[str | None, Sequence[str] | None]] = [
        (None, None), ("letters", None), ("alpha", None), ("zebra", None), (None, some)
    ]  # fmt: skip
    for word, ids in searches:
        wanted = await connection.fetch(_PLAIN, "user_1", is_ops, agency_id, word, ids)
        found: list[str] = []
        last: tuple[str | None, datetime | None, datetime | None] = (None, None, None)
        while True:
            async with planned_anew(connection):
                page = await connection.fetch(
                    SQL["list_campaigns"], "user_1", is_ops, agency_id, word and f"'{word}':*", *last, 7, 200,
                    word and f"{word}%", ids,
                )  # fmt: skip
            if not page:
                break
            found += [row["id"] for row in page]
            last = (page[-1]["id"], page[-1]["opened_at"] or _NEVER, page[-1]["created_at"])
        assert found == [row["id"] for row in wanted], (word, ids)
        assert bool(found) == (word != "zebra")


@pytest.mark.parametrize(
    ("is_ops", "agency_id", "most", "are_few"),
    [(True, None, 500, False), (False, "one", 3, True), (False, "one", 2, False), (False, None, 2, True)],
    ids=["ops see all", "as many as are few", "one more", "own ones alone"],
)
async def test_few_campaigns_are_searched_one_by_one(
    connection: Connection, is_ops: bool, agency_id: str | None, most: int, are_few: bool
) -> None:
    await connection.execute("insert into agencies (id, name) values ('one', 'One')")
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email, agency_id)"
        " select 'alpha-' || n, 'c', 'c', 'a@b.c', 'one' from generate_series(1, 3) n"
    )
    assert await connection.fetchval(SQL["are_few"], is_ops, agency_id, most) is are_few
