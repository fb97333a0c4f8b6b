"""A campaign's settings, About: what it is, what its messages say, whose it is; ops suspend and resume it here."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import (
    CampaignStatus,
    Channel,
    SuspensionReason,
    fetch_suspension_reason,
    resume_campaign,
    suspend_campaign,
)
from campaigns.errors import CampaignsError
from campaigns.people.agencies import fetch_agency
from campaigns.people.permissions import Action
from campaigns.twilio_accounts import fetch_twilio_account
from console.billing.recent import fetch_month_so_far
from console.campaigns.frame import open_frame
from console.campaigns.phones import phone_of, sender_of
from console.campaigns.steps import sentence
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit

# Why ops suspend a campaign, in words that its members read.
REASONS: Final[Mapping[SuspensionReason, str]] = {
    SuspensionReason.AGENCY: "the agency asked for it",
    SuspensionReason.CONTENT: "what it sends must be looked at",
    SuspensionReason.COMPLAINTS: "recipients complained",
    SuspensionReason.SECURITY: "a key or an address may be in wrong hands",
    SuspensionReason.BILLING: "a question of billing is open",
    SuspensionReason.OTHER: "another reason: ask the operators of this service",
}


async def show_about(visit: Visit) -> Response:
    """What the campaign is."""
    return await _show(visit, {})


async def suspend(visit: Visit) -> Response:
    """Shut the campaign out, and say why."""
    form = await visit.form()
    if form["reason"] not in set(SuspensionReason):
        return await _show(visit, {"reason": "Say why: the campaign's members read it."})
    reason = SuspensionReason(form["reason"])
    try:
        async with visit.change(form) as connection:
            await suspend_campaign(connection, visit.campaign_id, reason=reason, actor=visit.actor)
            return await visit.done(
                connection, _path(visit), "The campaign is suspended: nothing comes in, and what waits stays."
            )
    except CampaignsError as error:
        return await _show(visit, {"": sentence(str(error))})


async def resume(visit: Visit) -> Response:
    """Let the campaign in again."""
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            await resume_campaign(connection, visit.campaign_id, actor=visit.actor)
            return await visit.done(
                connection, _path(visit), "The campaign is active again, and what waited leaves."
            )
    except CampaignsError as error:
        return await _show(visit, {"": sentence(str(error))})


def _path(visit: Visit) -> str:
    return url("campaign_settings", campaign_id=visit.campaign_id)


async def _show(visit: Visit, errors: dict[str, str]) -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_settings")
        agency = await fetch_agency(connection, frame.campaign.agency_id)
        account = await fetch_twilio_account(connection, frame.campaign.id)
        cost = None
        if visit.may(Action.SEE_BILLING):
            cost = await fetch_month_so_far(connection, visit.settings, frame.campaign, datetime.now(UTC))
        reason = None
        if frame.campaign.status is CampaignStatus.SUSPENDED:
            reason = await fetch_suspension_reason(connection, frame.campaign.id)
    campaign = frame.campaign
    sender = sender_of(visit.settings, campaign.channel, account.sender_name if account else None)
    phones = [
        phone_of(
            visit.settings,
            header=campaign.template.header,
            body=body,
            language=language,
            sender=sender,
            channel=campaign.channel,
            price=visit.price,
        )
        for language, body in campaign.template.bodies.items()
    ]
    return await visit.page(
        "campaigns/about.html",
        status=400 if errors else 200,
        frame=frame,
        agency=agency,
        account=account,
        sender=sender,
        phones=phones,
        cost=cost,
        reason=None if reason is None else REASONS[reason],
        reasons=REASONS,
        may_change_account=(
            campaign.channel is Channel.INTERNAL
            and campaign.status is not CampaignStatus.DELETED
            and visit.may(Action.MANAGE_CAMPAIGN)
        ),
        may_suspend=visit.may(Action.ADMINISTER),
        errors=errors,
    )


ROUTES: Final = (
    ConsoleRoute(
        "campaign_settings",
        "/campaigns/{campaign_id}/settings",
        {"GET": show_about},
        Action.SEE_CAMPAIGN,
        subject=of_campaign,
    ),
    ConsoleRoute(
        "campaign_suspend",
        "/campaigns/{campaign_id}/settings/suspend",
        {"POST": suspend},
        Action.ADMINISTER,
        subject=of_campaign,
    ),
    ConsoleRoute(
        "campaign_resume",
        "/campaigns/{campaign_id}/settings/resume",
        {"POST": resume},
        Action.ADMINISTER,
        subject=of_campaign,
    ),
)
