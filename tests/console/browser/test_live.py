"""Pages that follow what changes, in a real browser: nobody is disturbed, nothing is lost, and nothing runs unseen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Page, expect
from prometheus_client import REGISTRY

from config.settings import Settings
from console.login.sessions import end_sessions
from database.connections import Connection
from tests.console.browser.chromium import open_context
from tests.console.campaigns.making import make_campaign
from tests.console.served import make_user, serving_console, session_value
from tests.console.uploads.made import add_upload
from tests.sftpd.fronts import eventually


def streams() -> float:
    """How many pages are live."""
    return REGISTRY.get_sample_value("sftp_gateway_console_streams") or 0


async def decide(connection: Connection, upload_id: str) -> None:
    await connection.execute(
        "update uploads set status = 'rejected', finished_at = now(), num_rows = 1, num_errors = 2 where id = $1",
        upload_id,
    )


async def says(page: Page, word: str) -> None:
    """Wait until the page says that it is Live, Not live or Paused."""
    await expect(page.locator("[data-live-word]")).to_have_text(word)


@asynccontextmanager
async def opened(
    chromium: str, settings: Settings, connection: Connection, path: str, **options: object
) -> AsyncIterator[Page]:
    """The page, for the owner of a campaign."""
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        session = await session_value(connection, settings, user)
        async with open_context(chromium, port, session, **options) as (context, _):
            page = await context.new_page()
            await page.goto(path)
            yield page


async def test_a_row_that_has_focus_waits_and_new_ones_take_none(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    first = await add_upload(connection, campaign_id, "first.csv")
    second = await add_upload(connection, campaign_id, "second.csv")
    async with opened(chromium, settings, connection, "/uploads") as page:
        await says(page, "Live")
        link = page.get_by_role("link", name="first.csv")
        await link.focus()
        await decide(connection, first)
        await decide(connection, second)
        await add_upload(connection, campaign_id, "third.csv")
        # The others have changed, and a new one stands above them.
        await expect(page.get_by_role("row").filter(has_text="second.csv")).to_contain_text("Rejected")
        await expect(page.locator("tbody[data-live] th")).to_have_text(
            ["third.csv", "second.csv", "first.csv"]
        )
        await expect(link).to_be_focused()
        row = page.get_by_role("row").filter(has_text="first.csv")
        await expect(row).to_contain_text("Received")
        await page.keyboard.press("Shift+Tab")
        await expect(row).to_contain_text("Rejected")


async def test_a_page_is_paused_and_goes_on_and_a_hidden_one_asks_for_nothing(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    upload_id = await add_upload(connection, campaign_id, "first.csv")
    hide = (
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});"
        " document.dispatchEvent(new Event('visibilitychange')); }"
    )
    async with opened(chromium, settings, connection, f"/uploads/{upload_id}") as page:
        await says(page, "Live")
        assert streams() == 1
        await page.get_by_role("button", name="Pause").click()
        await says(page, "Paused")
        await eventually(lambda: streams() == 0)
        await decide(connection, upload_id)
        await page.get_by_role("button", name="Go on").click()
        await expect(page.get_by_text("Nothing was sent: 2 errors in 1 row")).to_be_visible()
        await says(page, "Live")
        await page.evaluate(hide, arg=True)
        await says(page, "Not live")
        await eventually(lambda: streams() == 0)
        # Nor does anything else make it ask.
        await page.get_by_role("button", name="Pause").click()
        await says(page, "Paused")
        await page.get_by_role("button", name="Go on").click()
        await says(page, "Not live")
        await connection.execute("update uploads set withdrawn_at = now() where id = $1", upload_id)
        await page.evaluate(hide, arg=False)
        await expect(page.locator("#upload-head")).to_contain_text("Withdrawn")
        await end_sessions(connection, (await make_user(connection, "amy@clinic.gov.sg")).id)
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()


async def test_what_fits_no_more_leaves_and_no_list_grows_for_ever(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    ids = [await add_upload(connection, campaign_id, f"{number}.csv") for number in range(100)]
    async with opened(chromium, settings, connection, "/uploads?status=received") as page:
        await says(page, "Live")
        rows = page.locator("tbody[data-live] tr")
        await expect(rows).to_have_count(100)
        await add_upload(connection, campaign_id, "new.csv")
        await expect(rows.first).to_contain_text("new.csv")
        await expect(rows).to_have_count(100)
        await expect(page.get_by_role("link", name="0.csv", exact=True)).to_have_count(0)
        # One that leaves makes room for the one that had no place, which comes last again.
        await decide(connection, ids[50])
        await expect(page.get_by_role("link", name="50.csv", exact=True)).to_have_count(0)
        await expect(rows.last).to_contain_text("0.csv")
        await expect(rows).to_have_count(100)


async def test_without_scripts_all_is_there_and_nothing_pretends_to_be_live(
    chromium: str, settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    await add_upload(connection, campaign_id, "first.csv", "accepted")
    async with opened(chromium, settings, connection, "/uploads", java_script_enabled=False) as page:
        await expect(page.get_by_text("Pause")).to_be_hidden()
        await page.get_by_label("Status").select_option("Accepted")
        await page.get_by_role("button", name="Show").click()
        await expect(page.get_by_role("row").filter(has_text="first.csv")).to_contain_text("1,204 messages")
        await page.get_by_role("link", name="first.csv").click()
        await expect(page.get_by_role("heading", name="first.csv")).to_be_visible()
