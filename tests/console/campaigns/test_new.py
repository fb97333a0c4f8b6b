"""A campaign is made in three steps and a last look, without JavaScript."""

import json
from collections.abc import Iterator, Mapping

import pytest
from pydantic import SecretStr

from campaigns.campaigns import Channel, fetch_known_campaign, list_campaigns
from campaigns.people.members import list_members
from campaigns.people.permissions import Membership
from campaigns.secret_keys import load_keys
from campaigns.twilio_accounts import fetch_twilio_account
from config.settings import Settings
from console.campaigns.drafts import Draft, delete_old_drafts, list_drafts, record_draft
from database.connections import Connection
from rules.templates import Language
from tests.console.campaigns.making import make_campaign, make_creator, make_member, make_pic
from tests.console.served import Browser, Shown, browse, make_user, serving_console
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

ACCOUNT = {"account": ACCOUNT_SID, "key": KEY_SID, "service": SERVICE_SID, "sender": "CLINIC"}


async def _to_content(browser: Browser, name: str = "Reminders") -> Shown:
    """The page Content of a new public campaign."""
    page = await browser.send(await browser.get("/campaigns/new"), "/campaigns/new", name=name)
    page = await browser.send(page, page.path, channel="public")
    return _landed(page, "/content")


async def _fill(browser: Browser, page: Shown, values: Mapping[str, str]) -> Shown:
    """Fill in the page's own form, and send it."""
    kept = [pair for pair in page.form(page.path).fields if pair[0] not in values]
    return await browser.post(page.path, [*kept, *values.items()])


def _landed(page: Shown, path: str) -> Shown:
    assert page.status == 200, page.text
    assert page.path.endswith(path), (page.path, page.text)
    return page


async def test_a_public_campaign_is_made_in_three_steps_and_a_last_look(
    settings: Settings, connection: Connection
) -> None:
    creator = await make_creator(connection)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, creator)
        page = await _to_content(browser, "  Clinic   reminders ")
        page = await browser.send(
            page, page.path,
            body_english="Dear {{name}},\r\nsee you at {{time}}.", body_malay="{{name}}, jumpa pada {{time}}.",
            then="continue",
        )  # fmt: skip
        look = _landed(page, "/look")
        for text in ("Clinic reminders", "Members of the public", "Malay", "name , time", "can't be changed"):
            assert text in look.text
        assert not await list_campaigns(connection)
        made = await browser.send(look, look.path)
        assert "The campaign is created" in made.text
        assert made.title == "Clinic reminders"
        (campaign,) = await list_campaigns(connection)
        assert (campaign.creator.id, campaign.notify_email) == (creator.id, creator.email)
        assert (campaign.template.header, campaign.channel) == ("Clinic", Channel.PUBLIC)
        assert dict(campaign.template.bodies) == {
            Language.ENGLISH: "Dear {{name}},\nsee you at {{time}}.",
            Language.MALAY: "{{name}}, jumpa pada {{time}}.",
        }
        (owner,) = await list_members(connection, campaign.id)
        assert (owner.user_id, owner.role) == (creator.id, Membership.OWNER)
        actors = await connection.fetch("select actor from audit_events where event = 'campaign_created'")
        assert creator.id in {row["actor"] for row in actors}
        # The same form again makes no second one, and leads to the first.
        again = await browser.send(look, look.path)
        assert again.path == made.path
        assert len(await list_campaigns(connection)) == 1
        assert (await browser.get(look.path)).status == 404


