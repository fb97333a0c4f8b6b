"""Campaigns: created whole or not at all, moved only along the moves that exist, each step on record."""

import re
from collections.abc import Awaitable, Callable

import pytest

from audit.events import Actor
from campaigns.campaigns import (
    CampaignStatus,
    Channel,
    create_campaign,
    delete_campaign,
    fetch_campaign,
    fetch_known_campaign,
    list_campaigns,
    parse_campaign_id,
    parse_notify_address,
    parse_sources,
    resume_campaign,
    set_allowed_sources,
    set_notify_address,
    suspend_campaign,
)
from database.connections import Connection
from keys.errors import CampaignNotFound, CampaignRefused
from rules.templates import Language, Template

ADMIN = Actor(name="admin")
TEMPLATE = Template("Clinic", {Language.TAMIL: "வணக்கம் {{name}}", Language.ENGLISH: "Dear {{name}}"})


async def events_of(connection: Connection, campaign_id: str) -> list[str]:
    rows = await connection.fetch(
        "select event from audit_events where campaign_id = $1 order by id", campaign_id
    )
    return [row["event"] for row in rows]


async def test_a_campaign_is_given_back_as_it_was_created(connection: Connection) -> None:
    campaign_id = await create_campaign(
        connection,
        name=" Clinic reminders ",
        template=TEMPLATE,
        notify_email="ops@clinic.gov.sg",
        channel=Channel.INTERNAL,
        allowed_sources=parse_sources(["192.0.2.7", "2001:db8::/32"]),
        actor=ADMIN,
    )

    campaign = await fetch_known_campaign(connection, campaign_id)

    assert re.fullmatch(
        r"campaign_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", campaign_id
    )
    assert campaign.name == "Clinic reminders"
    assert campaign.template == TEMPLATE
    assert list(campaign.template.bodies) == [Language.TAMIL, Language.ENGLISH]
    assert campaign.channel is Channel.INTERNAL
    assert campaign.notify_email == "ops@clinic.gov.sg"
    assert [str(network) for network in campaign.allowed_sources] == ["192.0.2.7/32", "2001:db8::/32"]
    assert campaign.status is CampaignStatus.ACTIVE
    assert campaign.created_at.tzinfo is not None
    assert await events_of(connection, campaign_id) == ["campaign_created"]


async def test_an_unknown_campaign_is_none_or_an_error_that_says_so(connection: Connection) -> None:
    assert await fetch_campaign(connection, "nobody") is None
    with pytest.raises(CampaignNotFound, match="there is no campaign 'nobody'"):
        await fetch_known_campaign(connection, "nobody")


async def test_an_id_of_ones_own_is_kept_and_never_given_twice(connection: Connection) -> None:
    async def create() -> str:
        return await create_campaign(
            connection, name="A", template=TEMPLATE, notify_email="a@b.sg", campaign_id="demo-1", actor=ADMIN
        )

    assert await create() == "demo-1"
    await delete_campaign(connection, "demo-1", actor=ADMIN)
    with pytest.raises(CampaignRefused, match="taken"):
        await create()
    assert len(await list_campaigns(connection)) == 1


@pytest.mark.parametrize("text", ["abc", "A_b-9", "x" * 64, "campaign_0b9e1c1c-2f7e-4f5e-9f39-6d3b2f3c1a11"])
def test_ids_of_the_form_pass(text: str) -> None:
    assert parse_campaign_id(text) == text


@pytest.mark.parametrize("text", ["", "ab", "x" * 65, "a b", "a.b", "ab/..", "abé", "abc\n", "١٢٣"])
def test_ids_of_any_other_form_are_refused(text: str) -> None:
    with pytest.raises(CampaignRefused, match="3 to 64 characters"):
        parse_campaign_id(text)


@pytest.mark.parametrize(
    "text",
    ["ops@clinic.gov.sg", "a.b+c@x-y.sg", "o'neil@agency.gov.sg", "me@localhost", " ops@clinic.gov.sg "],
)
def test_one_address_passes(text: str) -> None:
    assert parse_notify_address(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not an e-mail address"),
        ("ops", "not an e-mail address"),
        ("@clinic.gov.sg", "not an e-mail address"),
        ("ops@", "not an e-mail address"),
        ("ops@-clinic.sg", "not an e-mail address"),
        (".ops@clinic.sg", "not an e-mail address"),
        ("o..ps@clinic.sg", "not an e-mail address"),
        ("ops@clinic..sg", "not an e-mail address"),
        ("ops@clínic.sg", "not an e-mail address"),
        ("x" * 65 + "@clinic.sg", "not an e-mail address"),
        ("ops@clinic", "incomplete"),
        ("a@b.sg,c@d.sg", "exactly one"),
        ("a@b.sg; c@d.sg", "exactly one"),
        ("a@b.sg c@d.sg", "exactly one"),
        ("Ops <a@b.sg>", "exactly one"),
        ("a@b@c.sg", "exactly one"),
        ("a@b.sg\r\nBcc: c@d.sg", "exactly one"),
    ],
)
def test_anything_but_one_address_is_refused(text: str, says: str) -> None:
    with pytest.raises(CampaignRefused, match=says):
        parse_notify_address(text)


