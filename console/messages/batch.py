"""One batch: how far it is, why messages of it have failed, and its messages, live."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import CampaignStatus, Creator
from console.campaigns.frame import CampaignFrame, open_frame
from console.errors import GoTo, archived_words
from console.live.views import Fragment, Note
from console.messages.batches import OUTLOOK_EVERY, PARTS, BatchRights, fetch_file, fetch_versions
from console.messages.facts import BatchFacts, fetch_facts
from console.messages.listing import links_of, make_rows
from console.messages.queries import ERROR_CHOICES, STATUS_CHOICES, parse_query
from console.messages.rows import RowMaker
from console.messages.sight import SEES_MESSAGES, Sight, check_of
from console.messages.tables import Pace, TableView, fetch_table
from console.paths import has_page, url
from console.rendering import Renderer
from console.routes import ConsoleRoute
from console.subjects import of_batch
from console.visits import Visit
from database.connections import Connection
from messages.archived.ranges import find_archive
from messages.identifiers import message_id
from messages.retrieval import Batch, fetch_batch, fetch_batches, fetch_creators
from sending.queues import may_still_leave

# Messages of which a workbook is made while its reader waits, which takes a second or two.
MOST_IN_WORKBOOK: Final = 10_000
# The macros that make them are called like the elements.
FIGURES: Final = ("progress", "statuses", "failures")


async def fetch_seen_batch(visit: Visit, connection: Connection, sight: Sight) -> Batch:
    """The batch of the page's path. Raises PageRefused (404): it isn't there for the visitor."""
    return sight.demand(await fetch_batch(connection, visit.parameter("batch_id")))


async def fetch_batch_facts(connection: Connection, frame: CampaignFrame, batch: Batch) -> BatchFacts:
    """What is to be said of the batch."""
    creators = await fetch_creators(connection, [batch])
    creator = creators.get(batch.creator_id) or frame.campaign.creator
    return await fetch_facts(connection, batch, creator, frame.campaign.status)


@dataclass(eq=False)
class FiguresView:
    """The figures of a batch whose page is open. What keeps it may change without it, and is asked now and then."""

    batch: Batch
    creator: Creator
    campaign_status: CampaignStatus
    pace: Pace = field(default_factory=Pace)
    _version: str | None = None
    _read_at: float = 0.0
    _fragments: Sequence[Fragment] = ()

    @property
    def key(self) -> Hashable:
        """What it shows: the same to everybody who may see it."""
        return "batch", self.batch.id

    @property
    def interval(self) -> float | None:
        """Seconds until it is looked at again."""
        return self.pace.seconds

    def is_concerned(self, note: Note) -> bool:
        """Nothing is announced of batches on their way."""
        return note.kind == "batch" and note.id == self.batch.id

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """The figures as they are now."""
        (version,) = (await fetch_versions(connection, None, [self.batch.number]))["versions"]
        is_old = may_still_leave(self.batch) and time.monotonic() - self._read_at >= OUTLOOK_EVERY
        if version != self._version or is_old:
            if version != self._version:
                self.pace.note_change()
            self._version, self._read_at = version, time.monotonic()
            self.batch = (await fetch_batches(connection, [self.batch.number]))[self.batch.number]
            facts = await fetch_facts(connection, self.batch, self.creator, self.campaign_status)
            self._fragments = [Fragment(name, renderer.macro(PARTS, name, facts)) for name in FIGURES]
        return self._fragments


async def show_batch(visit: Visit) -> Response:
    """The batch. A single message's is shown as that message."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        batch = await fetch_seen_batch(visit, connection, sight)
        if batch.is_single:
            raise GoTo(url("message", message_id=message_id(batch.id, 1)))
        query = parse_query(visit.query, sight, visit.campaign_id, batch)
        frame = await open_frame(visit, connection, "campaign_batches")
        facts = await fetch_batch_facts(connection, frame, batch)
        maker = await make_rows(visit, connection, frame.campaign, sight, in_batch=True)
        page = await fetch_table(connection, query)
        archive = await find_archive(connection, batch.number)
        upload = await fetch_file(connection, batch)
    links = links_of(query, page, "batch", "batch_live", batch_id=batch.id)
    return await visit.page(
        "messages/batch.html",
        frame=frame,
        facts=facts,
        rights=BatchRights.of_visit(visit),
        sight=sight,
        upload=upload,
        upload_path=url("upload", upload_id=batch.upload_id) if upload and has_page("upload") else None,
        query=query,
        archived=None if archive is None else archived_words(archive),
        maker=maker,
        rows=[maker.row(message) for message in page.messages],
        links=links,
        statuses=STATUS_CHOICES,
        most_in_workbook=MOST_IN_WORKBOOK,
        errors=ERROR_CHOICES,
    )


async def follow_batch(visit: Visit) -> Response:
    """What becomes of the batch."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        batch = await fetch_seen_batch(visit, connection, sight)
        query = parse_query(visit.query, sight, visit.campaign_id, batch)
        frame = await open_frame(visit, connection, "campaign_batches")
        maker: RowMaker = await make_rows(visit, connection, frame.campaign, sight, in_batch=True)
        creators = await fetch_creators(connection, [batch])
    creator = creators.get(batch.creator_id) or frame.campaign.creator
    return visit.services.hub.open(
        FiguresView(batch, creator, frame.campaign.status),
        TableView(query, maker),
        user_id=visit.user.id,
        campaign_id=visit.campaign_id,
        check=check_of(visit, sight),
    )


ROUTES: Final = (
    ConsoleRoute("batch", "/batches/{batch_id}", {"GET": show_batch}, SEES_MESSAGES, subject=of_batch),
    ConsoleRoute(
        "batch_live",
        "/batches/{batch_id}/live",
        {"GET": follow_batch},
        SEES_MESSAGES,
        subject=of_batch,
        is_stream=True,
    ),
)
