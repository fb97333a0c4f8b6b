"""A campaign's messages, newest first: live, with a search for part of a number, and filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import Campaign
from campaigns.twilio_accounts import fetch_twilio_account
from console.campaigns.campaign_visits import note_visit
from console.campaigns.frame import open_frame
from console.campaigns.phones import sender_of
from console.messages.cursors import cursor_of
from console.messages.queries import ERROR_CHOICES, STATUS_CHOICES, MessageQuery, parse_query
from console.messages.rows import RowMaker
from console.messages.sight import SEES_MESSAGES, Sight, check_of
from console.messages.tables import ROWS, TableView, fetch_table, list_creators
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from database.connections import Connection
from messages.pages import Page


@dataclass(frozen=True, slots=True)
class Links:
    """Where a page of messages leads, and from where it follows what changes; None: nowhere."""

    newer: str | None
    older: str | None
    live: str


def links_of(query: MessageQuery, page: Page, route: str, live_route: str, **path: str) -> Links:
    """The links of a page; `path` is what stands in the paths of both routes."""
    given = {name: text for name, text in query.given.items() if text}
    here = {}
    if query.place is not None:
        here["after" if query.towards.name == "OLDER" else "before"] = cursor_of(query.place)
    newer = cursor_of(page.first) if page.has_newer and page.first else None
    older = cursor_of(page.last) if page.has_older and page.last else None
    if page.has_newer and newer is None and query.place is not None:
        # Nothing older is left: back from where this page begins.
        newer = cursor_of(query.place)
    return Links(
        url(route, **path, **given, before=newer) if newer else None,
        url(route, **path, **given, after=older) if older else None,
        url(live_route, **path, **given, **here),
    )


async def make_rows(
    visit: Visit, connection: Connection, campaign: Campaign, sight: Sight, *, in_batch: bool = False
) -> RowMaker:
    """What makes the rows of a campaign's messages for the visitor."""
    account = await fetch_twilio_account(connection, campaign.id)
    sender = sender_of(visit.settings, campaign.channel, account.sender_name if account else None)
    return RowMaker(sight, sender, campaign.template.parameters, in_batch)


async def show_messages(visit: Visit) -> Response:
    """The campaign's messages."""
    sight = Sight.of_visit(visit)
    query = parse_query(visit.query, sight, visit.campaign_id)
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_messages")
        await note_visit(visit, connection)
        maker = await make_rows(visit, connection, frame.campaign, sight)
        page = await fetch_table(connection, query)
        creators = await _list_creators(connection, visit, sight)
    return await visit.page(
        "messages/listing.html",
        frame=frame,
        query=query,
        maker=maker,
        rows=[maker.row(message) for message in page.messages],
        links=links_of(
            query, page, "campaign_messages", "campaign_messages_live", campaign_id=visit.campaign_id
        ),
        sight=sight,
        archives=page.archives,
        creators=creators,
        statuses=STATUS_CHOICES,
        errors=ERROR_CHOICES,
        most=ROWS,
    )


async def _list_creators(connection: Connection, visit: Visit, sight: Sight) -> Sequence[tuple[str, str]]:
    """Whom messages can be filtered by. Who sees only own ones has nobody to choose."""
    if not sight.sees_others:
        return ()
    return [("", "Anybody"), *await list_creators(connection, visit.campaign_id)]


async def follow_messages(visit: Visit) -> Response:
    """What becomes of the messages that the page shows."""
    sight = Sight.of_visit(visit)
    query = parse_query(visit.query, sight, visit.campaign_id)
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_messages")
        maker = await make_rows(visit, connection, frame.campaign, sight)
    return visit.services.hub.open(
        TableView(query, maker),
        user_id=visit.user.id,
        campaign_id=visit.campaign_id,
        check=check_of(visit, sight),
    )


ROUTES: Final = (
    ConsoleRoute(
        "campaign_messages",
        "/campaigns/{campaign_id}",
        {"GET": show_messages},
        SEES_MESSAGES,
        subject=of_campaign,
    ),
    ConsoleRoute(
        "campaign_messages_live",
        "/campaigns/{campaign_id}/live",
        {"GET": follow_messages},
        SEES_MESSAGES,
        subject=of_campaign,
        is_stream=True,
    ),
)
