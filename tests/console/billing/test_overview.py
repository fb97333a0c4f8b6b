"""`/billing`: periods, months and campaigns with their costs, to whoever pays or owns; the same without JavaScript."""

import re
from datetime import UTC, date, datetime

import pytest

from campaigns.campaigns import Channel
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from console.billing.chart import draw, scale_end
from database.connections import Connection
from rules.billing.periods import Month, day_of
from tests.console.billing.posted import agency_of, post, use
from tests.console.campaigns.making import make_campaign, make_creator, make_member, make_pic
from tests.console.served import Shown, browse, make_user, serving_console

# The first billing period is over and posted, whenever the test runs; the running month is this one.
OCTOBER, JANUARY = Month(2025, 10), Month(2026, 1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same in production, where messages are charged."""
    return settings.model_copy(update={"environment": Environment.PRODUCTION})


def row_of(page: Shown, name: str) -> str:
    """The text of the last row that begins with this name, of all tables."""
    rows = re.findall(r"<tr><th scope=\"row\"[^>]*>(.*?)</tr>", page.body, re.DOTALL)
    texts = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    return [text for text in texts if text.startswith(name)][-1]


async def test_a_period_has_its_costs_months_reports_and_campaigns(
    settings: Settings, connection: Connection
) -> None:
    first = await make_campaign(connection, name="<b>Reminders</b>")
    gone = await make_campaign(connection, name="Gone")
    staff = await make_campaign(connection, name="Staff", channel=Channel.INTERNAL)
    agency_id = await agency_of(connection, first)
    await connection.execute(
        "update campaigns set status = 'deleted', deleted_at = now() where id = $1", gone
    )
    await post(connection, agency_id, OCTOBER, [(first, "local", 1000), (gone, "foreign", 40)])
    await post(connection, agency_id, OCTOBER, [(first, "local", 900), (gone, "foreign", 40)], version=2)
    await post(connection, agency_id, JANUARY, [(first, "local", 1388)])
    today = day_of(datetime.now(UTC))
    await use(connection, first, today, 7)
    await use(connection, first, today, 2, destination="foreign")
    await use(connection, first, today, 5, outcome="delivery_unknown_error")
    await use(connection, staff, today, 11)
    # It was posted: what is counted there is for nobody any more.
    await use(connection, first, OCTOBER.first, 5000)
    pic = await make_pic(connection)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, pic)
        page = await browser.get("/billing")
        assert page.title == "Billing: Clinic"
        assert ("Billing", "/billing") in page.links
        # 7 × 46 + 2 × 230 mills.
        assert re.search(r"so far SGD 0\.78 9 segments, counted \d", page.text)
        assert "before GST" in page.text
        assert "<b>Reminders</b>" in page.text
        assert "<b>Reminders" not in page.body
        assert "14 14 7 2 SGD 0.78" in row_of(
            page, "<b>Reminders</b>".replace("<", "&lt;").replace(">", "&gt;")
        )
        assert "11 11 billed by Twilio to the agency" in row_of(page, "Staff")
        assert "Gone" not in page.text

        old = await browser.send(page, "/billing", period="2025")
        assert "1 Jul 2025 – 31 Jan 2026" in old.text
        # (900 + 1,388) × 46 + 40 × 230 mills, and as many segments.
        assert "Charged cost SGD 114.45" in old.text
        assert "Charged segments 2,328 1 Jul" not in old.text
        assert "2,288 local, 40 foreign" in old.text
        assert "so far SGD" not in old.text
        october = row_of(old, "Oct 2025 corrected version 2")
        assert re.search(r"940 SGD 50\.60 5 Dec 2025 XLSX", october)
        assert "Version 1:" in october
        assert "nothing was used" in row_of(old, "Sep 2025")
        assert "2,328 SGD 114.45 7 Mar 2026 XLSX" in row_of(old, "Annual report 2025–2026")
        assert row_of(old, "Gone deleted").endswith("40 40 0 40 SGD 9.20")
        assert "Annual report" not in page.text
        # The chart says what its bars are, in words and by a pattern.
        assert "Oct 2025: 900 local, 40 foreign" in old.body
        assert old.body.count('fill="url(#chart-hatch)"') == 2
        assert " style=" not in old.body

        found = await browser.send(old, "/billing", search="gON")
        assert "Reminders" not in found.text
        assert "1 campaign was used in this period and found" in found.text
        nothing = await browser.get("/billing?period=2025&search=%00zebra")
        assert "No campaign that was used in this period" in nothing.text
        for nonsense in (
            "period=1999",
            "period=x",
            "after=x",
            "after=9999-12-31T23:59:59-12:00%20x",
            "search=%25",
        ):
            assert (await browser.get(f"/billing?{nonsense}")).status == 200, nonsense


async def test_campaigns_come_in_pages(settings: Settings, connection: Connection) -> None:
    first = await make_campaign(connection)
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email, agency_id, creator_id, created_at)"
        " select 'old-' || n, 'Early ' || n, 'X', 'a@b.gov.sg', agency_id, creator_id, now() - n * interval '1 hour'"
        " from generate_series(1, 120) n, (select agency_id, creator_id from campaigns where id = $1) c",
        first,
    )
    today = day_of(datetime.now(UTC))
    for number in range(1, 121):
        await use(connection, f"old-{number}", today, number)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_pic(connection))
        page, seen = await browser.get("/billing?search=Early"), 0
        for _ in range(3):
            shown = re.findall(r">Early (\d+)</a>", page.body)
            assert [int(number) for number in shown] == list(range(seen + 1, seen + len(shown) + 1))
            seen += len(shown)
            older = [path for text, path in page.links if text == "Older campaigns"]
            assert ("120 campaigns were used" in page.text, bool(older)) == (True, seen < 120)
            page = await browser.get(older[0].partition("#")[0]) if older else page
        assert seen == 120


async def test_each_role_sees_whose_bill_it_may(settings: Settings, connection: Connection) -> None:
    own = await make_campaign(connection, name="Own")
    other = await make_campaign(connection, name="Other", owner="bob@clinic.gov.sg")
    gone = await make_campaign(connection, name="Gone", owner="bob@clinic.gov.sg")
    today = day_of(datetime.now(UTC))
    for campaign_id, segments in ((own, 100), (other, 3), (gone, 1)):
        await use(connection, campaign_id, today, segments)
    await make_member(connection, own, "olga@clinic.gov.sg", Membership.OWNER)
    await make_member(connection, gone, "olga@clinic.gov.sg", Membership.OWNER)
    await connection.execute(
        "update campaigns set status = 'deleted', deleted_at = now() where id = $1", gone
    )
    member = await make_member(connection, own, "mei@clinic.gov.sg", Membership.MEMBER)
    agency_id = await agency_of(connection, own)
    await make_creator(connection, "lee@library.gov.sg", "Library")
    strange = await make_pic(connection)
    library = await connection.fetchval("select id from agencies where name = 'Library'")
    async with serving_console(settings) as port:
        creator = await browse(connection, settings, port, await make_user(connection, "amy@clinic.gov.sg"))
        about = await creator.get(f"/campaigns/{own}/settings")
        assert "Cost of this month so far 100 segments, SGD 4.60 before GST: billing" in about.text
        page = await creator.get("/billing")
        assert "so far SGD 4.78 104 segments" in page.text
        # What the creator may not see is named, and leads nowhere.
        assert [text for text, _ in page.links if text in {"Own", "Other", "Gone"}] == ["Own"]
        assert (await creator.get(f"/billing?agency={agency_id}")).status == 200
        assert (await creator.get(f"/billing?agency={library}")).status == 404

        owner = await browse(connection, settings, port, await make_user(connection, "olga@clinic.gov.sg"))
        page = await owner.get("/billing")
        assert page.title == "Billing of your campaigns"
        assert "so far SGD 4.60 100 segments" in page.text
        assert ("Other" in page.text, "Gone" in page.text, "Download" in page.text) == (False, False, False)
        assert ("Billing", "/billing") in page.links
        assert (await owner.get(f"/billing?agency={agency_id}")).status == 404

        nobody = await browse(connection, settings, port, member)
        assert (await nobody.get("/billing")).status == 403
        assert "Cost of this month" not in (await nobody.get(f"/campaigns/{own}/settings")).text
        assert ("Billing", "/billing") not in (await nobody.get("/")).links

        ops = await browse(
            connection, settings, port, await make_user(connection, "pat@tech.gov.sg", is_ops=True)
        )
        page = await ops.get("/billing")
        assert {text for text, _ in page.links} >= {"Clinic", "Library"}
        found = await ops.send(page, "/billing", search="LIBR")
        assert [text for text, _ in found.links if text in {"Clinic", "Library"}] == ["Library"]
        page = await ops.get(next(path for text, path in page.links if text == "Clinic"))
        assert "so far SGD 4.78 104 segments" in page.text
        kept = await ops.send(page, "/billing", period="2025")
        assert kept.title == "Billing: Clinic"
        assert (await ops.get("/billing?agency=no-such")).status == 404
    assert strange.agency_id == agency_id


async def test_nothing_is_charged_outside_production(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    await use(connection, campaign_id, day_of(datetime.now(UTC)), 12)
    test = settings.model_copy(update={"environment": Environment.TEST})
    async with serving_console(test) as port:
        browser = await browse(connection, test, port, await make_pic(connection))
        page = await browser.get("/billing")
        assert "test environment: nothing is charged here" in page.text
        assert row_of(page, "Reminders").endswith("12 12 0 0 free")
        assert "Download" not in page.text
        about = (await browser.get(f"/campaigns/{campaign_id}/settings")).text
        assert "12 segments, not charged in this environment" in about


async def test_before_charges_start_there_is_no_period(settings: Settings, connection: Connection) -> None:
    await make_campaign(connection)
    later = settings.billing.model_copy(update={"starts": date(2999, 1, 1)})
    settings = settings.model_copy(update={"billing": later})
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_pic(connection))
        assert "Nothing is charged before 1 Jan 2999." in (await browser.get("/billing")).text


def test_a_chart_has_bars_as_high_as_their_figures_on_a_scale_of_round_numbers() -> None:
    chart = draw([("Oct", 300, 100), ("Nov", 0, 0), ("Dec", 1, 0), ("Jan", -5, 200)])
    october, november, december, january = chart.bars
    room = chart.lines[0].y - chart.lines[-1].y
    assert chart.lines[-1].value == 400
    assert (october.local_height, october.foreign_height) == (round(room * 0.75, 1), round(room * 0.25, 1))
    assert october.foreign_y + october.foreign_height == pytest.approx(october.local_y)
    assert (november.local_height, november.foreign_height) == (0, 0)
    # One of many is seen all the same; a correction below nothing isn't drawn.
    assert (december.local_height, january.local_height) == (2.0, 0)
    assert january.foreign_y + january.foreign_height == pytest.approx(chart.base)
    for highest in (0, 1, 5, 99, 1388, 474_611):
        end = scale_end(highest)
        assert end >= highest
        assert end % 4 == 0
        assert end <= max(4, 4 * highest)
    assert draw([]).bars == []
