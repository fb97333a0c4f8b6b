"""The login in a real browser: by keyboard alone; and what is left of a page after the logout."""

import re

from playwright.async_api import expect

from config.settings import Settings
from gateway.embedded.mail_server import Mailbox
from tests.api.served import until
from tests.console.browser.chromium import accessibility_findings, is_too_wide, open_context
from tests.console.login.logins import EMAIL, code_in
from tests.console.served import serving_console


async def test_somebody_logs_in_by_keyboard_and_leaves_nothing_behind(
    chromium: str, settings: Settings, mailbox: Mailbox
) -> None:
    async with (
        serving_console(settings) as port,
        open_context(chromium, port, viewport={"width": 390, "height": 844}) as (context, complaints),
    ):
        page = await context.new_page()
        keys = page.keyboard
        await page.goto("/account")
        await expect(page).to_have_title(re.compile("^Log in"))
        # The skip link, the site's name, the field.
        for _ in range(3):
            await keys.press("Tab")
        await expect(page.get_by_label("Your work e-mail address")).to_be_focused()
        await keys.type(EMAIL)
        await keys.press("Enter")
        await expect(page).to_have_title(re.compile("^Type the code"))
        code = code_in((await mailbox.arrival(1))[0])
        field = page.get_by_label("Code", exact=True)
        await expect(field).to_have_attribute("autocomplete", "one-time-code")
        for _ in range(3):
            await keys.press("Tab")
        await expect(field).to_be_focused()
        await keys.type("zzzzzz" if code != "ZZZZZZ" else "yyyyyy")
        await keys.press("Enter")
        # What is wrong is read first, and leads to the field.
        await expect(page.get_by_role("alert")).to_be_focused()
        await until(lambda: len(complaints.lines) > 0)
        (complaint,) = complaints.lines
        assert "status of 400" in complaint
        complaints.lines.clear()
        assert not await accessibility_findings(page)
        assert not await is_too_wide(page)
        await keys.press("Tab")
        await keys.press("Enter")
        await expect(field).to_be_focused()
        await keys.type(f"{code[:3].lower()} {code[3:].lower()} ")
        await keys.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("Your account")

        await page.get_by_role("button", name="Log out", exact=True).first.focus()
        await keys.press("Enter")
        await expect(page).to_have_title(re.compile("^Log in"))
        # Chromium keeps even pages that nobody may store, and would show this one again.
        await page.evaluate("history.back()")
        await expect(page).to_have_url(re.compile(r"/login\?next=%2Faccount$"))
        await expect(page.get_by_text(EMAIL)).to_have_count(0)
