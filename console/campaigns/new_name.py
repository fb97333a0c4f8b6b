"""The first step of making a campaign: its name and, for ops, its agency. Also drafts that were begun, and copies."""

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Channel, fetch_known_campaign
from campaigns.errors import CampaignRefused
from campaigns.fields import parse_campaign_name
from campaigns.people.agencies import list_agencies
from campaigns.people.permissions import Action
from campaigns.twilio_accounts import fetch_twilio_account
from console.campaigns.drafts import (
    Draft,
    DraftAccount,
    delete_draft,
    list_drafts,
    record_draft,
    store_draft,
)
from console.campaigns.steps import CHANNEL, NAME, hold_draft, may_choose, open_draft, sentence, steps_of
from console.errors import PageRefused
from console.forms import Form
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import fetch_place
from console.visits import Visit
from database.connections import Connection

_COPY: Final = "Copy of "


async def show_new(visit: Visit) -> Response:
    """Ask for the name of a new campaign; drafts that the visitor has begun stand below."""
    async with visit.connection() as connection:
        drafts = await list_drafts(connection, visit.user.id)
        agencies = await _agencies(visit, connection)
    return await visit.page(
        "campaigns/new_name.html",
        steps=steps_of(None, NAME),
        drafts=drafts,
        agencies=agencies,
        name="",
        agency=None,
        errors={},
    )


async def begin_draft(visit: Visit) -> Response:
    """Begin a draft with this name."""
    form = await visit.form()
    name, errors = _checked(form)
    if errors:
        return await _again(visit, form, None, errors)
    async with visit.change(form) as connection:
        draft = Draft(name, agency=await _chosen(visit, connection, form))
        draft_id = await record_draft(connection, visit.user.id, draft)
        return await visit.done(connection, url(CHANNEL, draft_id=draft_id))


async def show_name(visit: Visit) -> Response:
    """The name that the draft has."""
    async with visit.connection() as connection:
        draft = await open_draft(visit, connection)
        agencies = await _agencies(visit, connection)
    return await visit.page(
        "campaigns/new_name.html",
        steps=steps_of(draft, NAME),
        drafts=(),
        agencies=agencies,
        name=draft.name,
        agency=draft.agency,
        errors={},
    )


async def change_name(visit: Visit) -> Response:
    """Give the draft this name."""
    form = await visit.form()
    name, errors = _checked(form)
    if errors:
        async with visit.connection() as connection:
            draft = await open_draft(visit, connection)
        return await _again(visit, form, draft, errors)
    async with visit.change(form) as connection:
        draft = await hold_draft(visit, connection)
        agency = await _chosen(visit, connection, form)
        await store_draft(connection, replace(draft, name=name, agency=agency))
        return await visit.done(connection, url(CHANNEL, draft_id=draft.id))


async def throw_away(visit: Visit) -> Response:
    """Forget the draft."""
    form = await visit.form()
    async with visit.change(form) as connection:
        draft = await hold_draft(visit, connection)
        await delete_draft(connection, draft.id, visit.user.id)
        return await visit.done(connection, url("campaign_new"), "The draft is thrown away.")


async def copy_campaign(visit: Visit) -> Response:
    """Begin a draft that says what an old campaign says. Its secrets aren't copied, nor its members and addresses."""
    form = await visit.form()
    async with visit.change(form) as connection:
        place = await fetch_place(connection, form["campaign_id"])
        if place is None or not visit.may(Action.SEE_CAMPAIGN, place):
            raise PageRefused(404)
        campaign = await fetch_known_campaign(connection, place.id)
        account = None
        if campaign.channel is Channel.INTERNAL and visit.may(Action.MANAGE_CAMPAIGN, place):
            stored = await fetch_twilio_account(connection, campaign.id)
            if stored is not None:
                account = DraftAccount(
                    stored.account_sid,
                    stored.key_sid,
                    stored.service_sid,
                    stored.sender_name,
                    None,
                    is_tried=False,
                )
        draft = Draft(
            f"{_COPY}{campaign.name}",
            channel=campaign.channel,
            account=account,
            bodies=campaign.template.bodies,
        )
        draft_id = await record_draft(connection, visit.user.id, draft)
        return await visit.done(
            connection,
            url(NAME, draft_id=draft_id),
            "This is a draft with the texts of the old campaign. Nothing is sent by it before you create it.",
        )


async def _again(visit: Visit, form: Form, draft: Draft | None, errors: dict[str, str]) -> Response:
    async with visit.connection() as connection:
        agencies = await _agencies(visit, connection)
    return await visit.page(
        "campaigns/new_name.html",
        status=400,
        steps=steps_of(draft, NAME),
        drafts=(),
        agencies=agencies,
        name=form["name"],
        agency=form["agency"],
        errors=errors,
    )


def _checked(form: Form) -> tuple[str, dict[str, str]]:
    try:
        return parse_campaign_name(form["name"]), {}
    except CampaignRefused as refusal:
        return "", {"name": sentence(str(refusal))}


async def _agencies(visit: Visit, connection: Connection) -> list[str]:
    """The agencies that ops choose from; nobody else chooses."""
    return [agency.name for agency in await list_agencies(connection)] if may_choose(visit) else []


async def _chosen(visit: Visit, connection: Connection, form: Form) -> str | None:
    return form["agency"] if form["agency"] in await _agencies(visit, connection) else None


ROUTES: Final = (
    ConsoleRoute(
        "campaign_new", "/campaigns/new", {"GET": show_new, "POST": begin_draft}, Action.CREATE_CAMPAIGN
    ),
    ConsoleRoute(
        NAME,
        "/campaigns/new/{draft_id}/name",
        {"GET": show_name, "POST": change_name},
        Action.CREATE_CAMPAIGN,
    ),
    ConsoleRoute(
        "campaign_new_discard",
        "/campaigns/new/{draft_id}/discard",
        {"POST": throw_away},
        Action.CREATE_CAMPAIGN,
    ),
    ConsoleRoute("campaign_copy", "/campaigns/new/copy", {"POST": copy_campaign}, Action.CREATE_CAMPAIGN),
)
