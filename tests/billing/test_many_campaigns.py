"""An agency's pages and sums over many campaigns, compared with plain queries of the daily totals."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from audit.events import NOBODY
from billing.closing import close_month
from billing.lines import Sums
from billing.posted import fetch_campaign_sums, fetch_month_sums
from billing.terms import charged_columns
from billing.usage import fetch_lines
from database.connections import Connection
from rules.billing.periods import Month
from tests.billing.builders import NOW, OCTOBER, PERIOD, TERMS

# Domains lie below each other, and one is nobody's; campaigns were made at the same times; some days come to nothing.
_INSERT = """
insert into agencies (id, name) values ('one', 'One'), ('two', 'Two'), ('three', 'Three'), ('idle', 'Idle');
insert into agency_domains (domain, agency_id) values ('one.gov.sg', 'one'), ('sub.one.gov.sg', 'two');
insert into users (id, email, agency_id)
select domain, 'amy@' || domain, 'one'
from unnest('{one.gov.sg,a.one.gov.sg,sub.one.gov.sg,b.sub.one.gov.sg,vendor.example}'::text[]) domain;
insert into campaigns (id, name, channel, header, notify_email, created_at, agency_id, creator_id)
select 'c-' || n, (array['Clinic', 'Library'])[1 + n % 2], case when n % 7 = 0 then 'internal' else 'public' end, 'c', 'a@b.c',
    timestamptz '2026-09-01' + ceil(random() * 8) * interval '1 day', (array['one', 'two', 'three'])[ceil(random() * 3)],
    (array['one.gov.sg', 'a.one.gov.sg', 'sub.one.gov.sg', 'b.sub.one.gov.sg', 'vendor.example'])[ceil(random() * 5)]
from generate_series(1, 60) n;
insert into usage_days (campaign_id, day, destination, outcome, own_expiry, encoding, attempts, segments)
select 'c-' || ceil(random() * 50), date '2026-10-01' + floor(random() * 50)::integer,
    (array['local', 'foreign'])[ceil(random() * 2)],
    (array['success', 'recipient_unavailable', 'sent_to_telco'])[ceil(random() * 3)], false, 'GSM-7', n, n
from (select floor(random() * 4) as n from generate_series(1, 150)) counts
on conflict do nothing
"""
_PLAIN = """
select c.id, c.created_at, c.name, date_trunc('month', u.day)::date as month,
    coalesce(sum(u.attempts) filter (where charged and destination = 'local'), 0)::bigint as local_messages,
    coalesce(sum(u.attempts) filter (where charged and destination = 'foreign'), 0)::bigint as foreign_messages,
    sum(u.attempts)::bigint as messages
