"""The page itself: what is in force, what it was used for, and the lines to copy. What it changes is in the modules beside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from campaigns.api_access import MOST_ADDRESSES
from campaigns.campaigns import CampaignStatus
from campaigns.people.permissions import Action
from console.campaigns.frame import open_frame
from console.integrations.lines import servers_of
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from database.queries import NamedQueries
from keys.api_key_form import shown_key
from keys.api_keys import MOST_IN_FORCE
from keys.api_uses import KeyUses, list_uses
from keys.host_key_fingerprints import list_host_keys
from keys.host_keys import known_hosts_line

SQL: Final = NamedQueries("console", "integrations/overview.sql")
HERE: Final = "campaign_integrations"
# So many addresses of refused calls are shown, the newest first.
_MOST_REFUSED: Final = 20


@dataclass(frozen=True, slots=True)
class ShownKey:
    """An API key in force, with what it was used for."""

    prefix: str
    text: str
    name: str
    made_by: str
    made_at: datetime
    last: KeyUses | None
    unauthorized: int
    forbidden: int
    limited: int


@dataclass(frozen=True, slots=True)
class ShownAddress:
    """An address that may call, and when it last did."""

    text: str
    last_at: datetime | None


async def show_integrations(visit: Visit) -> Response:
    """All of it."""
    return await overview(visit)


async def overview(
    visit: Visit, *, errors: Mapping[str, str] | None = None, given: Mapping[str, str] | None = None
) -> Response:
    """The page, with what is wrong with a form that was sent: `errors` and `given` by the names of its fields."""
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, HERE)
        uses = await list_uses(connection, visit.campaign_id)
        api_keys = await connection.fetch(SQL["list_api_keys"], visit.campaign_id)
        ssh_keys = await connection.fetch(SQL["list_ssh_keys"], visit.campaign_id)
        host_keys = await list_host_keys(connection)
    campaign, environment = frame.campaign, visit.settings.environment
    servers = servers_of(visit.settings, visit.request.headers.get("host", ""))
    allowed = {str(address) for address in campaign.api_addresses}
    return await visit.page(
        "integrations/overview.html",
        status=400 if errors else 200,
        frame=frame,
        errors=errors or {},
        given={
            "addresses": "",
            "notify_email": campaign.notify_email,
            "sources": _lines(campaign.allowed_sources),
        }
        | dict(given or {}),
        may_change=campaign.status is not CampaignStatus.DELETED,
        addresses=[
            ShownAddress(text, max((use.last_at for use in uses if use.source_address == text), default=None))
            for text in map(str, campaign.api_addresses)
        ],
        most_addresses=MOST_ADDRESSES,
        own_address=None if visit.address in allowed else visit.address,
        api_keys=[
            _shown(
                row["prefix"],
                shown_key(row["prefix"], environment),
                row["name"],
                row["made_by"],
                row["made_at"],
                uses,
            )
            for row in api_keys
        ],
        most_keys=MOST_IN_FORCE,
        refused=[use for use in uses if use.unauthorized or use.forbidden][:_MOST_REFUSED],
        rate=campaign.api_rate or visit.settings.api.rate,
        ssh_keys=ssh_keys,
        host_keys=host_keys,
        known_hosts="\n".join(
            known_hosts_line(servers.sftp_host, servers.sftp_port, key.public_key) for key in host_keys
        ),
        sftp_line=servers.sftp_line(campaign.id),
        list_line=servers.list_line(campaign.id),
        send_line=servers.send_line(campaign.id, campaign.template, environment),
        api_url=servers.api_url,
        environment=environment,
    )


def _shown(
    prefix: str, text: str, name: str, made_by: str | None, made_at: datetime, uses: Sequence[KeyUses]
) -> ShownKey:
    own = [use for use in uses if use.prefix == prefix]
    return ShownKey(
        prefix,
        text,
        name,
        made_by or "the operators",
        made_at,
        # They come with the newest first.
        own[0] if own else None,
        sum(use.unauthorized for use in own),
        sum(use.forbidden for use in own),
        sum(use.limited for use in own),
    )


def _lines(values: Sequence[object]) -> str:
    return "\n".join(map(str, values))


ROUTES: Final = (
    ConsoleRoute(
        HERE,
        "/campaigns/{campaign_id}/settings/integrations",
        {"GET": show_integrations},
        Action.MANAGE_CAMPAIGN,
        subject=of_campaign,
    ),
)
