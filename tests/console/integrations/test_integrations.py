"""The settings page Integrations, without JavaScript: addresses, keys of both kinds, where e-mails go, and the lines to copy."""

import html
import json
import re
import shlex
from datetime import UTC, datetime

import pytest

from audit.events import Actor, AuditEvent, record_event
from campaigns.api_access import add_api_key, change_api_addresses, parse_api_addresses
from campaigns.campaigns import delete_campaign, fetch_known_campaign
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from console.integrations.key_words import _WORDS
from console.integrations.lines import servers_of
from database.connections import Connection
from keys.api_key_form import parse_key
from keys.api_uses import KeyUses, record_uses
from keys.host_key_changes import generate_host_keys
from keys.key_files import check_public_keys
from keys.public_keys import KeyRefusalCode
from tests.conftest import KeyPair
from tests.console.campaigns.making import make_campaign, make_member
from tests.console.served import OPS, Browser, Shown, browse, make_user, serving_console

HOSTILE = '"><script>alert(1)</script>{{7*7}}'
KEY = re.compile(r"key_test_[0-9A-Za-z]{57}")


class Page:
    """The page of one campaign in its owner's browser."""

    def __init__(self, browser: Browser, campaign_id: str, user_id: str) -> None:
        self.browser = browser
        self.campaign_id = campaign_id
        self.user_id = user_id
        self.path = f"/campaigns/{campaign_id}/settings/integrations"


async def page_of(connection: Connection, settings: Settings, port: int) -> Page:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    return Page(await browse(connection, settings, port, owner), campaign_id, owner.id)


async def fill(browser: Browser, shown: Shown, action: str, **fields: str) -> Shown:
    """Fill in the page's form that goes exactly there, and send it; the first, where there are several."""
    form = next(form for form in shown.forms if form.action == action)
    return await browser.post(
        action, [pair for pair in form.fields if pair[0] not in fields] + list(fields.items())
    )


def names_and_paths(shown: Shown) -> dict[str, str]:
    """The page's links, by their path."""
    return {path: text for text, path in shown.links}


