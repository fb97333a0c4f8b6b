"""Whoever sees thousands of campaigns sees the same newest uploads as whoever sees the few that have any."""

from datetime import UTC, datetime

import pytest

from console.uploads.rows import Filters, list_uploads
from console.uploads.scopes import Scope
from database.connections import Connection

# One a minute of the scope's, and others within the last seconds, which can fill all that is looked at first.
_INSERT = """
insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at)
select $2 || n, $1, 'a.csv', 'rejected', 1, 'r', now() - n * $4::integer * interval '1 millisecond', now()
from generate_series(1, $3::integer) n
"""


@pytest.mark.parametrize("others", [20, 10_500], ids=["all are looked at", "the newest of all are others'"])
async def test_many_campaigns_have_the_uploads_that_the_few_of_them_have(
    connection: Connection, campaign_id: str, other_campaign_id: str, others: int
) -> None:
    await connection.execute(_INSERT, campaign_id, "upload_mine", 150, 60_000)
    await connection.execute(_INSERT, other_campaign_id, "upload_other", others, 1)
    few = Scope(campaign_ids=(campaign_id,))
    many = Scope(campaign_ids=(campaign_id, *(f"campaign_{number}" for number in range(6_000))))
    first = await list_uploads(connection, few, Filters(), most=100)
    assert [row.id for row in first] == [f"upload_mine{number}" for number in range(1, 101)]
    assert await list_uploads(connection, many, Filters(), most=100) == first
    after = first[-1].place
    rest = await list_uploads(connection, many, Filters(status="rejected"), after=after, most=100)
    assert [row.id for row in rest] == [f"upload_mine{number}" for number in range(101, 151)]
    assert await list_uploads(connection, many, Filters(status="failed"), most=100) == []


# Forty times for all uploads, so that pages end among ties; some campaigns have many uploads, some one, some none.
_INSERT_MANY = """
insert into campaigns (id, name, header, notify_email) select 'campaign_' || n, 'c', 'c', 'a@b.c' from generate_series(1, 30) n;
insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at, source,
    creator_id, support_id)
select 'upload_' || n, 'campaign_' || ceil(28 * random() ^ 2), 'a.csv', status, 1, 'r', at, at, source, creator, 'S-1'
from (
    select n, timestamptz '2026-11-01' + ceil(random() * 40) * interval '1 hour' as at,
        case when random() < 0.9 then 'rejected' else 'failed' end as status,
        (array['sftp', 'api', 'console'])[ceil(random() * 3)] as source,
        (array['user_1', 'user_2'])[ceil(random() * 2)] as creator
    from generate_series(1, 400) n
) u
"""
_PLAIN = """
select id from uploads u
where (campaign_id = any($1) or (campaign_id = any($2) and creator_id = $3)) and ($4::text is null or campaign_id = $4)
    and ($5::text is null or upload_status(u) = $5) and ($6::text is null or source = $6)
    and ($7::timestamptz is null or received_at >= $7) and ($8::timestamptz is null or received_at < $8)
order by received_at desc, id desc
"""
_WHOLE = tuple(f"campaign_{number}" for number in range(1, 31) if number % 4)
_OWN = tuple(f"campaign_{number}" for number in range(4, 31, 4))


@pytest.mark.parametrize("most", [7, 101])
async def test_pages_hold_what_a_plain_query_finds(connection: Connection, most: int) -> None:
    await connection.execute("select setseed(0.17)")
    await connection.execute(_INSERT_MANY)
    noon, later = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 2, 3, tzinfo=UTC)
    filters = [
        Filters(), Filters(status="rejected"), Filters(status="failed"), Filters(status="accepted"), Filters(way="api"),
        Filters(since=noon, before=later), Filters(status="failed", way="sftp", since=noon), Filters(campaign_id="campaign_1"),
        Filters(campaign_id="campaign_4"), Filters(campaign_id="campaign_30"),
    ]  # fmt: skip
    for scope in (
        Scope(campaign_ids=_WHOLE),
        Scope(campaign_ids=_WHOLE, own_ids=_OWN, creator_id="user_1"),
        Scope(),
    ):
        for chosen in filters:
            wanted = await connection.fetch(
                _PLAIN, scope.campaign_ids, scope.own_ids, scope.creator_id,
                chosen.campaign_id, chosen.status, chosen.way, chosen.since, chosen.before,
            )  # fmt: skip
            found: list[str] = []
            page = await list_uploads(connection, scope, chosen, most=most)
            while page:
                found += [row.id for row in page]
                page = await list_uploads(connection, scope, chosen, after=page[-1].place, most=most)
            assert found == [row["id"] for row in wanted], (scope, chosen)