async def test_what_is_wrong_with_a_text_is_told_beside_it(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_creator(connection))
        page = await _to_content(browser)
        cases: list[tuple[dict[str, str], str]] = [
            ({}, "The template has no body"),
            ({"body_english": "Hi {{recipient}}"}, "the name of a column of every file"),
            (
                {"body_english": "Hi {{a}}", "body_tamil": "{{b}}"},
                "The parameter a of the english body is missing",
            ),
            ({"body_english": "x" * 1001}, "at most 1000 are allowed"),
            ({"body_english": "x" * 9000}, "has 9,000 characters"),
            ({"body_malay": "Hi { name }"}, "write {{name}}"),
            ({"body_english": "Say “hi”"}, 'unsupported character “ (U+201C), use " instead'),
        ]
        for bodies, told in cases:
            shown = await _fill(browser, page, {**bodies, "then": "continue"})
            assert told in shown.text, bodies
            assert "There is a problem" in shown.text
            assert (
                f'href="#field-{next(iter(bodies), "body_english")}"' in shown.body or "body_tamil" in bodies
            )
        hostile = "</textarea><script>alert(1)</script>{{name}}"
        shown = await browser.send(page, page.path, body_chinese=hostile, then="preview")
        assert "<script>alert" not in shown.body
        assert dict(shown.form(page.path).fields)["body_chinese"] == hostile


async def test_characters_that_make_messages_dearer_are_replaced_by_a_button(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_creator(connection))
        page = await _to_content(browser)
        page = await browser.send(page, page.path, body_english="“{{name}}” – 1½ [kg]", then="preview")
        assert "– (U+2013), 1×: use - instead" in page.text
        assert "1 segment (UCS-2)" not in page.text
        page = await browser.send(page, page.path, then="replace")
        assert dict(page.form(page.path).fields)["body_english"] == '"{{name}}" - 1 1/2 (kg)'
        assert "make messages dearer:" not in page.text
        assert "15 of 1,000 characters, excluding variables" in page.text
        preview = await browser.send(page, page.path, then="continue", body_english="Dear {{name}}")
        _landed(preview, "/look")


async def test_a_draft_is_its_users_alone_and_can_be_gone_on_with_or_thrown_away(
    settings: Settings, connection: Connection
) -> None:
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_creator(connection))
        other = await browse(connection, settings, port, await make_creator(connection, "bo@clinic.gov.sg"))
        page = await _to_content(browser)
        for step in ("name", "channel", "account", "content", "look"):
            assert (await other.get(page.path.replace("content", step))).status == 404
        # Whoever goes ahead is led back to the first step that isn't done.
        assert (await browser.get(page.path.replace("content", "look"))).path == page.path
        begun = await browser.get("/campaigns/new")
        assert "Reminders" in begun.text
        assert "Reminders" not in (await other.get("/campaigns/new")).text
        gone = await browser.send(begun, page.path.replace("content", "discard"))
        assert "thrown away" in gone.text
        assert (await browser.get(page.path)).status == 404
        officer = await make_user(connection, "new@clinic.gov.sg")
        assert (await (await browse(connection, settings, port, officer)).get("/campaigns/new")).status == 403


async def test_drafts_that_nobody_touches_go_and_so_do_the_oldest_of_many(connection: Connection) -> None:
    creator = await make_creator(connection)
    for number in range(22):
        await record_draft(connection, creator.id, Draft(f"Draft {number}"))
    assert [draft.name for draft in await list_drafts(connection, creator.id)] == [
        f"Draft {number}" for number in range(21, 1, -1)
    ]
    await connection.execute("update campaign_drafts set changed_at = now() - interval '6 days'")
    await delete_old_drafts(connection)
    assert len(await list_drafts(connection, creator.id)) == 20
    await connection.execute("update campaign_drafts set changed_at = now() - interval '8 days'")
    await delete_old_drafts(connection)
    assert not await list_drafts(connection, creator.id)


async def test_ops_choose_agency_and_header_and_nobody_else_does(
    settings: Settings, connection: Connection
) -> None:
    creator = await make_creator(connection)
    ops = await make_user(connection, "olga@ops.gov.sg", is_ops=True)
    async with serving_console(settings) as port:
        for user, header in ((ops, "Clinic at night"), (creator, "Clinic")):
            browser = await browse(connection, settings, port, user)
            page = await browser.get("/campaigns/new")
            page = await browser.send(page, page.path, name="Reminders", agency="Clinic")
            page = await browser.send(page, page.path, channel="public")
            page = await browser.send(
                page, page.path, header="Clinic at night", body_english="Hello", then="continue"
            )
            made = await browser.send(page, page.path)
            campaign = await fetch_known_campaign(connection, made.path.split("/")[2])
            assert campaign.template.header == header
            assert campaign.creator.id == user.id
            assert campaign.agency_id == creator.agency_id


