"""What the page changes in place: addresses of the API, where e-mails go, and from where SFTP may be used."""

from typing import Final

from starlette.responses import Response

from campaigns.api_access import change_api_addresses, parse_api_addresses
from campaigns.campaigns import fetch_known_campaign, set_allowed_sources, set_notify_address
from campaigns.errors import CampaignRefused
from campaigns.fields import parse_sources
from campaigns.people.permissions import Action
from console.integrations.overview import HERE, overview
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from keys.api_keys import count_in_force

_NONE_GIVEN: Final = "Type an address, such as 192.0.2.7 or 2001:db8::7."
_KEYS_NEED_ONE: Final = (
    "The campaign has API keys, which need an address: delete the keys first, or add another address before you remove "
    "this one."
)


async def add_addresses(visit: Visit) -> Response:
    """Let more addresses call the API."""
    form = await visit.form()
    try:
        added = parse_api_addresses([form["addresses"]])
        if not added:
            return await overview(visit, errors={"addresses": _NONE_GIVEN})
        async with visit.change(form) as connection:
            await change_api_addresses(
                connection, visit.campaign_id, added=added, removed=(), actor=visit.actor
            )
            which = "The address is" if len(added) == 1 else f"{len(added)} addresses are"
            return await visit.done(connection, _here(visit), f"{which} allowed to call the API.")
    except CampaignRefused as refusal:
        return await overview(
            visit, errors={"addresses": sentence(refusal)}, given={"addresses": form["addresses"]}
        )


async def remove_address(visit: Visit) -> Response:
    """Let an address call the API no more."""
    form = await visit.form()
    try:
        removed = parse_api_addresses([form["address"]])
        async with visit.change(form) as connection:
            before = (await fetch_known_campaign(connection, visit.campaign_id)).api_addresses
            going = [address for address in removed if address in before]
            try:
                await change_api_addresses(
                    connection, visit.campaign_id, added=(), removed=going, actor=visit.actor
                )
            except CampaignRefused as refusal:
                needs_one = len(going) == len(before) and await count_in_force(connection, visit.campaign_id)
                raise CampaignRefused(_KEYS_NEED_ONE if needs_one else str(refusal)) from None
            return await visit.done(connection, _here(visit), "The address can't call the API any more.")
    except CampaignRefused as refusal:
        return await overview(visit, errors={"addresses": sentence(refusal)})


async def change_notify(visit: Visit) -> Response:
    """Mail outcomes to another address."""
    form = await visit.form()
    try:
        async with visit.change(form) as connection:
            await set_notify_address(connection, visit.campaign_id, form["notify_email"], actor=visit.actor)
            return await visit.done(connection, _here(visit), "Outcomes are mailed there from now on.")
    except CampaignRefused as refusal:
        return await overview(
            visit, errors={"notify_email": sentence(refusal)}, given={"notify_email": form["notify_email"]}
        )


async def change_sources(visit: Visit) -> Response:
    """Let SFTP clients come from these addresses only, or from anywhere."""
    form = await visit.form()
    try:
        sources = parse_sources([form["sources"]])
        async with visit.change(form) as connection:
            await set_allowed_sources(connection, visit.campaign_id, sources, actor=visit.actor)
            return await visit.done(
                connection,
                _here(visit),
                "SFTP is possible from these addresses only; sessions from elsewhere have ended."
                if sources
                else "SFTP is possible from any address.",
            )
    except CampaignRefused as refusal:
        return await overview(
            visit, errors={"sources": sentence(refusal)}, given={"sources": form["sources"]}
        )


def sentence(refusal: Exception) -> str:
    """A refusal of the rooms below as a page says it: with a capital letter, and a full stop."""
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _here(visit: Visit) -> str:
    return url(HERE, campaign_id=visit.campaign_id)


_BASE: Final = "/campaigns/{campaign_id}/settings/integrations"
ROUTES: Final = tuple(
    ConsoleRoute(name, f"{_BASE}/{path}", {"POST": page}, Action.MANAGE_CAMPAIGN, subject=of_campaign)
    for name, path, page in (
        ("add_api_addresses", "addresses", add_addresses),
        ("remove_api_address", "addresses/remove", remove_address),
        ("change_notify_address", "notify", change_notify),
        ("change_allowed_sources", "sources", change_sources),
    )
)
