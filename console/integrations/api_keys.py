"""API keys: made and shown once, deleted after a second question."""

from typing import Final

from starlette.responses import Response

from campaigns.api_access import add_api_key, delete_api_key
from campaigns.campaigns import CampaignStatus, fetch_known_campaign
from campaigns.errors import CampaignRefused
from campaigns.people.permissions import Action
from console.campaigns.frame import open_frame
from console.errors import PageRefused
from console.integrations.changes import sentence
from console.integrations.lines import servers_of
from console.integrations.overview import HERE
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from keys.api_key_form import is_prefix, shown_key
from keys.api_keys import MOST_IN_FORCE, list_api_keys
from keys.errors import KeyNotFound, KeyRefused

_MOST_NAME: Final = 100
_NO_NAME: Final = "Give the key a name that says which program has it, such as appointment system."
_BAD_NAME: Final = f"A key's name has printable characters only, at most {_MOST_NAME}."
_NO_ADDRESS: Final = "A key needs an address from which the API may be called: add one to the campaign first, on the page before."
_TOO_MANY: Final = f"The campaign has {MOST_IN_FORCE} keys in force, and can have no more: delete one first, on the page before."
_GONE: Final = "The campaign has no such key in force: it may have been deleted meanwhile."


async def ask_name(visit: Visit) -> Response:
    """What the key shall be called."""
    return await _ask(visit, "", {})


async def make_key(visit: Visit) -> Response:
    """Make the key, and show it this one time. The same form again makes no other, and shows none."""
    form = await visit.form()
    name = form.words("name")
    if not name or not name.isprintable() or len(name) > _MOST_NAME:
        return await _ask(visit, name, {"name": _BAD_NAME if name else _NO_NAME})
    environment = visit.settings.environment
    try:
        async with visit.change(form) as connection:
            key = await add_api_key(
                connection,
                visit.campaign_id,
                environment=environment,
                name=name,
                actor=visit.actor,
                creator_id=visit.user.id,
            )
            # Whoever sends the form again is led there.
            await visit.done(
                connection, url("campaign_api_key", campaign_id=visit.campaign_id, prefix=key.prefix)
            )
    except KeyRefused:
        return await _ask(visit, name, {"": _TOO_MANY})
    except CampaignRefused as refusal:
        async with visit.connection() as connection:
            campaign = await fetch_known_campaign(connection, visit.campaign_id)
        is_deleted = campaign.status is CampaignStatus.DELETED
        return await _ask(visit, name, {"": sentence(refusal) if is_deleted else _NO_ADDRESS})
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, HERE)
    servers = servers_of(visit.settings, visit.request.headers.get("host", ""))
    return await visit.page(
        "integrations/api_key_made.html",
        frame=frame,
        name=name,
        key=key.text,
        known_as=shown_key(key.prefix, environment),
        list_line=servers.list_line(visit.campaign_id),
    )


async def show_key(visit: Visit) -> Response:
    """A key that was made before: it isn't shown again."""
    return await _about(visit, "integrations/api_key.html")


async def ask_deletion(visit: Visit) -> Response:
    """What is lost with it."""
    return await _about(visit, "integrations/api_key_delete.html")


async def delete_key(visit: Visit) -> Response:
    """End it, at once and on all nodes."""
    form = await visit.form()
    prefix = visit.parameter("prefix")
    try:
        async with visit.change(form) as connection:
            if not is_prefix(prefix):
                raise PageRefused(404, _GONE)
            await delete_api_key(connection, visit.campaign_id, prefix, actor=visit.actor)
            shown = shown_key(prefix, visit.settings.environment)
            return await visit.done(
                connection,
                url(HERE, campaign_id=visit.campaign_id),
                f"{shown} is deleted: no call gets in by it any more.",
            )
    except KeyNotFound:
        raise PageRefused(404, _GONE) from None


async def _ask(visit: Visit, name: str, errors: dict[str, str]) -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, HERE)
    return await visit.page(
        "integrations/api_key_new.html", status=400 if errors else 200, frame=frame, name=name, errors=errors
    )


async def _about(visit: Visit, template: str) -> Response:
    prefix = visit.parameter("prefix")
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, HERE)
        keys = await list_api_keys(connection, visit.campaign_id)
    key = next((key for key in keys if key.prefix == prefix and key.deleted_at is None), None)
    if key is None:
        raise PageRefused(404, _GONE)
    return await visit.page(
        template, frame=frame, key=key, known_as=shown_key(prefix, visit.settings.environment)
    )


_BASE: Final = "/campaigns/{campaign_id}/settings/integrations/api-keys"
ROUTES: Final = (
    ConsoleRoute(
        "make_api_key",
        f"{_BASE}/new",
        {"GET": ask_name, "POST": make_key},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
        is_fresh=True,
    ),
    ConsoleRoute(
        "campaign_api_key",
        f"{_BASE}/{{prefix}}",
        {"GET": show_key},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
    ),
    ConsoleRoute(
        "delete_api_key",
        f"{_BASE}/{{prefix}}/delete",
        {"GET": ask_deletion, "POST": delete_key},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
    ),
)