async def test_an_old_campaign_is_the_beginning_of_a_new_one(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_pic(connection))
        page = await browser.get(f"/campaigns/{campaign_id}/settings")
        page = _landed(await browser.send(page, "/campaigns/new/copy"), "/name")
        assert dict(page.form(page.path).fields)["name"] == "Copy of Reminders"
        page = await browser.send(page, page.path, name="Reminders 2")
        page = await browser.send(page, page.path)
        page = await browser.send(page, page.path, then="continue")
        made = await browser.send(page, page.path)
        copy = await fetch_known_campaign(connection, made.path.split("/")[2])
        assert copy.template == (await fetch_known_campaign(connection, campaign_id)).template
        # Nobody copies what isn't there for that one.
        stranger = await browse(
            connection, settings, port, await make_creator(connection, "sue@other.gov.sg", "Other")
        )
        fields = {"form_id": "x" * 24, "campaign_id": campaign_id}
        assert (await stranger.post("/campaigns/new/copy", fields)).status == 404


@pytest.fixture(scope="module")
def running_twilio() -> Iterator[TwilioServer]:
    """A local server that stands for Twilio."""
    with twilio_server() as server:
        yield server


@pytest.fixture
def internal_settings(settings: Settings, running_twilio: TwilioServer) -> Settings:
    """Settings with which secrets can be kept, and Twilio is the local server."""
    twilio = settings.sending.twilio.model_copy(update={"base_url": running_twilio.base_url})
    return settings.model_copy(
        update={
            "secrets": settings.secrets.model_copy(
                update={"key": SecretStr("c2VjcmV0LWtleS1vZi0zMi1ieXRlcy1mb3ItdGVzdHM=")}
            ),
            "sending": settings.sending.model_copy(update={"twilio": twilio}),
        }
    )


async def test_an_internal_campaign_leaves_by_an_account_that_was_tried(
    internal_settings: Settings, connection: Connection
) -> None:
    settings = internal_settings
    creator = await make_creator(connection)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, creator)
        page = await browser.send(await browser.get("/campaigns/new"), "/campaigns/new", name="Staff")
        page = _landed(await browser.send(page, page.path, channel="internal"), "/account")
        wrong = await _fill(browser, page, {**ACCOUNT, "key": "SK1", "secret": KEY_SECRET})
        assert "The API key's SID is SK and 32 hexadecimal digits." in wrong.text
        assert KEY_SECRET not in dict(wrong.form(page.path).fields).values()
        refused = await _fill(browser, page, {**ACCOUNT, "secret": "another"})
        assert "Twilio refuses the API key or its secret (HTTP 401" in refused.text
        assert "Keep it untried" not in refused.text
        page = _landed(await _fill(browser, page, {**ACCOUNT, "secret": KEY_SECRET}), "/content")
        assert "Twilio knows the account" in page.text
        document = await connection.fetchval("select document from campaign_drafts")
        assert json.loads(document)["account"]["secret"] not in {None, KEY_SECRET}
        assert "CLINIC" in (account := await browser.get(page.path.replace("content", "account"))).body
        assert not dict(account.form(account.path).fields)["secret"]
        page = await browser.send(page, page.path, body_english="Your shift is at {{time}}.", then="continue")
        assert "From CLINIC" in page.text
        # A secret is read beside the values that it was typed with, and beside no others.
        kept = await connection.fetchval("select document from campaign_drafts")
        await connection.execute(
            "update campaign_drafts set document = $1", kept.replace(SERVICE_SID, "MG" + "1" * 32)
        )
        assert "The secret can't be read any more" in (await browser.send(page, page.path)).text
        await connection.execute("update campaign_drafts set document = $1", kept)
        made = await browser.send(page, page.path)
        stored = await fetch_twilio_account(connection, made.path.split("/")[2])
        assert stored is not None
        assert stored.read_secret(await load_keys(connection, settings.secrets)) == KEY_SECRET
        assert stored.sender_name == "CLINIC"


