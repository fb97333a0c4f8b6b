"""The way in, with a real mailbox: address, e-mail, code, session; and what leads nobody in."""

import asyncio
import re

import pytest

from config.addresses import parse_address
from config.settings import Settings
from console.login import asking, sessions
from console.login.codes import MOST_TRIES, Codes, Limit, NewCode
from database.connections import Connection
from gateway.embedded.mail_server import Mailbox, MailboxMode
from tests.api.served import until_awaited
from tests.console.login.logins import EMAIL, ask, asked_code, code_in, type_code
from tests.console.served import Browser, serving_console

PAUSE_OVER = "update login_codes set asked_at = asked_at - interval '31 seconds'"
WRONG = "AAAAAA"


def wrong_for(code: str) -> str:
    return WRONG if code != WRONG else "BBBBBB"


async def test_a_code_leads_in_and_the_first_one_makes_a_user(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    console = settings.console.model_copy(update={"url": "https://console.agency.gov.sg"})
    async with serving_console(settings.model_copy(update={"console": console})) as port:
        browser = Browser(port)
        browser.headers["User-Agent"] = (
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0 http://evil.example"
        )
        shown = await ask(browser, " Amy@Clinic.GOV.sg ", "/login?next=%2Faccount")
        assert shown.title == "Type the code"
        assert f"If {EMAIL} may log in, a code is on its way there." in shown.text
        assert await connection.fetchval("select count(*) from users where email = $1", EMAIL) == 0

        (message,) = await mailbox.arrival(1)
        body = message.get_content()
        code = code_in(message)
        assert message.get_content_type() == "text/plain"
        assert (message["to"], message["auto-submitted"]) == (EMAIL, "auto-generated")
        for told in (
            code,
            "SGT",
            "From address: 127.0.0.1",
            "Browser: Firefox 140 on Linux",
            "console.agency.gov.sg",
        ):
            assert told in body
        assert "http" not in f"{body}{message['subject']}"

        shown = await browser.send(
            shown, "/login/code", follow=False, code=f" {code[:3].lower()}\u00a0{code[3:].lower()} "
        )
        assert (shown.status, shown.location) == (303, "/account")
        assert set(browser.cookies) == {sessions.COOKIE}
        account = await browser.get("/account")
        assert EMAIL in account.text
        assert "Firefox 140 on Linux this one" in account.text
        assert await connection.fetchval("select count(*) from users where email = $1", EMAIL) == 1


async def test_cookies_are_bound_to_this_host_and_hidden_from_scripts(
    settings: Settings, mailbox: Mailbox
) -> None:
    async with serving_console(settings) as port:
        browser = Browser(port)
        asked = await browser.send(await browser.get("/login"), "/login", follow=False, email=EMAIL)
        let_in = await type_code(browser, code_in((await mailbox.arrival(1))[0]), follow=False)
        for shown, name in ((asked, "__Host-login"), (let_in, "__Host-session")):
            line = shown.headers["set-cookie"].lower()
            assert line.startswith(name.lower())
            assert {"secure", "httponly", "samesite=lax", "path=/"} == set(line.split("; ")[1:])
        assert let_in.location == "/"
        assert re.fullmatch(r"[\w-]{43}", browser.cookies["__Host-session"])


async def test_a_code_is_good_once_and_in_its_browser_alone(settings: Settings, mailbox: Mailbox) -> None:
    async with serving_console(settings) as port:
        mine, other = Browser(port), Browser(port)
        first = await asked_code(mine, mailbox)
        second = await asked_code(other, mailbox, count=2)
        foreign = await type_code(other, first)
        assert (foreign.status, "3 tries are left" in foreign.text) == (400, True)
        stranger = await Browser(port).post("/login/code", {"code": first, "form_id": "x" * 20})
        assert (stranger.status, "none was in this one" in stranger.text) == (400, True)
        # Whoever else asks for the same address disturbs nobody.
        assert (await type_code(mine, first)).title == "Campaigns"
        assert (await type_code(other, second)).title == "Campaigns"
        again = Browser(port, {asking.COOKIE: other.cookies.get(asking.COOKIE, "x.eA")})
        assert (await again.post("/login/code", {"code": second, "form_id": "y" * 20})).status == 400


async def test_a_used_code_is_void_also_where_its_cookie_was_kept(
    settings: Settings, mailbox: Mailbox
) -> None:
    async with serving_console(settings) as port:
        browser = Browser(port)
        code = await asked_code(browser, mailbox)
        kept = dict(browser.cookies)
        assert (await type_code(browser, code)).title == "Campaigns"
        shown = await type_code(Browser(port, kept), code)
        assert (shown.status, "too old, or was used already" in shown.text) == (400, True)


async def test_four_wrong_tries_void_a_code(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    async with serving_console(settings) as port:
        browser = Browser(port)
        code = await asked_code(browser, mailbox)
        told = [(await type_code(browser, wrong_for(code))).text for _ in range(MOST_TRIES)]
        assert [re.search(r"(\d) (?:try is|tries are) left", text) is not None for text in told] == [
            True
        ] * 3 + [False]
        shown = await type_code(browser, code)
        assert (shown.status, "the code is void" in shown.text) == (400, True)
        refused = await connection.fetch(
            "select details->>'address' as address, details->>'reason' as reason from audit_events"
            " where event = 'console_login_refused' order by id"
        )
        assert [row["reason"] for row in refused] == ["wrong", "wrong", "wrong", "tried_out"]
        assert all(re.fullmatch("[0-9a-f]{64}", row["address"]) for row in refused)
        # A new one is as good as ever.
        await connection.execute(PAUSE_OVER)
        assert (await type_code(browser, await asked_code(browser, mailbox, count=2))).title == "Campaigns"


async def test_an_old_code_is_void(settings: Settings, connection: Connection, mailbox: Mailbox) -> None:
    async with serving_console(settings) as port:
        browser = Browser(port)
        code = await asked_code(browser, mailbox)
        await connection.execute("update login_codes set expires_at = now()")
        shown = await type_code(browser, code)
        assert (shown.status, "too old" in shown.text) == (400, True)


async def test_a_new_code_after_half_a_minute_replaces_the_one_before(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    async with serving_console(settings) as port:
        browser = Browser(port)
        first = await asked_code(browser, mailbox)
        # However slow this machine is: it was a moment ago.
        await connection.execute("update login_codes set asked_at = asked_at + interval '5 minutes'")
        shown = await ask(browser)
        assert (shown.status, shown.title) == (429, "Type the code")
        await connection.execute("update login_codes set asked_at = asked_at - interval '5 minutes'")
        assert "wait 30 seconds" in shown.text
        await connection.execute(PAUSE_OVER)
        second = await asked_code(browser, mailbox, count=2)
        if first != second:
            assert (await type_code(browser, first)).status == 400
        assert (await type_code(browser, second)).title == "Campaigns"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["amy@clinic.gov.sg"] * 5, "5 codes were asked for that address"),
        (["who@gmail.com"] * 5, "5 codes were asked for that address"),
        ([f"u{number}@clinic.gov.sg" for number in range(30)], "30 codes were asked for from your network"),
    ],
)
async def test_codes_are_limited_by_address_and_by_source(
    settings: Settings, connection: Connection, asked: list[str], sentence: str
) -> None:
    async with serving_console(settings) as port:
        for email in asked:
            assert (await ask(Browser(port), email)).status == 200
        last = asked[0] if asked[0] == asked[-1] else "one.more@clinic.gov.sg"
        shown = await ask(Browser(port), last)
        assert (shown.status, sentence in shown.text) == (429, True)
        assert await connection.fetchval("select count(*) from login_codes") == len(asked)
        # Another address, from elsewhere, is not concerned.
        if asked[0] == asked[-1]:
            assert (await ask(Browser(port), "bob@clinic.gov.sg")).status == 200
            await connection.execute("update login_codes set asked_at = asked_at - interval '61 minutes'")
            assert (await ask(Browser(port), last)).status == 200
            await connection.execute(
                "insert into login_codes (browser, email_hash, code_hash, asked_at, expires_at) select sha256(n::text::bytea),"
                " email_hash, code_hash, now() - interval '3 hours', now() from generate_series(1, 14) n,"
                " (select email_hash, code_hash from login_codes group by 1, 2, asked_at order by asked_at desc limit 1) c"
            )
            assert (
                "20 codes were asked for that address within a day" in (await ask(Browser(port), last)).text
            )


