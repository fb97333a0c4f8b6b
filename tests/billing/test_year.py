"""A year over three agencies: reports, files, command line, sums, logs and a count over a plain ledger agree to the mill."""

import asyncio
import contextlib
import csv
import io
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta

import openpyxl
import pytest

from audit.events import NOBODY
from billing.closing import close_month
from billing.corrections import correct_month
from billing.lines import Sums
from billing.posted import (
    PostedReport,
    fetch_annual_report,
    fetch_campaign_sums,
    fetch_month_sums,
    fetch_report,
)
from billing.prices import add_price
from billing.report_files import BREAKDOWN, SUMMARY, write_report
from campaigns.campaigns import fetch_known_campaign
from config.environment import Environment
from config.sections import BillingSettings
from config.settings import variable_of
from database.connections import Connection, Pool
from gateway.cli.main import run_command_line
from messages.logs.charges import Charges
from messages.logs.rows import LogQuery, read_log_csv
from rules.billing.outcomes import Terms
from rules.billing.periods import Month, begin_of, period_of
from rules.billing.prices import Price
from tests.billing.builders import make_agency, make_campaign
from tests.billing.made_up_year import (
    MONTHS,
    PRICES,
    STARTS,
    Count,
    Entry,
    MadeUpYear,
    Payer,
    count,
    edges,
    posted_at,
)

TERMS = Terms(starts=STARTS, charge_own_expiry=False, is_production=True)
PERIOD = period_of(Month(2023, 2), STARTS)
SETTINGS = BillingSettings(starts=STARTS)
BATCHES_A_MONTH, ROWS = 9, 14
CORRECTED, TAKEN_BACK = date(2023, 5, 1), 2


class Year:
    """The year when it is over: who pays for what, and the ledger."""

    def __init__(self, connection: Connection) -> None:
        self.traffic = MadeUpYear(connection, 16)
        self.agencies: dict[str, str] = {}
        self.payers: list[Payer] = []

    @property
    def end(self) -> datetime:
        return self.traffic.end

    def entries(
        self, *, agency: str | None = None, campaign: str | None = None, month: date | None = None
    ) -> list[Entry]:
        return [
            entry
            for entry in self.traffic.ledger
            if agency in (None, entry.payer.agency)
            and campaign in (None, entry.payer.campaign_id)
            and (entry.month == month if month else entry.month in MONTHS)
        ]

    def sums(
        self, *, agency: str | None = None, campaign: str | None = None, month: date | None = None
    ) -> Sums:
        """What was charged when it was posted, with the correction."""
        counted = count(self.entries(agency=agency, campaign=campaign, month=month), self.end)
        corrected = self.payers[0]
        if (
            agency in (None, corrected.agency)
            and campaign in (None, corrected.campaign_id)
            and month in (None, CORRECTED)
        ):
            return as_sums(counted) + Sums(0, -TAKEN_BACK, -TAKEN_BACK * 46)
        return as_sums(counted)


def as_sums(counted: Count) -> Sums:
    (local_messages, other_messages), (local, others), (local_mills, other_mills) = (
        counted.messages,
        counted.segments,
        counted.mills,
    )
    return Sums(local_messages, local, local_mills, other_messages, others, other_mills)


async def set_up(connection: Connection) -> Year:
    """Three agencies, one without a payment form, one of two domains; a campaign of another agency's creator; staff's ones."""
    year = Year(connection)
    for name, domains in (
        ("Clinics", ["clinic.gov.sg", "health.gov.sg"]),
        ("Libraries", ["library.gov.sg"]),
        ("Parks", ["parks.gov.sg"]),
    ):
        year.agencies[name] = await make_agency(connection, name, domains)
    await connection.execute(
        "update agencies set customer_id = 'C-' || name, sub_bu = 'B', billing_contact = 'f@x.gov.sg' where name <> 'Parks'"
    )
    for made_for, creator, payer, channel in (
        ("Clinics", "a@clinic.gov.sg", "Clinics", "public"),
        ("Clinics", "b@east.health.gov.sg", "Clinics", "public"),
        ("Clinics", "c@clinic.gov.sg", "Clinics", "internal"),
        ("Clinics", "d@library.gov.sg", "Libraries", "public"),
        ("Libraries", "d@library.gov.sg", "Libraries", "public"),
        ("Parks", "e@parks.gov.sg", "Parks", "public"),
        ("Parks", "f@nowhere.gov.sg", "Parks", "public"),
    ):
        campaign = await make_campaign(
            connection, year.agencies[made_for], creator, f"Notices of {creator}", channel=channel
        )
        year.payers.append(Payer(campaign, payer, channel == "public"))
    return year