async def test_owners_set_another_account_later(internal_settings: Settings, connection: Connection) -> None:
    settings = internal_settings
    campaign_id = await make_campaign(connection, name="Staff", channel=Channel.INTERNAL)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    member = await make_member(connection, campaign_id, "mel@clinic.gov.sg", Membership.MEMBER)
    about = f"/campaigns/{campaign_id}/settings"
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        page = await browser.get(about)
        assert "its messages wait" in page.text
        assert ("Set the account at Twilio", f"{about}/account") in page.links
        page = await browser.get(f"{about}/account")
        refused = await _fill(browser, page, {**ACCOUNT, "secret": "another"})
        assert "Twilio refuses the API key or its secret" in refused.text
        assert await fetch_twilio_account(connection, campaign_id) is None
        done = _landed(await _fill(browser, page, {**ACCOUNT, "secret": KEY_SECRET}), "/settings")
        assert "messages leave by it from now on" in done.text
        stored = await fetch_twilio_account(connection, campaign_id)
        assert stored is not None
        assert stored.read_secret(await load_keys(connection, settings.secrets)) == KEY_SECRET
        other = await make_campaign(connection, name="Others", channel=Channel.INTERNAL)
        page = await browser.get(f"/campaigns/{other}/settings/account")
        values = {**ACCOUNT, "account": "AC" + "1" * 32, "secret": KEY_SECRET, "untried": "yes"}
        assert "used here with another account" in (await _fill(browser, page, values)).text
        members = await browse(connection, settings, port, member)
        assert (await members.get(f"{about}/account")).status == 403
        assert "Change the account" not in (await members.get(about)).text


async def test_where_twilio_is_away_or_no_secret_can_be_kept_that_is_told(
    internal_settings: Settings, connection: Connection, unused_tcp_port: int
) -> None:
    sending = internal_settings.sending
    twilio = sending.twilio.model_copy(update={"base_url": f"http://127.0.0.1:{unused_tcp_port}"})
    away = internal_settings.model_copy(update={"sending": sending.model_copy(update={"twilio": twilio})})
    creator = await make_creator(connection)
    async with serving_console(away) as port:
        browser = await browse(connection, away, port, creator)
        page = await browser.send(await browser.get("/campaigns/new"), "/campaigns/new", name="Staff")
        page = await browser.send(page, page.path, channel="internal")
        shown = await _fill(browser, page, {**ACCOUNT, "secret": KEY_SECRET})
        assert "can't be reached" in shown.text
        kept = _landed(
            await _fill(browser, shown, {**ACCOUNT, "secret": KEY_SECRET, "untried": "yes"}), "/content"
        )
        look = await browser.send(kept, kept.path, body_english="Hello", then="continue")
        assert "Twilio wasn't asked for the account" in look.text
    keyless = away.model_copy(update={"secrets": away.secrets.model_copy(update={"key": None})})
    async with serving_console(keyless) as port:
        browser = await browse(connection, keyless, port, creator)
        shown = await _fill(browser, page, {**ACCOUNT, "secret": KEY_SECRET, "untried": "yes"})
        assert "the console needs SECRETS__KEY" in shown.text
        assert (await browser.send(look, look.path)).text.count("SECRETS__KEY") >= 1
        assert not await list_campaigns(connection)


async def test_a_secret_wants_a_fresh_code(settings: Settings, connection: Connection) -> None:
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, await make_creator(connection))
        page = await browser.send(await browser.get("/campaigns/new"), "/campaigns/new", name="Staff")
        await connection.execute("update console_sessions set code_at = now() - interval '1 hour'")
        shown = await browser.get(page.path.replace("channel", "account"), follow=False)
        assert (shown.status, shown.location.split("?")[0]) == (303, "/account/confirm")
        assert (await browser.get(page.path)).status == 200
