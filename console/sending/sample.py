"""The file that people begin with: the columns of a campaign, and a row that shows how they are filled in."""

import csv
import io
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Campaign, fetch_known_campaign
from campaigns.people.permissions import Action
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.technical.downloads import attachment
from console.visits import Visit

# A number that the guide calls made up: the page counts such rows before a file is sent.
_NUMBER: Final = "6590000000"
_BOM: Final = "\ufeff"
_MOST_NAME: Final = 100


async def send_sample(visit: Visit) -> Response:
    """The campaign's CSV template."""
    async with visit.connection() as connection:
        campaign = await fetch_known_campaign(connection, visit.campaign_id)
    return Response(
        sample_of(campaign).encode(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": attachment(f"(sample) {campaign.name[:_MOST_NAME]}.csv")},
    )


def sample_of(campaign: Campaign) -> str:
    """Header and one row, with which the file would pass. The mark in front has spreadsheets read it as UTF-8."""
    template = campaign.template
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["recipient", "language", *template.parameters])
    language = next(iter(template.bodies)).value
    rows.writerow([_NUMBER, language, *(f"sample {name}" for name in template.parameters)])
    return _BOM + written.getvalue()


ROUTES: Final = (
    ConsoleRoute(
        "file_sample",
        "/campaigns/{campaign_id}/send-file/sample",
        {"GET": send_sample},
        Action.SEND,
        subject=of_campaign,
    ),
)
