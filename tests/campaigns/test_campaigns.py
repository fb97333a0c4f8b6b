"""Campaigns are changed only along the moves that exist, and each step is on record."""

from collections.abc import Awaitable, Callable

import pytest

from audit.events import Actor
from campaigns.campaigns import (
    CampaignStatus,
    delete_campaign,
    fetch_campaign,
    fetch_known_campaign,
    list_campaigns,
    resume_campaign,
    set_allowed_sources,
    set_notify_address,
    suspend_campaign,
)
from campaigns.errors import CampaignNotFound, CampaignRefused
from campaigns.fields import parse_sources
from database.connections import Connection

ADMIN = Actor(name="admin")


async def events_of(connection: Connection, campaign_id: str) -> list[str]:
    rows = await connection.fetch(
        "select event from audit_events where campaign_id = $1 order by id", campaign_id
    )
    return [row["event"] for row in rows]


async def test_an_unknown_campaign_is_none_or_an_error_that_says_so(connection: Connection) -> None:
    assert await fetch_campaign(connection, "nobody") is None
    with pytest.raises(CampaignNotFound, match="there is no campaign 'nobody'"):
        await fetch_known_campaign(connection, "nobody")


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
