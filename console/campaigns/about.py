"""A campaign's settings, About: what it is, what its messages say, whose it is; ops suspend and resume it here."""

from typing import Final

from starlette.responses import Response

from campaigns.people.agencies import fetch_agency
from campaigns.people.permissions import Action
from campaigns.twilio_accounts import fetch_twilio_account
from console.campaigns.frame import open_frame
from console.campaigns.phones import phone_of, sender_of
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit


async def show_about(visit: Visit) -> Response:
    """What the campaign is."""
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_settings")
        agency = await fetch_agency(connection, frame.campaign.agency_id)
        account = await fetch_twilio_account(connection, frame.campaign.id)
    campaign = frame.campaign
    sender = sender_of(visit.settings, campaign.channel, account.sender_name if account else None)
    phones = [
        phone_of(visit.settings, header=campaign.template.header, body=body, language=language, sender=sender)
        for language, body in campaign.template.bodies.items()
    ]
    return await visit.page(
        "campaigns/about.html", frame=frame, agency=agency, account=account, sender=sender, phones=phones
    )


ROUTES: Final = (
    ConsoleRoute(
        "campaign_settings",
        "/campaigns/{campaign_id}/settings",
        {"GET": show_about},
        Action.SEE_CAMPAIGN,
        subject=of_campaign,
    ),
)
