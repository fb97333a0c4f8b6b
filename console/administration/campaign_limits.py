"""`/ops/campaigns/ID`: what ops alone set of a campaign: how often it may call the API, and whether by NRIC."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from campaigns.api_access import MOST_RATE, set_api_rate, set_nric
from campaigns.campaigns import fetch_known_campaign
from campaigns.errors import CampaignsError
from campaigns.people.permissions import Action
from console.administration.words import said
from console.errors import GoTo
from console.forms import Form
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit

_RATE_WRONG: Final = (
    f"Give a whole number from 1 to {MOST_RATE:,}, or leave the field empty for the usual rate"
)


async def find(visit: Visit) -> Response:
    """Lead to the campaign of the id that was typed."""
    raise GoTo(url("ops_campaign", campaign_id=visit.query.get("campaign", "").strip() or "-"))


async def show_limits(visit: Visit) -> Response:
    """What is set."""
    return await _shown(visit)


async def change_limits(visit: Visit) -> Response:
    """Set the rate and the use of NRICs as the form says."""
    form = await visit.form()
    text = form.words("rate")
    if text and not (text.isascii() and text.isdecimal() and len(text) < 6):
        return await _shown(visit, form=form, errors={"rate": _RATE_WRONG})
    rate, nric = int(text) if text else None, form["nric"] == "yes"
    try:
        async with visit.change(form) as connection:
            campaign = await fetch_known_campaign(connection, visit.campaign_id)
            if rate != campaign.api_rate:
                await set_api_rate(connection, campaign.id, rate, actor=visit.actor)
            await set_nric(connection, campaign.id, allowed=nric, actor=visit.actor)
            here = url("ops_campaign", campaign_id=campaign.id)
            return await visit.done(connection, here, f"The limits of {campaign.name} are set.")
    except CampaignsError as error:
        return await _shown(visit, form=form, errors={"rate": said(error)})


async def _shown(
    visit: Visit, *, form: Form | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    async with visit.connection() as connection:
        campaign = await fetch_known_campaign(connection, visit.campaign_id)
    return await visit.page(
        "administration/campaign_limits.html", status=422 if errors else 200, campaign=campaign, form=form,
        errors=errors or {}, usual_rate=visit.settings.api.rate,
    )  # fmt: skip


ROUTES: Final = (
    ConsoleRoute("ops_campaigns", "/ops/campaigns", {"GET": find}, Action.ADMINISTER),
    ConsoleRoute(
        "ops_campaign", "/ops/campaigns/{campaign_id}", {"GET": show_limits, "POST": change_limits}, Action.ADMINISTER,
        subject=of_campaign,
    ),
)  # fmt: skip
