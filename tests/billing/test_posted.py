"""Sums by month and by campaign: from reports where a month was posted, else from the daily totals."""

from billing.lines import Sums
from billing.posted import fetch_annual_report, fetch_campaign_sums, fetch_month_sums, fetch_report
from database.connections import Connection
from rules.billing.periods import Month, period_of
from tests.billing.builders import IN_OCTOBER, NOW, OCTOBER, PERIOD, STARTS, TERMS, TEST, agency_of, delivered
from tests.messages.builders import FOREIGN, LOCAL


async def test_months_that_are_not_posted_are_summed_as_they_are_so_far(
    connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    await delivered(connection, campaign_id, LOCAL, IN_OCTOBER, 3)
    await delivered(connection, campaign_id, FOREIGN, NOW, 2)
    await delivered(connection, other_campaign_id, LOCAL, NOW, 1)
    agency = await agency_of(connection, campaign_id)
    sums = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, agency_id=agency)
    assert list(sums) == [month for month in PERIOD.months if month <= Month.of(NOW)]
    assert sums[OCTOBER].sums == Sums(3, 3, 138)
    assert sums[OCTOBER.next].sums == Sums(1, 1, 46, 2, 2, 460)
    assert not sums[OCTOBER].is_posted
    of_one = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, campaign_ids=[other_campaign_id])
    assert [one.sums for one in of_one.values() if one.sums.messages] == [Sums(1, 1, 46)]
    elsewhere = await fetch_month_sums(connection, TEST, PERIOD, now=NOW, agency_id=agency)
    assert not any(one.sums.messages for one in elsewhere.values())
    assert await fetch_report(connection, agency, OCTOBER) is None
    assert await fetch_annual_report(connection, agency, PERIOD) is None


async def test_campaigns_are_paged_with_their_sums_and_found_by_name_or_id(
    connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    await delivered(connection, campaign_id, LOCAL, IN_OCTOBER, 3)
    await delivered(connection, other_campaign_id, FOREIGN, NOW, 1)
    await connection.execute(
        "update campaigns set status = 'deleted', deleted_at = $2 where id = $1", other_campaign_id, NOW
    )
    agency = await agency_of(connection, campaign_id)
    page = await fetch_campaign_sums(connection, TERMS, PERIOD, agency_id=agency)
    assert page.total == 2
    assert {one.campaign_id: one.sums for one in page.campaigns} == {
        campaign_id: Sums(3, 3, 138),
        other_campaign_id: Sums(0, 0, 0, 1, 1, 230),
    }
    assert [one.campaign_id for one in page.campaigns if one.deleted_at] == [other_campaign_id]
    for containing in ("LIBRARY", other_campaign_id[-12:]):
        page = await fetch_campaign_sums(connection, TERMS, PERIOD, agency_id=agency, containing=containing)
        assert [one.campaign_id for one in page.campaigns] == [other_campaign_id]
    pages = [await fetch_campaign_sums(connection, TERMS, PERIOD, agency_id=agency, limit=1)]
    for _ in range(2):
        last = pages[-1].campaigns[-1]
        before = (last.created_at, last.campaign_id)
        page = await fetch_campaign_sums(connection, TERMS, PERIOD, agency_id=agency, limit=1, before=before)
        pages += [page] if page.campaigns else []
    assert [page.total for page in pages] == [2, 2]
    assert {one.campaign_id for page in pages for one in page.campaigns} == {campaign_id, other_campaign_id}
    page = await fetch_campaign_sums(connection, TERMS, PERIOD, campaign_ids=[campaign_id])
    assert [one.campaign_id for one in page.campaigns] == [campaign_id]
    first = period_of(Month(2025, 12), STARTS)
    assert (await fetch_campaign_sums(connection, TERMS, first, agency_id=agency)).total == 0
