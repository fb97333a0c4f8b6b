"""Sending in a real browser: a file is dropped or chosen, and sent after its price was shown; a message is seen as typed."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, expect

from config.settings import Settings
from database.connections import Connection
from tests.console.browser.chromium import accessibility_findings, is_too_wide, open_context
from tests.console.campaigns.making import make_campaign
from tests.console.sending.uploading import BAD, GOOD
from tests.console.served import make_user, serving_console, session_value

PHONE = {"width": 390, "height": 844}
DROP = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name, {type: "text/csv"}));
    const zone = document.querySelector("[data-drop]");
    for (const kind of ["dragenter", "dragover", "drop"])
        zone.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


@asynccontextmanager
async def browsing(
    chromium: str, settings: Settings, connection: Connection, **options: object
) -> AsyncIterator[tuple[Page, str]]:
    """A page of somebody who may send in a campaign, and the campaign's id."""
    campaign_id = await make_campaign(connection)
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, **options) as (context, _):
            yield await context.new_page(), campaign_id


@pytest.mark.usefixtures("worker")
async def test_a_refused_file_is_corrected_dropped_and_sent_after_its_price_was_shown(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    async with browsing(chromium, settings, connection, viewport=PHONE) as (page, campaign_id):
        await page.goto(f"/campaigns/{campaign_id}/send-file")
        await page.get_by_label("CSV file").set_input_files(
            {"name": "clinic.txt", "mimeType": "text/plain", "buffer": BAD}
        )
        await expect(page.get_by_role("status").filter(has_text="Only .csv files")).to_be_visible()
        await page.get_by_label("CSV file").set_input_files(
            {"name": "clinic.csv", "mimeType": "text/csv", "buffer": BAD}
        )
        await page.get_by_role("button", name="Check this file").click()
        await expect(page.get_by_text("2 faults in 2 rows")).to_be_visible()
        assert not await accessibility_findings(page)
        assert not await is_too_wide(page)
        # From the page of its report, the corrected one goes on.
        await page.get_by_role("link", name="See the whole report").click()
        await expect(page.get_by_role("heading", name="Upload the mended file")).to_be_visible()
        await page.evaluate(DROP, ["corrected.csv", GOOD.decode()])
        await expect(
            page.get_by_text(re.compile(r"4 messages, 8 segments, free: test environment"))
        ).to_be_visible()
        await expect(page.get_by_text("Dear Tan, your letter is ready.")).to_be_visible()
        assert not await accessibility_findings(page)
        assert not await is_too_wide(page)
        assert await connection.fetchval("select count(*) from batches") == 0
        await page.get_by_role("button", name="Send 4 messages").click()
        await expect(page.get_by_text("4 messages were handed over")).to_be_visible()
        assert await connection.fetchval("select count(*) from messages") == 4
        assert not await accessibility_findings(page)
        await page.get_by_role("link", name="See how they are delivered").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("corrected.csv")


async def test_a_message_is_seen_while_it_is_typed_and_then_sent(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    async with browsing(chromium, settings, connection) as (page, campaign_id):
        await page.goto(f"/campaigns/{campaign_id}/send")
        await page.get_by_label("Country").select_option("60")
        await expect(page.get_by_label("Mobile number")).to_have_value("60")
        await page.get_by_label("Country").select_option("65")
        await page.get_by_label("Mobile number").press_sequentially("91234567")
        await page.get_by_label("name", exact=True).fill("Tan")
        await page.get_by_label("topic", exact=True).fill("letter")
        await expect(page.get_by_text("Dear Tan, your letter is ready.")).to_be_visible()
        assert not await accessibility_findings(page)
        await page.get_by_role("button", name="Send", exact=True).click()
        await expect(page.get_by_text("The message was handed over")).to_be_visible()
        assert await connection.fetchval("select recipient from messages") == "6591234567"
        # A session that ends while somebody types is no error of the page's; its button leads to the login.
        await page.goto(f"/campaigns/{campaign_id}/send")
        await connection.execute("update console_sessions set ended_at = now()")
        async with page.expect_request_finished(lambda asked: asked.method == "POST"):
            await page.get_by_label("Mobile number").fill("6591234567")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.get_by_text("Your session has ended")).to_be_visible()
