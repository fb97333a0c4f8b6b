"""What every page has: who may come, from where, and what is said of the rest."""

import pytest

from config.settings import Settings
from console.login.sessions import end_sessions
from database.connections import Connection
from tests.console.campaigns.making import make_campaign
from tests.console.served import Browser, browse, make_user, serving_console


async def test_whoever_is_not_logged_in_is_led_to_the_login_and_back(settings: Settings) -> None:
    async with serving_console(settings) as port:
        browser = Browser(port)
        assert (await browser.get("/", follow=False)).location == "/login"
        shown = await browser.get("/account?x=1", follow=False)
        assert (shown.status, shown.location) == (303, "/login?next=%2Faccount%3Fx%3D1")
        assert (await browser.get("/login")).title == "Log in"


async def test_a_session_ends_at_once(settings: Settings, connection: Connection) -> None:
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        home = await browser.get("/")
        assert home.title == "Campaigns"
        assert "amy@clinic.gov.sg" in home.text
        await end_sessions(connection, user.id)
        assert (await browser.get("/", follow=False)).location == "/login"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_what_comes_from_another_site_changes_nothing(
    settings: Settings, connection: Connection, headers: dict[str, str], status: int
) -> None:
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        browser.headers = headers
        assert (await browser.post("/logout", {}, follow=False)).status == status
        browser.headers = {"Sec-Fetch-Site": "same-origin"}
        assert (await browser.get("/")).title == ("Log in" if status == 303 else "Campaigns")


async def test_odd_requests_are_answered(settings: Settings, connection: Connection) -> None:
    user = await make_user(connection, "amy@clinic.gov.sg")
    campaign_id = await make_campaign(connection)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        # A stream's head is whole, where the stream itself goes on.
        head = await browser.say("HEAD", "/uploads/stream")
        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        # No text of the database has that character.
        assert (await browser.get(f"/campaigns/{campaign_id}?creator=%00&search=%001")).status == 200
        assert (await browser.get("/calculator/file?campaign=%00")).status == 404


async def test_an_unknown_page_is_told_in_words(settings: Settings, connection: Connection) -> None:
    user = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        shown = await browser.get("/nothing")
        assert (shown.status, shown.title) == (404, "Page not found")
        assert "default-src 'none'" in shown.headers["content-security-policy"]
