"""Sessions: how they begin, how long they last, what ends them; the fresh code; and paths that a login may lead to."""

from collections.abc import Mapping

import pytest

from campaigns.people.agencies import add_agency
from campaigns.people.permissions import Membership
from config.settings import Settings
from console.login.asking import COOKIE as ASKED
from console.login.sessions import COOKIE, end_sessions
from console.paths import own_path
from database.connections import Connection
from gateway.embedded.mail_server import Mailbox
from tests.console.campaigns.making import make_member
from tests.console.live.streams import streaming
from tests.console.login.logins import EMAIL, ask, asked_code, code_in, type_code
from tests.console.served import OPS, Browser, browse, make_user, serving_console


async def is_in(browser: Browser) -> bool:
    shown = await browser.get("/account", follow=False)
    assert (shown.status, shown.location) in {(200, ""), (303, "/login?next=%2Faccount")}
    return shown.status == 200


async def reasons(connection: Connection) -> list[str]:
    rows = await connection.fetch(
        "select details->>'reason' as reason from audit_events where event = 'console_session_ended' order by id"
    )
    return [str(row["reason"]) for row in rows]


async def test_a_session_that_somebody_planted_is_never_taken(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    user = await make_user(connection, "eve@clinic.gov.sg")
    async with serving_console(settings) as port:
        eves = await browse(connection, settings, port, user)
        planted = eves.cookies[COOKIE]
        browser = Browser(port, {COOKIE: "a" * 43})
        code = await asked_code(browser, mailbox)
        await type_code(browser, code)
        assert browser.cookies[COOKIE] != "a" * 43
        assert not await is_in(Browser(port, {COOKIE: "a" * 43}))
        # Whoever logs in where somebody is logged in already gets a session of their own, and the other one ends.
        victim = Browser(port)
        code = await asked_code(victim, mailbox, "bob@clinic.gov.sg", count=2)
        page = await victim.get("/login/code")
        victim.cookies[COOKIE] = planted
        assert (await victim.send(page, "/login/code", code=code)).title == "Campaigns"
        assert victim.cookies[COOKIE] != planted
        assert "bob@clinic.gov.sg" in (await victim.get("/account")).text
        assert not await is_in(eves)
    assert await reasons(connection) == ["login"]


@pytest.mark.parametrize(
    "change",
    [
        "last_active_at = now() - interval '31 minutes'",
        "ends_at = now()",
        "ended_at = now()",
    ],
    ids=["idle", "too old", "ended"],
)
async def test_a_session_ends_by_itself(settings: Settings, connection: Connection, change: str) -> None:
    user = await make_user(connection, EMAIL)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        # What is used goes on: half an hour counts from the last page, half a day from the login.
        await connection.execute("update console_sessions set last_active_at = now() - interval '29 minutes'")
        assert await is_in(browser)
        assert await connection.fetchval(
            "select last_active_at > now() - interval '1 minute' and ends_at <= began_at + interval '12 hours'"
            " from console_sessions"
        )
        await connection.execute(f"update console_sessions set {change}")
        assert not await is_in(browser)
        # A form that was sent too late leads back to its page.
        late = await browser.post(
            "/account/sessions/end", {}, headers={"Referer": f"http://127.0.0.1:{port}/account?x=1"}
        )
        assert "Your session has ended" in late.text
        assert ("next", "/account?x=1") in late.forms[0].fields
        evil = await browser.post(
            "/account/sessions/end", {}, headers={"Referer": "https://x//evil.example/"}, follow=False
        )
        assert evil.location == "/login"


async def test_people_see_and_end_their_own_sessions(settings: Settings, connection: Connection) -> None:
    user = await make_user(connection, EMAIL)
    eve = await make_user(connection, "eve@clinic.gov.sg")
    async with serving_console(settings) as port:
        here, second, third, fourth = [await browse(connection, settings, port, user) for _ in range(4)]
        eves = await browse(connection, settings, port, eve)
        account = await here.get("/account")
        mine = [form for form in account.forms if form.action == "/account/sessions/end"]
        assert len(mine) == 3
        shown = await here.send(account, "/account/sessions/end")
        assert "That session has ended." in shown.text
        assert sorted([await is_in(second), await is_in(third), await is_in(fourth)]) == [False, True, True]
        # Nobody ends another one's, whatever the form says.
        theirs = await connection.fetchval("select id from console_sessions where user_id = $1", eve.id)
        shown = await here.send(await here.get("/account"), "/account/sessions/end", session=theirs)
        assert "had ended already" in shown.text
        assert await is_in(eves)
        shown = await here.send(await here.get("/account"), "/account/sessions/end-others")
        assert "2 other sessions have ended." in shown.text
        assert [await is_in(each) for each in (here, second, third, fourth, eves)] == [
            True,
            False,
            False,
            False,
            True,
        ]
        kept = dict(here.cookies)
        out = await here.send(shown, "/logout", follow=False)
        assert (out.status, out.location, out.headers["clear-site-data"]) == (303, "/login", '"cache"')
        assert not await is_in(Browser(port, kept))
    assert await reasons(connection) == ["user", "user", "logout"]


async def test_a_domain_that_is_let_in_no_more_ends_sessions_and_sends_no_codes(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    async with connection.transaction():
        await add_agency(connection, "Vendor", ["vendor.example"], member_only=True, actor=OPS)
    vendor = await make_user(connection, "dev@vendor.example")
    user = await make_user(connection, EMAIL)
    async with serving_console(settings) as port:
        listed, officer = [await browse(connection, settings, port, each) for each in (vendor, user)]
        assert await is_in(listed)
        await asked_code(Browser(port), mailbox, "dev@vendor.example")
        await connection.execute("delete from agency_domains where domain = 'vendor.example'")
        assert not await is_in(listed)
        assert await is_in(officer)
        assert (await ask(Browser(port), "dev@vendor.example")).title == "Type the code"
    console = settings.console.model_copy(update={"login_domains": ["tech.gov.sg"]})
    async with serving_console(settings.model_copy(update={"console": console})) as port:
        assert not await is_in(Browser(port, officer.cookies))
        await asked_code(Browser(port), mailbox, "eng@x.tech.gov.sg", count=2)
    assert await reasons(connection) == ["access", "access"]
    assert [str(message["to"]) for message in mailbox.messages()] == [
        "dev@vendor.example",
        "eng@x.tech.gov.sg",
    ]


async def test_an_open_page_ends_with_the_domain(
    settings: Settings, connection: Connection, campaign_id: str
) -> None:
    async with connection.transaction():
        await add_agency(connection, "Vendor", ["vendor.example"], member_only=True, actor=OPS)
    vendor = await make_member(connection, campaign_id, "dev@vendor.example", Membership.MEMBER)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, vendor)
        async with streaming(browser, "/uploads/stream") as events:
            await events.rows_with("Nobody")
            await connection.execute("delete from agency_domains")
            # It is asked again every 15 s, and at once where something of the user's changes.
            await connection.execute("update users set is_pic = is_pic where id = $1", vendor.id)
            await events.next("gone")
            await events.end()
    assert await reasons(connection) == ["access"]


async def test_a_code_of_somebody_who_may_no_more_log_in_leads_nowhere(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    async with connection.transaction():
        await add_agency(connection, "Vendor", ["vendor.example"], member_only=True, actor=OPS)
    async with serving_console(settings) as port:
        browser = Browser(port)
        code = await asked_code(browser, mailbox, "dev@vendor.example")
        await connection.execute("delete from agency_domains")
        assert (await type_code(browser, code)).status == 400
        assert await connection.fetchval("select count(*) from console_sessions") == 0


STRANGERS = [
    "who@gmail.com",
    "who@evilgov.sg",
    "who@gov.sg.evil.example",
    "who@xn--gv-lka.sg",
    "who@clinic.gov.sg.",
    "service@default-9acfd89c.localhost",
]


async def test_every_address_gets_the_same_answer(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    await make_user(connection, "known@clinic.gov.sg")
    answers: dict[str, tuple[int, str, Mapping[str, str]]] = {}
    async with serving_console(settings) as port:
        for email in ("known@clinic.gov.sg", "new@clinic.gov.sg", "a@b.edu.sg", *STRANGERS[:3], STRANGERS[5]):
            browser = Browser(port)
            asked = await browser.send(await browser.get("/login"), "/login", follow=False, email=email)
            page = await browser.get(asked.location)
            wrong = await browser.send(page, "/login/code", code="AAAAAA")
            text = f"{asked.body}|{asked.location}|{page.text}|{wrong.text}".replace(email, "ADDRESS")
            headers = {
                name: value
                for name, value in asked.headers.items()
                if name not in {"date", "set-cookie", "x-request-id"}
            }
            assert page.title == "Type the code"
            answers[email] = (asked.status * 1000 + wrong.status, text, headers)
        assert len({str(answer) for answer in answers.values()}) == 1, answers
        # What is no address at all is told so, whoever asks.
        for email in (STRANGERS[3], STRANGERS[4], "tan@g\u043ev.sg", "tan", "a@b@clinic.gov.sg", ""):
            shown = await ask(Browser(port), email)
            assert (shown.status, "Give your whole e-mail address" in shown.text) == (400, True)
        messages = await mailbox.arrival(3)
    assert {str(message["to"]) for message in messages} == {
        "known@clinic.gov.sg",
        "new@clinic.gov.sg",
        "a@b.edu.sg",
    }
    assert len(mailbox.messages()) == 3
    # The trail tells them apart, by their hashes alone.
    rows = await connection.fetch(
        "select details::text as told from audit_events where event = 'console_code_asked'"
    )
    assert len(rows) == 7
    assert "@" not in "".join(row["told"] for row in rows)
    stored = await connection.fetch("select email from login_codes where email is not null")
    assert {row["email"] for row in stored} == {str(message["to"]) for message in messages}


async def test_a_fresh_code_counts_from_when_it_is_given(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    user = await make_user(connection, EMAIL)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, user)
        value = browser.cookies[COOKIE]
        stale = "update console_sessions set code_at = now() - interval '1 hour'"
        fresh = "select code_at > now() - interval '1 minute' from console_sessions"
        await connection.execute(stale)
        page = await browser.get("/account/confirm?next=%2Fhelp")
        assert await connection.fetchval("select count(*) from login_codes") == 0
        shown = await browser.send(page, "/account/confirm")
        code = code_in((await mailbox.arrival(1))[0])
        wrong = "AAAAAA" if code != "AAAAAA" else "BBBBBB"
        refused = await browser.send(shown, "/account/confirm/code", code=wrong)
        assert (refused.status, "3 tries are left" in refused.text) == (400, True)
        assert not await connection.fetchval(fresh)
        # Another one's code is none, though it was asked for in this browser.
        other = Browser(port)
        others = await asked_code(other, mailbox, "eve@clinic.gov.sg", count=2)
        mixed = Browser(port, {COOKIE: value, ASKED: other.cookies[ASKED]})
        page = await mixed.get("/account/confirm/code")
        assert (await mixed.send(page, "/account/confirm/code", code=others)).status == 400
        assert not await connection.fetchval(fresh)
        await connection.execute("update login_codes set asked_at = asked_at + interval '5 minutes'")
        again = await browser.send(await browser.get("/account/confirm"), "/account/confirm")
        assert (again.status, "wait 30 seconds" in again.text) == (429, True)

        there = await browser.send(refused, "/account/confirm/code", follow=False, code=code.lower())
        assert (there.status, there.location) == (303, "/help")
        assert await connection.fetchval(fresh)
        assert "Thank you" in (await browser.get("/help")).text
        assert ASKED not in browser.cookies
    events = await connection.fetch(
        "select event from audit_events where event like 'console_step%' order by id"
    )
    assert [row["event"] for row in events] == ["console_step_up_refused", "console_step_up_accepted"]


async def test_ops_end_sessions(settings: Settings, connection: Connection) -> None:
    user = await make_user(connection, EMAIL)
    async with serving_console(settings) as port:
        browsers = [await browse(connection, settings, port, user) for _ in range(2)]
        assert await end_sessions(connection, user.id, actor=OPS) == 2
        assert [await is_in(each) for each in browsers] == [False, False]
    assert await reasons(connection) == ["ops"]


ELSEWHERE = [
    "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example", "javascript:alert(1)",
    "/\t/evil.example", "/\r\nSet-Cookie: a=b", "\u2028//evil.example", " //evil.example", "evil.example", "///evil.example",
    "/account\\@evil.example", "/%0d%0a\nx", "@evil.example", "", "/" + "a" * 2000, "/\u00e4",
]  # fmt: skip
OWN = ["/", "/account", "/campaigns/x?search=a%0d%0aSet-Cookie:x&b=//evil.example", "/%2F%2Fevil.example"]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_leads_elsewhere_is_none(path: str) -> None:
    assert own_path(path) is None


@pytest.mark.parametrize("path", OWN)
def test_a_path_of_ours_is_one(path: str) -> None:
    assert own_path(path) == path


async def test_a_login_leads_to_own_pages_alone(
    settings: Settings, connection: Connection, mailbox: Mailbox
) -> None:
    user = await make_user(connection, EMAIL)
    async with serving_console(settings) as port:
        inside = await browse(connection, settings, port, user)
        outside = Browser(port)
        await asked_code(outside, mailbox)
        code = code_in(mailbox.messages()[-1])
        for path in (*ELSEWHERE, *OWN):
            good = path if path in OWN else "/"
            if len(path) > 1000:
                continue  # Such a line is refused before anybody reads it.
            query = "next=" + "".join(f"%{byte:02x}" for byte in path.encode())
            assert (await inside.get(f"/login?{query}", follow=False)).location == good
            page = await outside.get(f"/login/code?{query}")
            assert [value for name, value in page.forms[0].fields if name == "next"] == (
                [path] if path in OWN else []
            )
        form = {"form_id": "x" * 20, "code": code, "next": "//evil.example"}
        assert (await outside.post("/login/code", form, follow=False)).location == "/"
