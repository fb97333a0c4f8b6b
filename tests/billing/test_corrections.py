"""Corrections: a new version each, until the month is final; and prices by date."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from audit.events import NOBODY, Actor
from billing.closing import close_month
from billing.corrections import CorrectedReport, correct_month
from billing.errors import BillingRefused, NotPosted
from billing.lines import Sums
from billing.posted import fetch_annual_report, fetch_month_sums, fetch_report
from billing.prices import add_price, fetch_prices
from database.connections import Connection
from rules.billing.periods import Month
from rules.billing.prices import Price
from tests.billing.builders import (
    NOW,
    OCTOBER,
    PERIOD,
    TERMS,
    agency_of,
    delivered,
    make_campaign,
)
from tests.messages.builders import FOREIGN

# The last moment of the day until which it can be disputed.
LAST_MOMENT = datetime(2026, 12, 20, 15, 59, 59, tzinfo=UTC)


async def post(connection: Connection, month: Month = OCTOBER, now: datetime = NOW) -> None:
    await close_month(connection, TERMS, month, now=now, actor=NOBODY)


async def correct(
    connection: Connection,
    campaign_id: str,
    segments: int,
    *,
    foreign: bool = False,
    reason: str = "ticket 4711",
    now: datetime = LAST_MOMENT,
    month: Month = OCTOBER,
    actor: Actor = NOBODY,
) -> CorrectedReport:
    return await correct_month(
        connection, month, campaign_id, segments, foreign=foreign, reason=reason, now=now, actor=actor
    )


async def test_a_correction_is_a_new_version_and_the_old_one_stays(
    connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id, rows=5)
    await delivered(connection, campaign_id, FOREIGN, rows=2)
    await add_price(connection, date(2026, 10, 31), Price(50, 300), actor=NOBODY)
    await post(connection)
    agency = await agency_of(connection, campaign_id)
    first = await fetch_report(connection, agency, OCTOBER)
    assert await correct(connection, campaign_id, -2) == CorrectedReport(agency, 2, -100, date(2026, 12, 20))
    await correct(connection, campaign_id, 1, foreign=True, reason="a forgotten one")
    await correct(connection, campaign_id, -1)
    assert await fetch_report(connection, agency, OCTOBER, 1) == first
    latest = await fetch_report(connection, agency, OCTOBER)
    assert latest is not None
    assert latest.sums == Sums(5, 2, 5 * 46 - 3 * 50, 2, 3, 2 * 230 + 300)
    assert Sums.of(latest.lines) == latest.sums
    assert (latest.version, latest.posted_at, latest.dispute_by) == (4, LAST_MOMENT, date(2026, 12, 20))
    assert [(one.version, one.reason) for one in latest.corrections] == [
        (2, "ticket 4711"),
        (3, "a forgotten one"),
        (4, "ticket 4711"),
    ]
    assert latest.prices == [Price(46, 230), Price(50, 300)]
    second = await fetch_report(connection, agency, OCTOBER, 2)
    assert second is not None
    assert ([one.version for one in second.corrections], second.sums.local_segments) == ([2], 3)
    sums = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, agency_id=agency)
    assert (sums[OCTOBER].version, sums[OCTOBER].sums) == (4, latest.sums)
    of_campaign = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, campaign_ids=[campaign_id])
    assert of_campaign[OCTOBER].sums == latest.sums
    events = await connection.fetch(
        "select details from audit_events where event = 'billing_corrected' order by id"
    )
    assert json.loads(events[0]["details"]) == {
        "agency_id": agency, "month": "2026-10", "version": 2, "destination": "local", "segments": -2, "reason": "ticket 4711",
    }  # fmt: skip


async def test_what_sent_nothing_then_can_be_corrected_too(connection: Connection, campaign_id: str) -> None:
    await delivered(connection, campaign_id)
    agency = await agency_of(connection, campaign_id)
    silent = await make_campaign(connection, agency, "a@clinic.gov.sg")
    await post(connection)
    await correct(connection, silent, 3)
    report = await fetch_report(connection, agency, OCTOBER)
    assert report is not None
    assert (report.sums, len(report.campaigns)) == (Sums(1, 4, 184), 2)
    await correct(connection, silent, -3)
    assert (await correct(connection, silent, 1)).version == 4


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"segments": -4}, "charges c-1 for 3 local segments: no more than that can be taken back"),
        ({"segments": -1, "foreign": True}, "charges c-1 for 0 foreign segments"),
        ({"segments": 0}, "a correction is of 1 to 1,000,000,000 segments"),
        ({"segments": 10**9 + 1}, "a correction is of 1 to 1,000,000,000 segments"),
        ({"reason": "  "}, "a correction needs a reason of 1 to 500 printable characters"),
        ({"reason": "x" * 501}, "a correction needs a reason"),
        ({"reason": "a\x07b"}, "a correction needs a reason"),
        (
            {"now": LAST_MOMENT + timedelta(seconds=1)},
            "2026-10 is final: it could be disputed until 2026-12-20",
        ),
        ({"campaign_id": "nobody"}, "there is no campaign 'nobody'"),
        ({"campaign_id": "c-internal"}, "c-internal is an internal campaign"),
        ({"month": OCTOBER.previous}, "sent nothing then"),
    ],
)
async def test_what_the_rules_do_not_allow_is_refused(
    connection: Connection, asked: dict[str, object], text: str
) -> None:
    agency = await connection.fetchval("select id from agencies")
    await make_campaign(connection, agency, "a@clinic.gov.sg", campaign_id="c-1")
    await make_campaign(connection, agency, "a@clinic.gov.sg", campaign_id="c-internal", channel="internal")
    await delivered(connection, "c-1", rows=3)
    await post(connection, OCTOBER.previous)
    await post(connection)
    with pytest.raises(BillingRefused, match=text):
        await correct(connection, **{"campaign_id": "c-1", "segments": 1, **asked})  # type: ignore[arg-type]
    assert await connection.fetchval("select max(version) from billing_reports") == 1


async def test_a_month_that_is_not_posted_has_nothing_to_correct(
    connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id)
    with pytest.raises(NotPosted, match="2026-10 is not posted yet"):
        await correct(connection, campaign_id, 1)


async def test_the_annual_report_sums_the_latest_versions_up_once_its_last_month_is_posted(
    connection: Connection, campaign_id: str
) -> None:
    january = datetime(2027, 1, 31, 15, 59, tzinfo=UTC)
    await delivered(connection, campaign_id, rows=2)
    await delivered(connection, campaign_id, FOREIGN, at=january)
    agency = await agency_of(connection, campaign_id)
    await post(connection)
    assert await fetch_annual_report(connection, agency, PERIOD) is None
    await correct(connection, campaign_id, 10)
    posted_at = datetime(2027, 2, 5, tzinfo=UTC)
    await post(connection, PERIOD.last, posted_at)
    report = await fetch_annual_report(connection, agency, PERIOD)
    assert report is not None
    assert report.sums == Sums(2, 12, 552, 1, 1, 230) == Sums.of(report.lines)
    assert (report.version, report.posted_at, report.dispute_by) == (2, posted_at, date(2027, 3, 7))
    assert [(str(one.month), one.version) for one in report.corrections] == [("2026-10", 2)]
    assert [one.campaign_id for one in report.campaigns] == [campaign_id]
    # Posted before they had begun, as in a rehearsal.
    early = await fetch_month_sums(connection, TERMS, PERIOD, now=NOW, agency_id=agency)
    assert sum((one.sums for one in early.values()), Sums()) == report.sums


async def test_prices_are_added_for_days_that_can_still_change(
    connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id)
    await post(connection)
    with pytest.raises(
        BillingRefused, match="2026-10-31 lies in a month that was posted: a price can begin on 2026-11-01"
    ):
        await add_price(connection, date(2026, 10, 31), Price(1, 2), actor=NOBODY)
    await add_price(connection, date(2026, 11, 1), Price(1, 2), actor=NOBODY)
    with pytest.raises(BillingRefused, match="there is a price from 2026-11-01 on"):
        await add_price(connection, date(2026, 11, 1), Price(3, 4), actor=NOBODY)
    prices = await fetch_prices(connection)
    assert [prices.on(day).local_mills for day in (date(2026, 10, 31), date(2026, 11, 1))] == [46, 1]
    events = await connection.fetch("select details from audit_events where event = 'billing_price_added'")
    assert [json.loads(event["details"]) for event in events] == [
        {"valid_from": "2026-11-01", "local_mills": 1, "foreign_mills": 2}
    ]


async def test_the_audit_log_tells_who_added_a_price_and_who_corrected(
    connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id)
    await add_price(connection, date(2026, 10, 31), Price(1, 2), actor=Actor("operator-1"))
    await post(connection)
    await correct(connection, campaign_id, 1, actor=Actor("operator-2"))
    events = await connection.fetch(
        "select event, actor from audit_events where actor like 'operator-%' order by id"
    )
    assert [tuple(event) for event in events] == [
        ("billing_price_added", "operator-1"),
        ("billing_corrected", "operator-2"),
    ]


async def test_the_longest_reason_is_kept_whole(connection: Connection, campaign_id: str) -> None:
    await delivered(connection, campaign_id)
    await post(connection)
    await correct(connection, campaign_id, 1, reason=f"  {'x' * 498}\n y ")
    report = await fetch_report(connection, await agency_of(connection, campaign_id), OCTOBER)
    assert report is not None
    assert [one.reason for one in report.corrections] == [f"{'x' * 498} y"]