from campaigns c join usage_days u on u.campaign_id = c.id
cross join lateral (
    select c.channel = 'public' and exists (
        select from unnest($2::text[], $3::text[], $4::boolean[]) k (destination, outcome, own_expiry)
        where (k.destination, k.outcome, k.own_expiry) = (u.destination, u.outcome, u.own_expiry)
    ) as charged
) k
where paying_agency(c.billing_domain, c.agency_id) = $1
group by 1, 2, 3, 4
having sum(u.attempts) > 0
order by created_at desc, id desc, month
"""


def _sums_of(local: int, foreign: int) -> Sums:
    return Sums(local, local, local * 46, foreign, foreign, foreign * 230)


async def test_the_agency_with_the_nearest_domain_pays_and_else_the_creator_s_own(
    connection: Connection,
) -> None:
    await connection.execute(_INSERT)
    payers = {
        "one.gov.sg": "one",
        "a.one.gov.sg": "one",
        "sub.one.gov.sg": "two",
        "b.sub.one.gov.sg": "two",
        "notone.gov.sg": "three",
        "gov.sg": "three",
    }
    for domain, payer in payers.items():
        assert await connection.fetchval("select paying_agency($1, 'three')", domain) == payer, domain


@pytest.mark.parametrize("is_posted", [False, True], ids=["open", "October is posted"])
async def test_pages_and_sums_are_those_of_a_plain_query(connection: Connection, is_posted: bool) -> None:
    await connection.execute("select setseed(0.4)")
    await connection.execute(_INSERT)
    if is_posted:
        await close_month(connection, TERMS, OCTOBER, now=NOW, actor=NOBODY)
    for agency in ("one", "two", "three", "idle"):
        rows = await connection.fetch(_PLAIN, agency, *charged_columns(TERMS))
        sums = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, agency_id=agency)
        ids = sorted({row["id"] for row in rows})
        of_ids = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, campaign_ids=ids)
        for month in (OCTOBER, OCTOBER.next):
            expected = [row for row in rows if row["month"] == month.first]
            local = sum(row["local_messages"] for row in expected)
            foreign = sum(row["foreign_messages"] for row in expected)
            assert sums[month].sums == of_ids[month].sums == _sums_of(local, foreign), (agency, month)
        for containing in (None, "clin", "zebra"):
            wanted: dict[str, tuple[int, int, int]] = {}
            for row in rows:
                if containing is None or containing in row["name"].lower():
                    local, foreign, messages = wanted.get(row["id"], (0, 0, 0))
                    wanted[row["id"]] = (
                        local + row["local_messages"], foreign + row["foreign_messages"], messages + row["messages"],
                    )  # fmt: skip
            found = await _read_pages(connection, containing, agency_id=agency)
            assert found == await _read_pages(connection, containing, campaign_ids=ids)
            assert found == [
                (campaign, _sums_of(local, foreign), messages) for campaign, (local, foreign, messages) in wanted.items()
            ]  # fmt: skip
        lines = await fetch_lines(
            connection, TERMS, OCTOBER.next.first, Month.of(NOW).last, agency_id=agency
        )  # fmt: skip
        assert Sums.of(lines) == sums[OCTOBER.next].sums


# Of October what an agency's report has, of November what is on its bill now.
_PLAIN_WHERE_SOME_HAVE_MOVED = """
select c.id, sum(u.attempts)::bigint as messages
from campaigns c join usage_days u on u.campaign_id = c.id
where case when u.day < '2026-11-01' then exists (
        select from billing_report_campaigns p join billing_reports r on r.id = p.report_id
        where p.campaign_id = c.id and r.agency_id = $1
    ) else paying_agency(c.billing_domain, c.agency_id) = $1 end
group by c.id, c.created_at having sum(u.attempts) > 0
order by c.created_at desc, c.id desc
"""


async def test_campaigns_that_have_moved_to_another_bill_are_on_both(connection: Connection) -> None:
    await connection.execute("select setseed(0.4)")
    await connection.execute(_INSERT)
    await close_month(connection, TERMS, OCTOBER, now=NOW, actor=NOBODY)
    await connection.execute(
        "insert into agency_domains (domain, agency_id) values ('vendor.example', 'idle'), ('a.one.gov.sg', 'two')"
    )
    for agency in ("one", "two", "three", "idle"):
        wanted = await connection.fetch(_PLAIN_WHERE_SOME_HAVE_MOVED, agency)
        found = await _read_pages(connection, None, agency_id=agency)
        assert [(campaign, messages) for campaign, _, messages in found] == [tuple(row) for row in wanted]
        assert found


async def _read_pages(
    connection: Connection,
    containing: str | None,
    *,
    agency_id: str | None = None,
    campaign_ids: Sequence[str] | None = None,
) -> list[tuple[str, Sums, int]]:
    """All campaigns of an agency, or of these, four at a time."""
    found: list[tuple[str, Sums, int]] = []
    before: tuple[datetime, str] | None = None
    while True:
        page = await fetch_campaign_sums(
            connection,
            TERMS,
            PERIOD,
            agency_id=agency_id,
            campaign_ids=campaign_ids,
            containing=containing,
            limit=4,
            before=before,
        )
        if not page.campaigns:
            return found
        found += [(one.campaign_id, one.sums, one.messages) for one in page.campaigns]
        before = (page.campaigns[-1].created_at, page.campaigns[-1].campaign_id)
