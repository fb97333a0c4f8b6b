"""The file that people begin with: the columns of a campaign, and a row that shows how they are filled in."""

import csv
import io
import re
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

from campaigns.campaigns import Campaign, fetch_known_campaign
from campaigns.people.permissions import Action
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit

# A number that the guide calls made up: the page counts such rows before a file is sent.
_NUMBER: Final = "6590000000"
_BOM: Final = "\ufeff"
_NOT_PLAIN: Final = re.compile(r'[^ -~]|["\\%]')


async def send_sample(visit: Visit) -> Response:
    """The campaign's CSV template."""
    async with visit.connection() as connection:
        campaign = await fetch_known_campaign(connection, visit.campaign_id)
    return Response(
        sample_of(campaign).encode(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": disposition_of(f"(sample) {campaign.name}.csv")},
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


def disposition_of(name: str) -> str:
    """The header by which a file is saved under this name (RFC 6266, RFC 8187): plain for old programs, and as it is."""
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name)
    plain = _NOT_PLAIN.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


ROUTES: Final = (
    ConsoleRoute(
        "file_sample",
        "/campaigns/{campaign_id}/send-file/sample",
        {"GET": send_sample},
        Action.SEND,
        subject=of_campaign,
    ),
)
