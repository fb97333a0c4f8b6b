"""Months are posted once, in their order, each in one transaction; and then nothing of them moves."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest

from audit.events import NOBODY
from billing.closing import PostedMonth, close_due_months, close_month
from billing.errors import BillingRefused
from billing.lines import Sums
from billing.posted import PostedReport, fetch_month_sums, fetch_report
from database.connections import Connection, Pool
from messages.attempts import record_news
from messages.news import Receipt
from messages.statuses import ErrorCode, MessageStatus
from rules.billing.outcomes import Terms
from rules.billing.periods import Month
from tests.billing.builders import (
    IN_OCTOBER,
    NOW,
    OCTOBER,
    PERIOD,
    TERMS,
    TEST,
    agency_of,
    delivered,
    make_agency,
    make_campaign,
)
from tests.messages.builders import FOREIGN, make_batch

DUE = datetime(2026, 11, 4, 16, tzinfo=UTC)
WAITING = (
    "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    " and database = (select oid from pg_database where datname = current_database())"
)
JULY = datetime(2026, 7, 31, 15, 59, 59, tzinfo=UTC)


async def close(
    connection: Connection, month: Month = OCTOBER, *, now: datetime = DUE, terms: Terms = TERMS
) -> list[PostedMonth]:
    return await close_month(connection, terms, month, now=now, actor=NOBODY)


async def report_of(connection: Connection, campaign_id: str, month: Month = OCTOBER) -> PostedReport:
    report = await fetch_report(connection, await agency_of(connection, campaign_id), month)
    assert report is not None
    return report


async def test_a_month_is_posted_from_its_day_on_and_once(connection: Connection, campaign_id: str) -> None:
    await delivered(connection, campaign_id, rows=3)
    with pytest.raises(BillingRefused, match="2026-10 is posted from 2026-11-05, 00:00 in Singapore"):
        await close(connection, now=DUE - timedelta(milliseconds=1))
    assert await close(connection) == [PostedMonth(OCTOBER, 1)]
    assert await close(connection, now=NOW) == []
    report = await report_of(connection, campaign_id)
    assert (report.version, report.posted_at, report.dispute_by) == (1, DUE, date(2026, 12, 5))
    assert report.sums == Sums(3, 3, 138)
    assert [one.campaign_id for one in report.campaigns] == [campaign_id]
    events = await connection.fetch("select details from audit_events where event = 'billing_month_posted'")
    assert [row["details"] for row in events] == ['{"month": "2026-10", "reports": 1}']


@pytest.mark.parametrize(
    ("terms", "month", "text"),
    [
        (TEST, OCTOBER, "nothing is charged here"),
        (TERMS, Month(2025, 6), "charges start on 2025-07-01"),
    ],
    ids=["outside-production", "before-charges-start"],
)
async def test_what_is_not_charged_is_not_posted(
    connection: Connection, terms: Terms, month: Month, text: str
) -> None:
    with pytest.raises(BillingRefused, match=text):
        await close(connection, month, terms=terms)
    assert await connection.fetchval("select count(*) from billing_months") == 0


async def test_months_before_it_that_have_usage_are_posted_first(
    connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id, at=JULY)
    # A second later it is August in Singapore.
    await delivered(connection, campaign_id, at=JULY + timedelta(seconds=1), rows=2)
    posted = await close(connection)
    assert [str(one.month) for one in posted] == ["2026-07", "2026-08", "2026-10"]
    assert [one.reports for one in posted] == [1, 1, 0]
    assert (await report_of(connection, campaign_id, Month(2026, 8))).sums.segments == 2
    assert await fetch_report(connection, await agency_of(connection, campaign_id), OCTOBER) is None
    # One without usage in between is closed with them.
    assert await close(connection, Month(2026, 9)) == []


async def test_whatever_comes_late_changes_nothing_that_was_posted(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(
        connection, campaign_id, [MessageStatus.SENDING] * 3, recipient=FOREIGN, at=IN_OCTOBER
    )
    await record(
        connection, *(Receipt(batch.key(row), MessageStatus.SENT_TO_TELCO, at=IN_OCTOBER) for row in (2, 3))
    )
    await close(connection)
    before = await report_of(connection, campaign_id)
    assert before.sums == Sums(0, 0, 0, 2, 2, 460)
    await record(
        connection,
        Receipt(batch.key(2), MessageStatus.FAILURE, ErrorCode.DELIVERY_UNKNOWN_ERROR, at=IN_OCTOBER),
        Receipt(batch.key(4), MessageStatus.SUCCESS, at=IN_OCTOBER),
    )
    await connection.execute("update campaigns set name = 'New', status = 'deleted', deleted_at = $1", NOW)
    await connection.execute("update agencies set name = name || ' (new)', customer_id = 'C1'")
    await connection.execute("insert into prices values ('2026-11-01', 1, 1)")
    assert await report_of(connection, campaign_id) == before
    sums = await fetch_month_sums(
        connection, TERMS, PERIOD, now=NOW, agency_id=await agency_of(connection, campaign_id)
    )
    assert sums[OCTOBER].sums == before.sums
    assert (sums[OCTOBER].version, sums[OCTOBER].dispute_by) == (1, date(2026, 12, 5))
    # Of the two months since, which are not posted, nothing is charged yet.
    assert [one.sums.segments for one in sums.values() if not one.is_posted] == [0]


async def record(connection: Connection, *news: Receipt) -> None:
    async with connection.transaction():
        await record_news(connection, news, now=NOW)


async def until_waiting(connection: Connection, count: int) -> None:
    """Wait until so many wait for the totals of this database."""
    async with asyncio.timeout(30):
        while await connection.fetchval(WAITING) < count:  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.01)


async def test_many_may_post_at_once_and_who_writes_outcomes_meanwhile_is_waited_for(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [MessageStatus.SENDING] * 2, at=IN_OCTOBER)
    async with pool.acquire() as first, pool.acquire() as second, pool.acquire() as writer:
        outcome = writer.transaction()
        await outcome.start()
        await record_news(writer, [Receipt(batch.key(2), MessageStatus.SUCCESS, at=IN_OCTOBER)], now=NOW)
        closing = [asyncio.create_task(close(one)) for one in (first, second)]
        await until_waiting(connection, 2)
        await outcome.commit()
        posted = await asyncio.gather(*closing)
    assert sorted(map(len, posted)) == [0, 1]
    assert (await report_of(connection, campaign_id)).sums.segments == 1


async def test_a_bill_goes_to_the_agency_of_its_creators_domain(connection: Connection) -> None:
    clinic = await make_agency(connection, "Clinics", ["clinic.gov.sg", "health.gov.sg"])
    library = await make_agency(connection, "Libraries", ["library.gov.sg"])
    made = [
        await make_campaign(connection, clinic, "a@clinic.gov.sg"),
        await make_campaign(connection, clinic, "b@sub.health.gov.sg"),
        # Made for the clinics by somebody of the libraries.
        await make_campaign(connection, clinic, "c@library.gov.sg"),
        await make_campaign(connection, library, "d@elsewhere.gov.sg"),
        await make_campaign(connection, library, "e@library.gov.sg", channel="internal"),
    ]
    for campaign in made:
        await delivered(connection, campaign)
    await connection.execute(
        "update agencies set customer_id = 'C42', sub_bu = 'B', billing_contact = 'x@y.sg'"
    )
    await close(connection)
    reports = {}
    for agency in (clinic, library):
        report = await fetch_report(connection, agency, OCTOBER)
        assert report is not None
        assert (report.customer_id, report.sub_bu, report.contact) == ("C42", "B", "x@y.sg")
        reports[agency] = report
    assert {one.campaign_id for one in reports[clinic].campaigns} == {*made[:2]}
    assert {one.campaign_id for one in reports[library].campaigns} == {*made[2:]}
    # What is sent to staff is counted, and never charged.
    assert [reports[agency].sums.segments for agency in (clinic, library)] == [2, 2]
    assert [line.attempts for line in reports[library].lines if not line.charged] == [1]


async def test_what_was_sent_before_charges_start_is_on_no_report(
    connection: Connection, campaign_id: str
) -> None:
    terms = Terms(starts=IN_OCTOBER.date(), charge_own_expiry=False, is_production=True)
    await delivered(connection, campaign_id, at=IN_OCTOBER - timedelta(days=1))
    await delivered(connection, campaign_id, rows=2)
    await close(connection, terms=terms)
    assert (await report_of(connection, campaign_id)).sums.segments == 2


async def test_nothing_is_posted_while_an_upgrade_still_counts(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await delivered(connection, campaign_id)
    await connection.execute("update batches set usage_counted = false where batch_no = $1", batch.batch_no)
    with pytest.raises(BillingRefused, match="still being counted"):
        await close(connection)
    await close_due_months(pool, TERMS, now=NOW)
    assert await connection.fetchval("select count(*) from billing_months") == 0


async def test_the_worker_posts_each_month_when_its_day_has_come(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id)
    await close_due_months(pool, TEST, now=NOW)
    await close_due_months(pool, Terms(date(2027, 1, 1), False, True), now=NOW)
    months: list[list[str]] = []
    for now in (DUE - timedelta(seconds=1), DUE, NOW, NOW + timedelta(days=30)):
        await close_due_months(pool, TERMS, now=now)
        rows = await connection.fetch("select month from billing_months order by 1")
        months.append([str(Month.of(row["month"])) for row in rows])
    assert months == [
        ["2026-09"],
        ["2026-09", "2026-10"],
        ["2026-09", "2026-10"],
        ["2026-09", "2026-10", "2026-11"],
    ]
