"""A campaign is created whole or not at all, and creation itself checks every field, its template first."""

import re

import pytest

from audit.events import Actor
from campaigns.campaigns import (
    CampaignStatus,
    Channel,
    delete_campaign,
    fetch_known_campaign,
    list_campaigns,
)
from campaigns.creation import CreatedCampaign, create_campaign
from campaigns.errors import CampaignRefused
from database.connections import Connection
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template

ADMIN = Actor(name="admin")
TEMPLATE = Template("Clinic", {Language.TAMIL: "வணக்கம் {{name}}", Language.ENGLISH: "Dear {{name}}"})


async def create(
    connection: Connection,
    *,
    name: str = "Clinic reminders",
    template: Template = TEMPLATE,
    notify_email: str = "ops@clinic.gov.sg",
    campaign_id: str | None = None,
    allowed_sources: tuple[str, ...] = (),
    unsupported: UnsupportedRule = UnsupportedRule(),  # noqa: B008 - it can't be changed
) -> CreatedCampaign:
    return await create_campaign(
        connection,
        name=name,
        template=template,
        notify_email=notify_email,
        campaign_id=campaign_id,
        allowed_sources=allowed_sources,
        unsupported=unsupported,
        actor=ADMIN,
    )


async def test_a_campaign_is_given_back_as_it_was_created(connection: Connection) -> None:
    created = await create_campaign(
        connection,
        name=" Clinic reminders ",
        template=TEMPLATE,
        notify_email="ops@clinic.gov.sg",
        channel=Channel.INTERNAL,
        allowed_sources=["192.0.2.7", "2001:db8::/32"],
        unsupported=UnsupportedRule(),
        actor=ADMIN,
    )

    campaign = await fetch_known_campaign(connection, created.id)

    assert re.fullmatch(
        r"campaign_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", created.id
    )
    assert campaign.name == "Clinic reminders"
    assert campaign.template == TEMPLATE
    assert list(campaign.template.bodies) == [Language.TAMIL, Language.ENGLISH]
    assert campaign.channel is Channel.INTERNAL
    assert campaign.notify_email == "ops@clinic.gov.sg"
    assert [str(network) for network in campaign.allowed_sources] == ["192.0.2.7/32", "2001:db8::/32"]
    assert campaign.status is CampaignStatus.ACTIVE
    assert campaign.created_at.tzinfo is not None
    assert [warning.partition(":")[0] for warning in created.warnings] == [
        f"the campaign has no account at Twilio yet, and its messages wait for `sftp-gateway campaign twilio {created.id} …`",
        "numbers abroad get messages of this campaign only if its messaging service has a bought number",
    ]
    events = await connection.fetch("select event, campaign_id from audit_events")
    assert [tuple(row) for row in events] == [("campaign_created", created.id)]


async def test_an_id_of_ones_own_is_kept_and_never_given_twice(connection: Connection) -> None:
    assert (await create(connection, campaign_id="demo-1")).id == "demo-1"
    await delete_campaign(connection, "demo-1", actor=ADMIN)
    with pytest.raises(CampaignRefused, match="taken"):
        await create(connection, campaign_id="demo-1")
    assert len(await list_campaigns(connection)) == 1


async def test_a_template_that_breaks_rules_is_refused_with_a_line_for_each(connection: Connection) -> None:
    template = Template(
        " ",
        {
            Language.ENGLISH: "x" * 321 + " {{Name}} {{place}}",
            Language.MALAY: "{place} \t",
        },
    )

    with pytest.raises(CampaignRefused) as refused:
        await create(connection, template=template)

    assert str(refused.value).splitlines() == [
        "the header is empty: give the agency's name",
        "english: the parameter Name: a name has lower-case letters, digits and _, and begins with a letter",
        'malay: broken placeholder at "{place}  ": write {{place}}, with two braces on either side and no blanks in them',
        "malay: the parameter Name of the english body is missing",
        "malay: the parameter place of the english body is missing",
    ]
    assert [warning.partition(":")[0] for warning in refused.value.warnings] == ["english"]
    assert await list_campaigns(connection) == []
    assert await connection.fetchval("select count(*) from audit_events") == 0


async def test_a_template_of_unwise_length_is_stored_with_a_warning(connection: Connection) -> None:
    template = Template("Clinic", {Language.ENGLISH: "x" * 321})

    created = await create(connection, template=template)

    assert created.warnings == (
        "english: the body has 321 characters without its parameters; over 320 is not recommended",
    )
    assert (await fetch_known_campaign(connection, created.id)).template == template


async def test_the_settings_say_which_characters_a_template_may_have(connection: Connection) -> None:
    template = Template("Clinic", {Language.ENGLISH: "Dear {{name}} – 😀"})

    with pytest.raises(CampaignRefused, match=r"unsupported character – \(U\+2013\)"):
        await create(connection, template=template)
    with pytest.raises(CampaignRefused, match=r"unsupported character 😀 \(U\+1F600\)"):
        await create(connection, template=template, unsupported=UnsupportedRule(tier3=False))
    await create(connection, template=template, unsupported=UnsupportedRule(tier3=False, emoji=False))


async def test_a_template_that_is_no_text_is_refused(connection: Connection) -> None:
    with pytest.raises(CampaignRefused, match=r"^the template is not UTF-8 text$"):
        await create(connection, template=Template("Clinic", {Language.ENGLISH: "Dear \ud800"}))


async def test_every_other_field_is_checked_too(connection: Connection) -> None:
    with pytest.raises(CampaignRefused, match="needs a name"):
        await create(connection, name="  ")
    with pytest.raises(CampaignRefused, match="exactly one"):
        await create(connection, notify_email="a@b.sg,c@d.sg")
    with pytest.raises(CampaignRefused, match="3 to 64 characters"):
        await create(connection, campaign_id="a b")
    with pytest.raises(CampaignRefused, match="not an address or network"):
        await create(connection, allowed_sources=("office",))
    assert await list_campaigns(connection) == []
