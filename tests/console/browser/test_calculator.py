"""The calculator's answers in a real browser: segments in two colours and with numbers, which can be read in both themes."""

from playwright.async_api import expect

from config.settings import Settings
from database.connections import Connection
from tests.console.browser.chromium import accessibility_findings, is_too_wide, open_context
from tests.console.served import make_user, serving_console, session_value

PHONE = {"width": 390, "height": 844}


async def test_what_was_counted_can_be_read(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, viewport=PHONE) as (context, _):
            page = await context.new_page()
            await page.goto("/calculator")
            await page.get_by_label("Text", exact=True).fill("Dear {{name}} “hello” " + "x" * 700)
            await page.get_by_label("Header", exact=True).fill("Clinic")
            await page.get_by_role("button", name="Count").click()
            await expect(page.get_by_text("Segment 2:")).to_be_visible()
            await page.get_by_label("Sample value for name").fill("Emily")
            await page.get_by_role("button", name="Count").click()
            await expect(page.get_by_text("Counted without values")).to_have_count(0)
            await page.get_by_text("All characters, with their code points").click()
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                assert not await accessibility_findings(page), scheme
            assert not await is_too_wide(page)
