"""A campaign's settings, Delete: what is lost and what stays; then it is gone for good, once its name has been typed."""

from typing import Final

from starlette.responses import Response

from campaigns.campaigns import CampaignStatus, delete_campaign
from campaigns.errors import CampaignsError
from campaigns.people.permissions import Action
from console.campaigns.frame import campaign_path, open_frame
from console.campaigns.steps import sentence
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "campaigns/deletion.sql")
_PAGE: Final = "campaign_delete"
_OTHER: Final = "Type the campaign's name as it stands above, or its id."


async def show_deletion(visit: Visit) -> Response:
    """Say what is lost and what stays."""
    return await _show(visit, {})


async def delete_for_good(visit: Visit) -> Response:
    """Delete the campaign, where its name or its id was typed."""
    form = await visit.form()
    async with visit.connection() as connection:
        campaign = (await open_frame(visit, connection, _PAGE)).campaign
    typed = " ".join(form["name"].split())
    if typed not in {" ".join(campaign.name.split()), campaign.id}:
        return await _show(visit, {"name": _OTHER})
    try:
        async with visit.change(form) as connection:
            await delete_campaign(connection, campaign.id, actor=visit.actor)
            sees_it = visit.may(Action.SEE_DELETED_CAMPAIGN)
            path = campaign_path(campaign.id) if sees_it else url("home")
            return await visit.done(connection, path, f"The campaign {campaign.name} is deleted.")
    except CampaignsError as error:
        return await _show(visit, {"": sentence(str(error))})


async def _show(visit: Visit, errors: dict[str, str]) -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, _PAGE)
        lost = await connection.fetchrow(SQL["count_what_is_lost"], visit.campaign_id)
    return await visit.page(
        "campaigns/deletion.html",
        status=400 if errors else 200,
        frame=frame,
        lost=lost,
        is_deleted=frame.campaign.status is CampaignStatus.DELETED,
        errors=errors,
    )


ROUTES: Final = (
    ConsoleRoute(
        _PAGE,
        "/campaigns/{campaign_id}/settings/delete",
        {"GET": show_deletion, "POST": delete_for_good},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
        is_fresh=True,
    ),
)