async def live_through(connection: Connection, year: Year) -> None:
    """Months pass and are posted, each on its day; then whatever comes late."""
    choice = random.Random(1)
    for begin, (local, others) in PRICES.items():
        await add_price(connection, begin, Price(local, others), actor=NOBODY)
    payers = itertools.cycle(year.payers)
    for month in MONTHS:
        end = edges(month)[-1]
        times = [end - timedelta(days=choice.uniform(0, 27)) for _ in range(BATCHES_A_MONTH - 3)]
        for at in (*times, *edges(month)):
            # To the millisecond, as the database keeps it.
            moment = at.replace(microsecond=at.microsecond // 1000 * 1000)
            await year.traffic.add_batch(next(payers), moment, ROWS)
    # The last moment at the old price, and the first at the new one.
    for early in (timedelta(seconds=2), timedelta()):
        await year.traffic.add_batch(year.payers[0], begin_of(max(PRICES)) - early, ROWS)
    for number, month in enumerate(MONTHS):
        end = edges(month)[-1]
        await year.traffic.pass_until(end)
        if month == date(2023, 6, 1):
            await check_so_far(connection, year, month, end)
        due = posted_at(month)
        await year.traffic.pass_until(due)
        posted = await close_month(connection, TERMS, Month.of(month), now=due, actor=NOBODY)
        assert [one.month for one in posted] == [Month.of(month)]
        if number == 4:
            await connection.execute(
                "update campaigns set status = 'deleted', deleted_at = $2 where id = any($1::text[])",
                [year.payers[1].campaign_id, year.payers[4].campaign_id],
                due,
            )
    await year.traffic.pass_until(year.end)
    await correct_month(
        connection, Month.of(CORRECTED), year.payers[0].campaign_id, -TAKEN_BACK,
        foreign=False, reason="sent twice", now=posted_at(CORRECTED), actor=NOBODY,
    )  # fmt: skip


async def check_so_far(connection: Connection, year: Year, month: date, now: datetime) -> None:
    """A month that isn't posted is shown as it is at that moment."""
    for name, agency in year.agencies.items():
        sums = await fetch_month_sums(connection, TERMS, PERIOD, now=now, agency_id=agency)
        so_far = as_sums(count(year.entries(agency=name, month=month), now))
        assert (sums[Month.of(month)].is_posted, sums[Month.of(month)].sums) == (False, so_far)
        assert so_far.mills


async def test_all_that_tells_of_a_year_agrees_with_a_plain_count_to_the_mill(
    connection: Connection,
    pool: Pool,
    gateway_variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    year = await set_up(connection)
    await live_through(connection, year)
    assert_that_the_traffic_has_everything(year)
    for name, agency in year.agencies.items():
        await check_reports(connection, year, name, agency)
        await check_sums(connection, year, name, agency)
    await check_logs(connection, pool, year)
    for variable, value in gateway_variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv(variable_of("environment"), "production")
    monkeypatch.setenv(variable_of("billing.starts"), str(STARTS))
    for name in year.agencies:
        capsys.readouterr()
        words = ["billing", "show", "--agency", name, "--period", PERIOD.name, "--json"]
        assert await asyncio.to_thread(run_command_line, words) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["costMills"] == year.sums(agency=name).mills
        assert {one["month"]: (one["segments"], one["costMills"]) for one in shown["months"]} == {
            str(month)[:7]: (sums.segments, sums.mills)
            for month in MONTHS
            for sums in [year.sums(agency=name, month=month)]
        }


def assert_that_the_traffic_has_everything(year: Year) -> None:
    """Else the agreement would say little."""
    entries = year.entries()
    assert len(entries) > 1500
    charged = [entry for entry in entries if entry.is_charged(year.end)]
    assert {entry.is_local for entry in charged} == {True, False}
    assert any(own for entry in entries for _, _, own in entry.outcomes)
    # Came to something else after its month was posted, or to something at all.
    late = [entry for entry in entries if entry.outcomes and entry.outcomes[-1][0] >= posted_at(entry.month)]
    assert any(len(entry.outcomes) == 1 for entry in late)
    assert any(len(entry.outcomes) > 1 for entry in late)
    assert {entry.price for entry in charged} == {46, 230, 50, 260}
    assert {entry.payer.campaign_id for entry in entries} == {payer.campaign_id for payer in year.payers}
    assert {entry.month for entry in charged} == set(MONTHS)


async def check_reports(connection: Connection, year: Year, name: str, agency: str) -> None:
    """Each month's report and its files, and the year's, which is their sum."""
    total = Sums()
    for month in MONTHS:
        report = await fetch_report(connection, agency, Month.of(month))
        assert report is not None
        check_report(year, report, year.sums(agency=name, month=month), month)
        assert report.version == (2 if (name, month) == ("Clinics", CORRECTED) else 1)
        total += report.sums
    annual = await fetch_annual_report(connection, agency, PERIOD)
    assert annual is not None
    assert annual.sums == total
    assert annual.posted_at == posted_at(MONTHS[-1])
    check_report(year, annual, year.sums(agency=name), None)
    assert (annual.customer_id is None) == (name == "Parks")


def check_report(year: Year, report: PostedReport, sums: Sums, month: date | None) -> None:
    assert report.sums == sums == Sums.of(report.lines)
    by_campaign = {
        campaign.campaign_id: year.sums(campaign=campaign.campaign_id, month=month)
        for campaign in report.campaigns
    }
    assert sum(by_campaign.values(), Sums()) == sums
    xlsx, text = io.BytesIO(), io.BytesIO()
    write_report(report, xlsx, "xlsx")
    write_report(report, text, "csv")
    book = openpyxl.load_workbook(xlsx, read_only=True)
    summary = {row[0]: row for row in book[SUMMARY].iter_rows(values_only=True) if row and row[0]}
    for label, messages, segments, mills in (
        ("Local", sums.local_messages, sums.local_segments, sums.local_mills),
        ("Foreign", sums.foreign_messages, sums.foreign_segments, sums.foreign_mills),
        ("Total", sums.messages, sums.segments, sums.mills),
    ):
        assert summary[label][1:3] + summary[label][5:6] == (messages, segments, mills)
    breakdown = {str(row[0]): row for row in book[BREAKDOWN].iter_rows(min_row=2, values_only=True)}
    lines = csv.reader(io.StringIO(text.getvalue().decode("utf-8-sig")))
    of_csv = {row[0]: row for row in lines}
    for campaign, its in (*by_campaign.items(), ("Total", sums)):
        exact = [its.local_segments, its.foreign_segments, its.segments, its.mills]
        assert [breakdown[campaign][place] for place in (6, 8, 10, 12)] == exact
        assert [int(of_csv[campaign][place]) for place in (6, 8, 10, 12)] == exact
        assert of_csv[campaign][11] == f"{(its.mills + 5) // 10 / 100:.2f}"
    assert len(breakdown) == len(of_csv) - 1 == len(by_campaign) + 1


async def check_sums(connection: Connection, year: Year, name: str, agency: str) -> None:
    """What the dashboard shows: the agency's, and that of each campaign for who sees it alone."""
    months = await fetch_month_sums(connection, TERMS, PERIOD, now=year.end, agency_id=agency)
    assert {month.first: one.sums for month, one in months.items()} == {
        month: year.sums(agency=name, month=month) for month in MONTHS
    }
    page = await fetch_campaign_sums(connection, TERMS, PERIOD, agency_id=agency)
    assert {one.campaign_id: one.sums for one in page.campaigns} == {
        payer.campaign_id: year.sums(campaign=payer.campaign_id)
        for payer in year.payers
        if payer.agency == name
    }
    for one in page.campaigns:
        entries = year.entries(campaign=one.campaign_id)
        known = [
            entry for entry in entries if any(at < posted_at(entry.month) for at, _, _ in entry.outcomes)
        ]
        assert one.messages == len(known)
        of_one = await fetch_month_sums(
            connection, TERMS, PERIOD, now=year.end, campaign_ids=[one.campaign_id]
        )
        assert {month.first: its.sums for month, its in of_one.items()} == {
            month: year.sums(campaign=one.campaign_id, month=month) for month in MONTHS
        }


async def check_logs(connection: Connection, pool: Pool, year: Year) -> None:
    """A log's charged rows, summed by a reader with a list of prices, are the report but for the correction, which has no row."""

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        async with pool.acquire() as acquired:
            yield acquired

    changed = list(PRICES)[-1]
    spans = [
        (begin, end)
        for month in MONTHS
        for begin, end in [(month, Month.of(month).last)]
        if month != changed.replace(day=1)
    ]
    spans += [(changed.replace(day=1), changed - timedelta(days=1)), (changed, Month.of(changed).last)]
    summed: Counter[tuple[str, date]] = Counter()
    for payer in year.payers:
        campaign = await fetch_known_campaign(connection, payer.campaign_id)
        charges = Charges.of(SETTINGS, Environment.PRODUCTION, campaign.channel)
        for begin, end in spans:
            local, others = [price for day, price in PRICES.items() if day <= begin][-1]
            query = LogQuery(campaign, charges, begin, end)
            content = b"".join([piece.text async for piece in read_log_csv(connect, query)])
            rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
            for row in rows:
                if row["charged"] == "yes":
                    price = local if row["recipient"].startswith("65") else others
                    summed[payer.campaign_id, begin.replace(day=1)] += int(row["segments"]) * price
    assert summed == Counter(
        {
            (payer.campaign_id, month): mills
            for payer in year.payers
            for month in MONTHS
            for mills in [sum(count(year.entries(campaign=payer.campaign_id, month=month), year.end).mills)]
            if mills
        }
    )