def test_sources_are_split_normalised_and_named_once() -> None:
    sources = parse_sources(["192.0.2.7, 198.51.100.9/24", "192.0.2.7/32", "2001:db8::1"])
    assert [str(network) for network in sources] == ["192.0.2.7/32", "198.51.100.0/24", "2001:db8::1/128"]


def test_a_source_of_ipv4_written_as_ipv6_is_ipv4() -> None:
    sources = parse_sources(["::ffff:192.0.2.7", "::ffff:198.51.100.9/120", "::/0"])
    assert [str(network) for network in sources] == ["192.0.2.7/32", "198.51.100.0/24", "::/0"]


@pytest.mark.parametrize("text", ["office", "192.0.2", "192.0.2.0/33", "192.0.2.1-9", "::1%eth0/64"])
def test_a_source_that_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(CampaignRefused, match="not an address or network"):
        parse_sources([text])


async def test_what_changes_is_changed_and_on_record(connection: Connection, campaign_id: str) -> None:
    assert await suspend_campaign(connection, campaign_id, actor=ADMIN)
    assert not await suspend_campaign(connection, campaign_id, actor=ADMIN)
    suspended = await fetch_known_campaign(connection, campaign_id)
    assert suspended.status is CampaignStatus.SUSPENDED
    assert suspended.suspended_at is not None
    assert await resume_campaign(connection, campaign_id, actor=ADMIN)
    assert not await resume_campaign(connection, campaign_id, actor=ADMIN)
    assert (
        await set_notify_address(connection, campaign_id, "new@clinic.gov.sg", actor=ADMIN)
        == "new@clinic.gov.sg"
    )
    await set_allowed_sources(connection, campaign_id, parse_sources(["192.0.2.0/24"]), actor=ADMIN)

    campaign = await fetch_known_campaign(connection, campaign_id)

    assert campaign.status is CampaignStatus.ACTIVE
    assert campaign.suspended_at is None
    assert campaign.notify_email == "new@clinic.gov.sg"
    assert list(map(str, campaign.allowed_sources)) == ["192.0.2.0/24"]
    assert await events_of(connection, campaign_id) == [
        "campaign_created",
        "campaign_suspended",
        "campaign_resumed",
        "campaign_notify_changed",
        "campaign_sources_changed",
    ]


async def test_the_audit_trail_never_holds_an_address(connection: Connection, campaign_id: str) -> None:
    await set_notify_address(connection, campaign_id, "recognisable@clinic.gov.sg", actor=ADMIN)
    rows = await connection.fetch("select audit_events::text as line from audit_events")
    assert not [row["line"] for row in rows if "@" in row["line"]]


async def test_a_deleted_campaign_stays_deleted_and_visible(connection: Connection, campaign_id: str) -> None:
    assert await delete_campaign(connection, campaign_id, actor=ADMIN)
    assert not await delete_campaign(connection, campaign_id, actor=ADMIN)

    changes: list[Callable[[], Awaitable[object]]] = [
        lambda: suspend_campaign(connection, campaign_id, actor=ADMIN),
        lambda: resume_campaign(connection, campaign_id, actor=ADMIN),
        lambda: set_notify_address(connection, campaign_id, "a@b.sg", actor=ADMIN),
        lambda: set_allowed_sources(connection, campaign_id, [], actor=ADMIN),
    ]
    for change in changes:
        with pytest.raises(CampaignRefused, match="can't be undone"):
            await change()
    (listed,) = await list_campaigns(connection)
    assert listed.status is CampaignStatus.DELETED
    assert listed.deleted_at is not None


async def test_a_campaign_that_is_not_there_cannot_be_changed(connection: Connection) -> None:
    with pytest.raises(CampaignNotFound):
        await suspend_campaign(connection, "nobody", actor=ADMIN)
