"""What stands around each page of a campaign, and its About page."""

from campaigns.campaigns import Channel, delete_campaign, suspend_campaign
from campaigns.people.permissions import Membership
from config.environment import Environment
from config.settings import Settings
from console.campaigns.frame import SEND_TABS, TABS
from console.campaigns.phones import cost_in_words
from console.paths import has_page
from database.connections import Connection
from rules.billing.prices import FIRST_PRICE
from rules.templates import Language
from tests.console.campaigns.making import make_campaign, make_member, make_pic
from tests.console.served import OPS, Shown, browse, make_user, serving_console

HOSTILE = "\"><script>alert(1)</script>{{7*7}}' \u202egnp.exe"


def _tabs(page: Shown) -> list[str]:
    campaign_path = page.path.split("/settings")[0]
    return [text for text, path in page.links if path.startswith(campaign_path)]


async def test_the_tabs_are_those_that_the_visitor_may_open(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    restricted = await make_member(connection, campaign_id, "bo@clinic.gov.sg", Membership.RESTRICTED)
    stranger = await make_user(connection, "sue@other.gov.sg")
    path = f"/campaigns/{campaign_id}/settings"
    async with serving_console(settings) as port:
        shown = await (await browse(connection, settings, port, owner)).get(path)
        expected = {tab.text for tab in TABS if has_page(tab.page)}
        assert expected <= set(_tabs(shown))
        assert 'aria-current="page">Settings' in shown.body
        assert "Delete" not in _tabs(await (await browse(connection, settings, port, restricted)).get(path))
        assert (await (await browse(connection, settings, port, stranger)).get(path)).status == 404


async def test_whoever_may_send_finds_the_ways_while_the_campaign_is_active(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    owner = await make_user(connection, "amy@clinic.gov.sg")
    path = f"/campaigns/{campaign_id}/settings"
    async with serving_console(settings) as port:
        ways = {tab.text for tab in SEND_TABS if has_page(tab.page)}
        browser = await browse(connection, settings, port, owner)
        assert ways <= {text for text, _ in (await browser.get(path)).links}
        pic = await browse(connection, settings, port, await make_pic(connection))
        assert not ways & {text for text, _ in (await pic.get(path)).links}
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=OPS)
        assert not ways & {text for text, _ in (await browser.get(path)).links}
    assert ways


async def test_about_says_what_a_campaign_is(settings: Settings, connection: Connection) -> None:
    campaign_id = await make_campaign(connection)
    restricted = await make_member(connection, campaign_id, "bo@clinic.gov.sg", Membership.RESTRICTED)
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, restricted)
        shown = await browser.get(f"/campaigns/{campaign_id}/settings")
        assert shown.title == "Reminders"
        for text in (
            campaign_id,
            "Members of the public",
            "amy@clinic.gov.sg",
            "您的",
            "{{topic}}",
            "Postman",
        ):
            assert text in shown.text
        assert "This is an automated message sent by the Singapore Government." in shown.text
        async with connection.transaction():
            await suspend_campaign(connection, campaign_id, actor=OPS)
        assert "suspended since" in (await browser.get(shown.path)).text


def test_what_a_text_costs_is_told_where_it_is_charged(settings: Settings) -> None:
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    told = cost_in_words(production, Channel.PUBLIC, 3, FIRST_PRICE)
    assert told == "SGD 0.14 to a local number before GST"
    assert cost_in_words(production, Channel.INTERNAL, 3, FIRST_PRICE) == "billed by Twilio to your agency"
    assert cost_in_words(settings, Channel.PUBLIC, 3, FIRST_PRICE) == "free: test environment"


async def test_a_deleted_campaign_is_there_for_its_agency_and_ops_alone(
    settings: Settings, connection: Connection
) -> None:
    campaign_id = await make_campaign(connection)
    async with connection.transaction():
        await delete_campaign(connection, campaign_id, actor=OPS)
    path = f"/campaigns/{campaign_id}/settings"
    async with serving_console(settings) as port:
        for user, status in (
            (await make_user(connection, "amy@clinic.gov.sg"), 404),
            (await make_pic(connection), 200),
            (await make_user(connection, "olga@ops.gov.sg", is_ops=True), 200),
        ):
            assert (await (await browse(connection, settings, port, user)).get(path)).status == status


async def test_names_and_texts_are_shown_as_they_are_written(
    settings: Settings, connection: Connection
) -> None:
    """What somebody put into the database stays text, and a name that reverses its line keeps that to itself."""
    campaign_id = await make_campaign(connection)
    body = "Hi {{name}} <img src=x onerror=alert(1)> \u202e"
    await connection.execute(
        "update campaigns set name = $2, header = $2 where id = $1", campaign_id, HOSTILE
    )
    await connection.execute(
        "update template_bodies set body = $2 where campaign_id = $1 and language = $3",
        campaign_id, body, Language.CHINESE.value,
    )  # fmt: skip
    owner = await make_user(connection, "amy@clinic.gov.sg")
    async with serving_console(settings) as port:
        browser = await browse(connection, settings, port, owner)
        for path in (f"/campaigns/{campaign_id}/settings", "/"):
            shown = await browser.get(path)
            assert "<script>alert" not in shown.body
            assert "<img" not in shown.body
            assert "{{7*7}}" in shown.text
            assert "<bdi>" in shown.body