async def test_addresses_are_added_one_or_several_at_a_time_and_removed(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        browser = page.browser
        shown = await browser.get(page.path)
        assert "No address may call the API yet" in shown.text
        assert "Make an API key" not in shown.text
        shown = await fill(browser, shown, f"{page.path}/addresses", addresses="192.0.2.7")
        assert "The address is allowed to call the API." in shown.text
        shown = await fill(
            browser, shown, f"{page.path}/addresses", addresses="192.0.2.8, 2001:db8::7\n192.0.2.7\n"
        )
        allowed = (await fetch_known_campaign(connection, page.campaign_id)).api_addresses
        assert list(map(str, allowed)) == ["192.0.2.7", "192.0.2.8", "2001:db8::7"]
        # The browser's own, by one click.
        own = next(form for form in shown.forms if ("addresses", "127.0.0.1") in form.fields)
        assert own.action == f"{page.path}/addresses"
        shown = await browser.post(own.action, own.fields)
        assert "Your address now is" not in shown.text
        # What can't be taken is said, and what was typed stays.
        for given, said in (
            ("192.0.2.0/24", "192.0.2.0/24 is a network"),
            ("clinic.gov.sg", "is not the address of a caller"),
            (" ".join(f"198.51.100.{number}" for number in range(17)), "would have 21 addresses"),
            ("  ", "Type an address"),
        ):
            refused = await fill(browser, shown, f"{page.path}/addresses", addresses=given)
            assert refused.status == 400
            assert said in refused.text, refused.text
            assert given.strip() in refused.body
        removal = next(form for form in shown.forms if ("address", "192.0.2.8") in form.fields)
        shown = await browser.post(removal.action, removal.fields)
        assert "192.0.2.8" not in shown.text
        events = await connection.fetch(
            "select actor, source_address from audit_events where event = 'campaign_api_addresses_changed'"
        )
        assert {(row["actor"], str(row["source_address"])) for row in events} == {(page.user_id, "127.0.0.1")}


async def test_a_key_is_shown_once_however_often_its_form_is_sent(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        browser = page.browser
        await fill(browser, await browser.get(page.path), f"{page.path}/addresses", addresses="127.0.0.1")
        asked = await browser.get(f"{page.path}/api-keys/new")
        form = asked.form(f"{page.path}/api-keys/new")
        fields = [(name, HOSTILE if name == "name" else value) for name, value in form.fields]
        made = await browser.post(form.action, fields)
        (text,) = set(KEY.findall(made.body))
        key = parse_key(text, Environment.TEST)
        assert key is not None
        # To be kept without the clipboard, too, and nowhere on this server.
        assert f"data:text/plain;charset=utf-8,{text}%0A" in made.body
        assert made.headers["cache-control"] == "no-store"
        again = await browser.post(form.action, fields)
        assert "can't be shown again" in again.text
        assert not KEY.search(again.body)
        assert await connection.fetchval("select count(*) from api_keys") == 1
        row = await connection.fetchrow("select * from api_keys")
        assert row is not None
        assert (row["prefix"], row["digest"], row["name"]) == (key.prefix, key.digest, HOSTILE)
        assert (row["creator_id"], row["made_by"]) == (page.user_id, page.user_id)

        await record_uses(
            connection,
            [
                KeyUses(
                    key.prefix,
                    "127.0.0.1",
                    datetime(2026, 11, 27, 1, 0, tzinfo=UTC),
                    admitted=5,
                    limited=1234,
                ),
                KeyUses(key.prefix, "203.0.113.9", datetime(2026, 11, 27, 2, 0, tzinfo=UTC), forbidden=7),
            ],
        )
        shown = await browser.get(page.path)
        assert f"key_test_{key.prefix}****" in shown.text
        assert not KEY.search(shown.body)
        assert "<script>alert" not in shown.body
        for said in (HOSTILE, "by amy@clinic.gov.sg", "27 Nov 2026, 10:00:00 SGT from 203.0.113.9", "1,234",
                     "27 Nov 2026, 09:00:00 SGT"):  # fmt: skip
            assert said in shown.text

        # An address that keys need stays.
        removal = next(form for form in shown.forms if ("address", "127.0.0.1") in form.fields)
        refused = await browser.post(removal.action, removal.fields)
        assert (refused.status, "which need an address" in refused.text) == (400, True)

        deletion = f"{page.path}/api-keys/{key.prefix}/delete"
        assert deletion in names_and_paths(shown)
        shown = await browser.send(await browser.get(deletion), deletion)
        assert f"key_test_{key.prefix}**** is deleted" in shown.text
        assert await connection.fetchval("select deleted_at is not null from api_keys")
        assert (await browser.get(deletion)).status == 404


async def test_no_key_is_made_where_there_may_be_none(settings: Settings, connection: Connection) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        browser, new = page.browser, f"{page.path}/api-keys/new"
        asked = await browser.get(new)
        for name, said in (
            ("", "Give the key a name"),
            ("a\u202eb", "printable characters"),
            ("x" * 101, "at most 100"),
            ("jobs", "A key needs an address"),
        ):
            refused = await browser.send(asked, new, name=name)
            assert (refused.status, said in refused.text) == (400, True), refused.text
        await fill(browser, await browser.get(page.path), f"{page.path}/addresses", addresses="127.0.0.1")
        for _ in range(3):
            assert KEY.search((await browser.send(await browser.get(new), new, name="jobs")).body)
        refused = await browser.send(await browser.get(new), new, name="jobs")
        assert "can have no more" in refused.text
        assert "Make an API key" not in (await browser.get(page.path)).text
        assert await connection.fetchval("select count(*) from api_keys") == 3


async def test_keys_want_a_fresh_code(settings: Settings, connection: Connection) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        await connection.execute("update console_sessions set code_at = now() - interval '1 hour'")
        for path in (f"{page.path}/api-keys/new", f"{page.path}/ssh-keys/new"):
            for answer in (
                await page.browser.get(path, follow=False),
                await page.browser.post(path, {"name": "jobs", "form_id": "x" * 24}, follow=False),
            ):
                assert answer.location.startswith("/account/confirm?next=%2Fcampaigns"), answer.location
        assert await connection.fetchval("select count(*) from api_keys") == 0


async def test_an_ssh_key_is_pasted_and_removed(
    settings: Settings, connection: Connection, ed25519_key: KeyPair
) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        browser, new = page.browser, f"{page.path}/ssh-keys/new"
        shown = await browser.send(
            await browser.get(new), new, public_key=ed25519_key.public_line, label=HOSTILE
        )
        ((key,), _) = check_public_keys(ed25519_key.public_line.encode())
        assert f"The key {key.fingerprint} may log in by SFTP from now on." in shown.text
        assert HOSTILE in shown.text
        assert "<script>alert" not in shown.body
        assert "none yet" in shown.text
        await record_event(
            connection,
            AuditEvent.LOGIN_ACCEPTED,
            campaign_id=page.campaign_id,
            actor=Actor(key.fingerprint, "c1", "192.0.2.44"),
        )
        shown = await browser.get(page.path)
        assert "SGT from 192.0.2.44" in shown.text
        again = await browser.send(await browser.get(new), new, public_key=ed25519_key.public_line, label="")
        assert f"{key.fingerprint} was there already" in again.text

        ask = next(path for text, path in shown.links if text.startswith("Remove the key"))
        asked = await browser.get(ask)
        assert key.fingerprint in asked.text
        removed = await browser.send(asked, f"{page.path}/ssh-keys/remove")
        assert f"The key {key.fingerprint} is removed" in removed.text
        assert "nobody can log in by SFTP" in removed.text
        row = await connection.fetchrow("select * from ssh_keys")
        assert row is not None
        assert (row["label"], row["revoked_at"] is None) == (HOSTILE, False)
        assert (await browser.get(ask)).status == 404
        # Once more in force, and that is told.
        back = await browser.send(await browser.get(new), new, public_key=ed25519_key.public_line, label="")
        assert "is in force again" in back.text


async def test_what_is_no_acceptable_public_key_is_refused_in_the_page_s_words(
    settings: Settings, connection: Connection, ed25519_key: KeyPair
) -> None:
    private = ed25519_key.private_file.read_text()
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        browser, new = page.browser, f"{page.path}/ssh-keys/new"
        asked = await browser.get(new)
        for pasted, said in (
            ("", "There is no public key in it."),
            ("ssh-dss AAAA", "Line 1: DSA keys are too weak."),
            (f"{ed25519_key.public_line}\nssh-ed25519 AAAA", "Line 2: This is no whole OpenSSH public key"),
            (f'from="192.0.2.1" {ed25519_key.public_line}', "Options or other words stand before the key"),
            ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "ssh-keygen -i -m RFC4716"),
        ):
            refused = await browser.send(asked, new, public_key=pasted)
            assert (refused.status, said in refused.text) == (400, True), refused.text
            assert "sftp-gateway" not in refused.text
            assert html.escape(pasted.split("\n")[0], quote=False) in refused.body.replace("&#34;", '"')
        refused = await browser.send(asked, new, public_key=private)
        assert "This is a PRIVATE key" in refused.text
        assert private.splitlines()[1] not in refused.body
        assert await connection.fetchval("select count(*) from ssh_keys") == 0
    # No cause is without words.
    assert set(_WORDS) == set(KeyRefusalCode)


async def test_addresses_of_sftp_and_of_e_mails_are_changed(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        browser = page.browser
        shown = await browser.get(page.path)
        shown = await fill(browser, shown, f"{page.path}/sources", sources="192.0.2.7\r\n198.51.100.0/24")
        assert "from these addresses only" in shown.text
        shown = await fill(browser, shown, f"{page.path}/notify", notify_email="desk@clinic.gov.sg")
        assert "Outcomes are mailed there from now on." in shown.text
        campaign = await fetch_known_campaign(connection, page.campaign_id)
        assert list(map(str, campaign.allowed_sources)) == ["192.0.2.7/32", "198.51.100.0/24"]
        assert campaign.notify_email == "desk@clinic.gov.sg"
        assert ("sources", "192.0.2.7/32\n198.51.100.0/24") in shown.form(f"{page.path}/sources").fields
        for part, fields, said in (
            ("sources", {"sources": "clinic"}, "is not an address or network"),
            ("notify", {"notify_email": "a@b.sg, c@d.sg"}, "Exactly one notification address"),
        ):
            refused = await fill(browser, shown, f"{page.path}/{part}", **fields)
            assert (refused.status, said in refused.text) == (400, True), refused.text
        shown = await fill(browser, shown, f"{page.path}/sources", sources=" ")
        assert (await fetch_known_campaign(connection, page.campaign_id)).allowed_sources == ()


async def test_whoever_does_not_manage_the_campaign_is_kept_out(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        member = await make_member(connection, page.campaign_id, "bo@clinic.gov.sg", Membership.MEMBER)
        ops = await make_user(connection, "olga@ops.gov.sg", is_ops=True)
        assert (await (await browse(connection, settings, port, member)).get(page.path)).status == 403
        assert (await (await browse(connection, settings, port, ops)).get(page.path)).status == 200


async def test_of_a_deleted_campaign_ops_see_what_was_and_change_nothing(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        addresses = parse_api_addresses(["192.0.2.7"])
        async with connection.transaction():
            await change_api_addresses(connection, page.campaign_id, added=addresses, removed=(), actor=OPS)
            key = await add_api_key(
                connection, page.campaign_id, environment=Environment.TEST, name="", actor=OPS
            )
        ops = await browse(
            connection, settings, port, await make_user(connection, "olga@ops.gov.sg", is_ops=True)
        )
        before = await ops.get(page.path)
        # Whose login at a server it was isn't told.
        assert "by the operators" in before.text
        assert f"by {OPS.name}" not in before.text
        asked = await ops.get(f"{page.path}/api-keys/new")
        async with connection.transaction():
            await delete_campaign(connection, page.campaign_id, actor=OPS)
        shown = await ops.get(page.path)
        assert shown.status == 200
        assert "192.0.2.7" in shown.text
        assert [form.action for form in shown.forms if form.action.startswith(page.path)] == []
        removal = next(form for form in before.forms if ("address", "192.0.2.7") in form.fields)
        refused = [
            await ops.post(removal.action, removal.fields),
            await fill(ops, before, f"{page.path}/addresses", addresses="192.0.2.8"),
            await fill(ops, before, f"{page.path}/notify", notify_email="desk@clinic.gov.sg"),
            await ops.send(asked, f"{page.path}/api-keys/new", name="jobs"),
        ]
        for answer in refused:
            assert (answer.status, "is deleted, and that can't be undone" in answer.text) == (400, True), (
                answer.text
            )
        assert (await ops.get(f"{page.path}/api-keys/{key.prefix}")).status == 404


async def test_lines_to_copy_are_those_of_this_campaign(settings: Settings, connection: Connection) -> None:
    console = settings.console.model_copy(
        update={"api_url": "https://sms.agency.gov.sg/", "sftp_server": "sftp.agency.gov.sg:2222"}
    )
    settings = settings.model_copy(update={"console": console})
    async with connection.transaction():
        keys = await generate_host_keys(connection, settings.sftp.host_key_dir, actor=OPS)
    async with serving_console(settings) as port:
        page = await page_of(connection, settings, port)
        shown = await page.browser.get(page.path)
        assert (
            f"sftp -P 2222 -i agency_key -o IdentitiesOnly=yes {page.campaign_id}@sftp.agency.gov.sg"
            in shown.text
        )
        for key in keys:
            assert key.fingerprint in shown.text
            assert key.known_hosts_line("sftp.agency.gov.sg", 2222) in shown.text
        lines = re.findall(r"<code data-copy>(curl.*?)</code>", shown.body)
        calls = f"https://sms.agency.gov.sg/api/v2/campaigns/{page.campaign_id}/messages"
        listing, sending = [shlex.split(html.unescape(line)) for line in lines]
        assert listing[4:] == [f"{calls}?limit=10", "-H", "Authorization: Bearer $SMS_KEY"]
        assert sending[4] == calls
        assert json.loads(sending[-1]) == {
            "recipient": "6591234567", "language": "english", "values": {"name": "name", "topic": "topic"}
        }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "sftp", "api"),
    [
        ("console.agency.gov.sg", "console.agency.gov.sg", "https://console.agency.gov.sg:8080"),
        ("127.0.0.1:8081", "127.0.0.1", "http://127.0.0.1:8080"),
        ("[::1]:8081", "::1", "http://[::1]:8080"),
        ("", "SERVER", "https://server:8080"),
        ("[", "SERVER", "https://SERVER:8080"),
    ],
)
def test_without_settings_the_browser_s_own_way_tells_the_server(
    settings: Settings, asked: str, sftp: str, api: str
) -> None:
    plain = settings.model_copy(
        update={
            "sftp": settings.sftp.model_copy(update={"port": 22}),
            "api": settings.api.model_copy(update={"port": 8080}),
        }
    )
    servers = servers_of(plain, asked)
    assert (servers.sftp_host, servers.api_url.lower()) == (sftp, api.lower())
    assert servers.sftp_line("c-1") == f"sftp -i agency_key -o IdentitiesOnly=yes c-1@{sftp}"
