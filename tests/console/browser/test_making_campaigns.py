"""A campaign is made in a real browser: the steps, tabs by keyboard, and what is said of a text while it is typed."""

import re

from playwright.async_api import expect

from campaigns.campaigns import list_campaigns
from config.settings import Settings
from database.connections import Connection
from rules.templates import Language
from tests.console.browser.chromium import accessibility_findings, is_too_wide, open_context
from tests.console.campaigns.making import make_creator
from tests.console.served import serving_console, session_value

BAD_REQUEST = "error: Failed to load resource: the server responded with a status of 400 (Bad Request)"
PHONE = {"width": 390, "height": 844}


async def test_a_campaign_is_made_in_three_steps(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    user = await make_creator(connection)
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, viewport=PHONE) as (context, complaints):
            page = await context.new_page()
            await page.goto("/")
            await page.get_by_role("link", name="Create campaign").click()
            await page.get_by_label("Name of the campaign").fill("Clinic <b>reminders</b>")
            await page.keyboard.press("Enter")
            await page.get_by_label("Members of the public").check()
            await page.get_by_role("button", name="Continue").click()

            english = page.get_by_label("Message in English")
            await english.fill("Dear {{name}} – see you at {{time}}")
            remarks = page.locator('[data-remarks="body_english"]')
            await expect(remarks).to_contain_text("– (U+2013), 1×: use - instead")
            await expect(remarks.locator(".parameter")).to_have_text(["{{name}}", "{{time}}"])
            assert not await accessibility_findings(page)
            assert not await is_too_wide(page)
            await remarks.get_by_role("button", name="Replace all").click()
            await expect(english).to_have_value("Dear {{name}} - see you at {{time}}")
            await expect(remarks).not_to_contain_text("make messages dearer")

            await page.get_by_role("tab", name="English").focus()
            await page.keyboard.press("ArrowRight")
            chinese = page.get_by_label("Message in Chinese")
            await expect(page.get_by_role("tab", name="Chinese")).to_be_focused()
            await expect(english).to_be_hidden()
            await chinese.fill("<script>alert(1)</script>{{name}}")
            await page.get_by_role("button", name="Continue").click()

            # What is wrong is in a tab that opens by its link, and by itself.
            await page.get_by_role(
                "link", name=re.compile("The parameter time of the english body is missing")
            ).click()
            await expect(page.get_by_label("Message in Chinese")).to_be_focused()
            await page.get_by_label("Message in Chinese").fill("{{name}}您好，{{time}}见。")
            await page.get_by_role("button", name="Continue").click()

            await expect(page.get_by_role("heading", name="Is all of this right?")).to_be_visible()
            assert not await accessibility_findings(page)
            await page.get_by_role("button", name="Create the campaign").click()
            await expect(page.get_by_role("heading", level=1)).to_have_text("Clinic <b>reminders</b>")
            # The browser notes that the page with the error was one.
            complaints.lines.remove(BAD_REQUEST)
    (campaign,) = await list_campaigns(connection)
    assert set(campaign.template.bodies) == {Language.ENGLISH, Language.CHINESE}
