"""Every route of the console with every role, and every unsafe one from another site. New routes are walked of themselves."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest

from campaigns.people.permissions import ALLOWED, Action, Role
from config.settings import Settings
from console.login.sessions import COOKIE, begin_session
from console.pages import ROUTES
from console.routes import Access, ConsoleRoute
from database.connections import Connection
from tests.console.login.examples import THERE, Somebody, make_examples, parameters_of
from tests.console.served import serving_console

# Pages for everybody who is logged in are shown to these as to the others.
OUTSIDERS = {"owner of another", "pic of another"}
FORM = {"form_id": "a-form-id-of-these-tests"}


@dataclass
class Walker:
    """Asks for pages, each time from another address: refusals of one address are told later and later."""

    port: int
    addresses: Iterator[int] = field(default_factory=itertools.count)

    async def ask(
        self,
        method: str,
        path: str,
        session: str | None,
        *,
        fields: dict[str, str] | None = None,
        **headers: str,
    ) -> tuple[int, str]:
        """Status, and where a redirection leads. The answer's body isn't waited for: a live page's never ends."""
        number = next(self.addresses)
        body = urlencode(fields or {}).encode()
        given = {
            "Host": f"127.0.0.1:{self.port}",
            "X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(body)),
            "Sec-Fetch-Site": "same-origin",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if session is not None:
            given["Cookie"] = f"{COOKIE}={session}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            async with asyncio.timeout(30):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        finally:
            writer.close()
        found = [line[10:] for line in head.split("\r\n") if line.lower().startswith("location: ")]
        return int(head.split(" ")[1]), found[0] if found else ""


def proxied(settings: Settings) -> Settings:
    console = settings.console.model_copy(update={"trusted_proxies": ["127.0.0.1"]})
    return settings.model_copy(update={"console": console})


async def session_of(connection: Connection, settings: Settings, who: Somebody) -> str | None:
    if who.user is None:
        return None
    return await begin_session(
        connection, who.user.id, source_address=None, browser="Test", settings=settings.console
    )


def refusal_of(route: ConsoleRoute, method: str, who: Somebody) -> set[int]:
    """With what somebody is refused by the table of roles; nothing: let in."""
    needs = route.needs_for(method)
    if needs in (Access.NOBODY, Access.ANYBODY):
        return set()
    if who.user is None:
        return {403} if route.is_stream else {303}
    roles: frozenset[Role] = who.here if route.subject else who.at_all
    if route.subject and not roles:
        return {404}
    if isinstance(needs, tuple) and not any(ALLOWED[action] & roles for action in needs):
        return {403}
    if who.owns_nothing and {"batch_id", "message_id", "upload_id"} & set(parameters_of(route.path)):
        return {403, 404}
    return set()


def is_let_in(route: ConsoleRoute, status: int, location: str) -> bool:
    if not set(parameters_of(route.path)) <= THERE and status == 404:
        # Something that isn't there is told to whoever may see it.
        return True
    if location.startswith(("/login", "/account/confirm?")):
        return route.name in {"logout", "login-code", "confirm-code"}
    return status not in {403, 404} and status < 500


@pytest.mark.timeout(300)
async def test_each_role_is_let_in_where_the_table_says_and_nowhere_else(
    settings: Settings, connection: Connection
) -> None:
    settings = proxied(settings)
    examples = await make_examples(connection, settings)
    wrong: list[str] = []
    seen = 0
    before = await contents(connection)
    async with serving_console(settings) as port:
        walker = Walker(port)
        for name, who in examples.people.items():
            session = await session_of(connection, settings, who)
            for route, method in each_method():
                if name in OUTSIDERS and not isinstance(route.needs_for(method), tuple):
                    continue
                # A form without an id is refused by the page itself: whoever gets so far is let in, and nothing is changed.
                status, location = await walker.ask(method, examples.path(route.path), session)
                if route.name == "logout":
                    session = await session_of(connection, settings, who)
                refusal = refusal_of(route, method, who)
                good = status in refusal if refusal else is_let_in(route, status, location)
                if refusal == {303}:
                    good = good and location.startswith("/login")
                if not good:
                    wrong.append(
                        f"{name}: {method} {route.path}: {status} {location}, not {refusal or 'let in'}"
                    )
                seen += 1
    assert not wrong, "\n".join(wrong)
    # A GET changes nothing, and what is no form of ours doesn't either.
    after = await contents(connection)
    assert {table for table in before if after[table] != before[table]} == set()
    assert seen >= len(ROUTES) * (len(examples.people) - len(OUTSIDERS))


async def test_a_campaign_that_is_unknown_or_deleted_is_not_there(
    settings: Settings, connection: Connection
) -> None:
    settings = proxied(settings)
    examples = await make_examples(connection, settings)
    routes = [
        (route, method) for route, method in each_method() if "campaign_id" in parameters_of(route.path)
    ]
    assert routes
    wrong: list[str] = []
    async with serving_console(settings) as port:
        walker = Walker(port)
        for name in ("ops", "pic", "creator", "owner"):
            session = await session_of(connection, settings, examples.people[name])
            for route, method in routes:
                for campaign in ("no-such-campaign", examples.deleted_campaign):
                    status, _ = await walker.ask(
                        method, examples.path(route.path, campaign_id=campaign), session
                    )
                    may_see = campaign == examples.deleted_campaign and name in {"ops", "pic"}
                    if not (may_see or status == 404):
                        wrong.append(f"{name}: {method} {route.path} of {campaign}: {status}")
                    # The frame of what is left of it is there for those who may see it.
                    if may_see and route.name == "campaign_settings" and method == "GET" and status != 200:
                        wrong.append(f"{name}: {route.path} of a deleted campaign: {status}")
    assert not wrong, "\n".join(wrong)


async def test_what_wants_a_fresh_code_leads_to_the_page_that_sends_one(
    settings: Settings, connection: Connection
) -> None:
    settings = proxied(settings)
    examples = await make_examples(connection, settings)
    async with serving_console(settings) as port:
        walker = Walker(port)
        for name in ("ops", "owner"):
            who = examples.people[name]
            session = await session_of(connection, settings, who)
            await connection.execute("update console_sessions set code_at = now() - interval '16 minutes'")
            for route, method in each_method():
                if route.is_fresh and not refusal_of(route, method, who):
                    path = examples.path(route.path)
                    status, location = await walker.ask(method, path, session, Referer=f"http://x{path}?a=b")
                    assert (status, location.partition("?")[0]) == (303, "/account/confirm"), route.path
                    assert location.startswith("/account/confirm?next=%2F"), route.path


FROM_ELSEWHERE = (
    {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec_Fetch_Site": "same-site", "Origin": "https://evil.gov.sg"},
    {"Sec_Fetch_Site": "", "Origin": "https://evil.example"},
    {"Sec_Fetch_Site": "", "Origin": "null"},
    {"Sec_Fetch_Site": ""},
)


async def test_nothing_is_changed_from_another_site(settings: Settings, connection: Connection) -> None:
    settings = proxied(settings)
    examples = await make_examples(connection, settings)
    unsafe = [(route, method) for route, method in each_method() if method != "GET"]
    assert {route.name for route, _ in unsafe} >= {"login", "login-code", "logout", "confirm", "end-session"}
    async with serving_console(settings) as port:
        walker = Walker(port)
        session = await session_of(connection, settings, examples.people["owner"])
        for route, method in unsafe:
            for headers in FROM_ELSEWHERE:
                path = examples.path(route.path)
                status, _ = await walker.ask(method, path, session, fields=FORM, **headers)
                assert status == 403, f"{method} {route.path} with {headers}"
        # The session is as good as before: the refusals were for where the requests came from.
        assert (await walker.ask("GET", "/account", session))[0] == 200


async def contents(connection: Connection) -> dict[str, str]:
    """What stands in each table, but who is logged in and who has opened what."""
    # Ranges are read through the tables that they are of.
    tables = await connection.fetch(
        "select relname from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition"
    )
    found: dict[str, str] = {}
    for (table,) in tables:
        if table in {"console_sessions", "campaign_visits"}:
            continue
        # Who has logged out, and who has taken or seen what.
        passing = r"where event !~ '_(ended|downloaded|unmasked)$'"
        where = passing if table == "audit_events" else ""
        found[table] = await connection.fetchval(
            f"select md5(coalesce(string_agg(t::text, ' ' order by t::text), '')) from {table} t {where}"
        )
    return found


def each_method() -> Iterator[tuple[ConsoleRoute, str]]:
    for route in ROUTES:
        for method in route.methods:
            yield route, method


def test_every_route_says_what_it_needs() -> None:
    for route in ROUTES:
        assert set(route.methods) <= {"GET", "POST"}, route.name
        needs = route.needs_for("GET")
        if route.subject is None and isinstance(needs, tuple):
            # Without a campaign nobody is a member of one: only what somebody is at all can help.
            at_all = {Role.OPS, Role.PIC, Role.CREATOR, Role.OWNER}
            assert all(ALLOWED[action] & at_all for action in needs), route.name
        if {"campaign_id", "batch_id", "message_id", "upload_id"} & set(parameters_of(route.path)):
            assert route.subject is not None, (
                f"{route.name} is about a campaign, and nobody asks whether it is there"
            )
    assert {Action.SEE_CAMPAIGN} <= set(ALLOWED)