async def test_a_whole_network_of_one_customer_counts_as_one_source(
    settings: Settings, connection: Connection
) -> None:
    codes = Codes(settings.console)

    async def ask_from(address: str, number: int) -> object:
        source = parse_address(address)
        async with connection.transaction():
            return await codes.ask(
                connection, f"u{number}@clinic.gov.sg", is_admitted=True, source=source, browser=None
            )

    for number in range(30):
        assert isinstance(await ask_from(f"2001:db8:0:1::{number:x}", number), NewCode)
    assert await ask_from("2001:db8:0:1:ffff::", 30) is Limit.SOURCE
    assert isinstance(await ask_from("2001:db8:0:2::1", 31), NewCode)


async def test_many_at_once_are_no_more_than_one_after_the_other(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    async with serving_console(settings) as port:
        shown = await asyncio.gather(*(ask(Browser(port)) for _ in range(12)))
        assert sorted(each.status for each in shown) == [200] * 5 + [429] * 7
        await mailbox.arrival(5)

        browser = Browser(port)
        code = await asked_code(browser, mailbox, "bob@clinic.gov.sg", count=6)
        twins = [Browser(port, dict(browser.cookies)) for _ in range(6)]
        shown = await asyncio.gather(*(type_code(each, code, follow=False) for each in twins))
        assert sorted(each.status for each in shown) == [303, 400, 400, 400, 400, 400]
        assert await connection.fetchval("select count(*) from console_sessions") == 1

        browser = Browser(port)
        code = await asked_code(browser, mailbox, "eve@clinic.gov.sg", count=7)
        twins = [Browser(port, dict(browser.cookies)) for _ in range(10)]
        await asyncio.gather(*(type_code(each, wrong_for(code)) for each in twins))
        assert await connection.fetchval("select max(tries) from login_codes") == MOST_TRIES
        refused = "select count(*) from audit_events where event = 'console_login_refused'"
        assert await connection.fetchval(refused) == MOST_TRIES
        assert (await type_code(browser, code)).status == 400


@pytest.mark.parametrize("mode", [MailboxMode.AWAY, MailboxMode.HANGING, MailboxMode.REFUSING_FOR_GOOD])
async def test_the_answer_waits_for_no_mail_server(
    settings: Settings,
    connection: Connection,
    mailbox: Mailbox,
    mode: MailboxMode,
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = settings.console.model_copy(update={"drain_timeout": 1.0})
    async with serving_console(settings.model_copy(update={"console": console})) as port:
        mailbox.become(mode)
        browser = Browser(port)
        # A server that hangs is hung on for longer than this test has: an answer that waited for it would never come.
        assert (await ask(browser)).title == "Type the code"
        mailbox.become(MailboxMode.ACCEPTING)
        await connection.execute(PAUSE_OVER)
        # The e-mail of the first one may be tried again meanwhile, and come before or after.
        browser.headers["User-Agent"] = "Firefox/140.0"
        assert (await ask(browser)).title == "Type the code"

        async def has_come() -> bool:
            return any("Browser: Firefox 140" in message.get_content() for message in mailbox.messages())

        await until_awaited(has_come, expected=True)
        (second,) = [each for each in mailbox.messages() if "Browser: Firefox 140" in each.get_content()]
        assert (await type_code(browser, code_in(second))).title == "Campaigns"
    assert EMAIL not in "".join(capsys.readouterr())
