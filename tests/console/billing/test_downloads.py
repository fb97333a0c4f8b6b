"""Reports as files, from the page that links to them: to whom, which version, under which name; each leaves its event."""

import csv
import io
import json

import pytest

from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection
from rules.billing.periods import Month
from tests.console.billing.posted import agency_of, post
from tests.console.campaigns.making import make_campaign, make_creator, make_member, make_pic
from tests.console.served import Shown, browse, make_user, serving_console

OCTOBER, JANUARY = Month(2025, 10), Month(2026, 1)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The same in production."""
    return settings.model_copy(update={"environment": Environment.PRODUCTION})


def total_of(file: Shown) -> list[str]:
    """The last row of a CSV."""
    assert file.status == 200
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(file.body)))[-1]


async def test_reports_are_downloaded_by_who_pays_in_each_version(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    agency_id = await agency_of(connection, campaign_id)
    await post(connection, agency_id, OCTOBER, [(campaign_id, "local", 1000)])
    await post(connection, agency_id, OCTOBER, [(campaign_id, "local", 900)], version=2)
    await post(connection, agency_id, JANUARY, [(campaign_id, "local", 1388)])
    creator = await make_creator(connection)
    await make_creator(connection, "lee@library.gov.sg", "Library")
    owner = await make_member(connection, campaign_id, "olga@clinic.gov.sg", Membership.OWNER)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, creator)
        page = await browser.get("/billing?period=2025")
        paths = dict(page.links)
        for text, total, name in (
            ("CSV of Oct 2025", "900", "2025-10"),
            ("CSV of Oct 2025, version 1", "1000", "2025-10"),
            ("CSV of the annual report", "2288", "2025-2026"),
        ):
            file = await browser.get(paths[text])
            assert total_of(file)[6] == total
            assert f'filename="postman-billing_Clinic_{name}.csv"' in file.headers["content-disposition"]
        rows = await connection.fetch(
            "select actor, details from audit_events where event = 'billing_report_downloaded' order by id"
        )
        assert {row["actor"] for row in rows} == {creator.id}
        assert [json.loads(row["details"]) for row in rows] == [
            {"agency_id": agency_id, "version": 2, "form": "csv", "month": "2025-10"},
            {"agency_id": agency_id, "version": 1, "form": "csv", "month": "2025-10"},
            {"agency_id": agency_id, "version": 2, "form": "csv", "period": "2025"},
        ]
        sheet = await browser.get(paths["XLSX of Oct 2025"])
        assert (sheet.status, sheet.body[:2]) == (200, "PK")
        base = f"/billing/{agency_id}"
        for wrong in (
            f"{base}/2025-10.pdf", f"{base}/2025-11.csv", f"{base}/2026.csv", f"{base}/x.csv", f"{base}/2025-10.csv?version=3",
            f"{base}/2025-10.csv?version=x", f"{base}/2025-10.csv?version=99999999999", "/billing/%00/2025-10.csv",
        ):  # fmt: skip
            assert (await browser.get(wrong)).status == 404, wrong
        # Whoever is of another agency is told nothing; whoever pays no agency's bill, that this is none of theirs.
        for email, status in (("lee@library.gov.sg", 404), (owner.email, 403)):
            other = await browse(connection, settings, port, await make_user(connection, email))
            assert (await other.get(f"{base}/2025-10.csv")).status == status, email
        for user in (await make_pic(connection), await make_user(connection, "pat@tech.gov.sg", is_ops=True)):
            other = await browse(connection, settings, port, user)
            assert total_of(await other.get(f"{base}/2025-10.csv"))[6] == "900"
