"""A campaign's batches, a card each: how far each is, live."""

import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import asyncpg
from starlette.responses import Response

from campaigns.campaigns import Campaign, CampaignStatus, Creator
from campaigns.people.permissions import Action
from console.campaigns.frame import open_frame
from console.live.views import Fragment, Note
from console.messages.cursors import cursor_of
from console.messages.facts import BatchFacts, fetch_facts
from console.messages.queries import parse_place
from console.messages.sight import SEES_MESSAGES, Sight, check_of
from console.messages.tables import Pace
from console.paths import url
from console.rendering import Renderer
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from messages.pages import Place, Towards
from messages.retrieval import Batch, fetch_batches, fetch_creators
from sending.queues import may_still_leave

SQL: Final = NamedQueries("console", "messages/batches.sql")
CARDS: Final = 20
PARTS: Final = "messages/batch_parts.html"
# Seconds after which what keeps a batch is asked anew, though nothing of the batch has changed.
OUTLOOK_EVERY: Final = 10.0
_BEGINNING: Final = Place(datetime(9999, 12, 31, tzinfo=UTC), "", 0)


@dataclass(frozen=True, slots=True)
class BatchRights:
    """What somebody may do with batches: retry those that are in sight; stop and release them."""

    may_send: bool
    is_ops: bool

    @classmethod
    def of_visit(cls, visit: Visit) -> "BatchRights":
        """The visitor's."""
        return cls(visit.may(Action.SEND), visit.may(Action.ADMINISTER))


@dataclass(frozen=True, slots=True)
class BatchList:
    """Which of a campaign's batches are asked for."""

    campaign_id: str
    campaign_status: CampaignStatus
    campaign_creator: Creator
    only_of: str | None
    place: Place | None
    towards: Towards

    @classmethod
    def of_visit(cls, visit: Visit, campaign: Campaign, sight: Sight) -> "BatchList":
        """What the address asks for. Raises PageRefused (400)."""
        place, towards = parse_place(visit.query)
        return cls(campaign.id, campaign.status, campaign.creator, sight.only_of, place, towards)


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first, and whether there are others on both sides."""

    facts: Sequence[BatchFacts]
    has_newer: bool
    has_older: bool


async def fetch_batch_page(connection: Connection, asked: BatchList) -> BatchPage:
    """The batches that are asked for."""
    place = asked.place or _BEGINNING
    statement = "list_batches" if asked.towards is Towards.OLDER else "list_newer_batches"
    rows = await connection.fetch(
        SQL[statement], asked.campaign_id, place.created_at, place.batch_id, asked.only_of, CARDS + 1
    )
    numbers = [row["batch_no"] for row in rows[:CARDS]]
    has_more = len(rows) > CARDS
    if asked.towards is Towards.NEWER:
        numbers.reverse()
    facts = await _fetch_all_facts(connection, asked, numbers)
    if asked.towards is Towards.NEWER:
        return BatchPage(facts, has_more, has_older=True)
    return BatchPage(facts, asked.place is not None, has_more)


async def _fetch_all_facts(
    connection: Connection, asked: BatchList, numbers: Sequence[int]
) -> list[BatchFacts]:
    found = await fetch_batches(connection, numbers)
    creators = await fetch_creators(connection, found.values())
    return [
        await fetch_facts(
            connection,
            found[number],
            creators.get(found[number].creator_id) or asked.campaign_creator,
            asked.campaign_status,
        )
        for number in numbers
    ]


async def fetch_versions(
    connection: Connection, campaign_id: str | None, numbers: Sequence[int]
) -> asyncpg.Record:
    """What tells whether any of these batches has changed, and which is the campaign's newest."""
    found = await connection.fetchrow(SQL["fetch_versions"], campaign_id, numbers)
    assert found is not None  # noqa: S101 - it has no condition
    return found


async def fetch_file(connection: Connection, batch: Batch) -> asyncpg.Record | None:
    """The fingerprint and size of the file that the batch was made from."""
    if batch.upload_id is None:
        return None
    return await connection.fetchrow(SQL["fetch_fingerprint"], batch.upload_id)


@dataclass(eq=False)
class CardsView:
    """The cards of a page that is open, with new ones in front where it shows the newest."""

    asked: BatchList
    sight: Sight
    rights: BatchRights
    pace: Pace = field(default_factory=Pace)
    _facts: Sequence[BatchFacts] | None = None
    _newest: int | None = None
    _versions: Sequence[str] | None = None
    _read_at: float = 0.0
    _fragments: Sequence[Fragment] = ()

    @property
    def key(self) -> Hashable:
        """What it shows, to whom."""
        asked = self.asked
        return "batches", asked.campaign_id, asked.place, asked.towards, self.sight.kind, self.rights

    @property
    def interval(self) -> float | None:
        """Seconds until it is looked at again."""
        return self.pace.seconds

    def is_concerned(self, note: Note) -> bool:
        """An upload's end may be the beginning of a batch; a campaign's end is one for its batches."""
        return note.campaign_id == self.asked.campaign_id

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """The cards as they are now."""
        numbers = [facts.batch.number for facts in self._facts or ()]
        campaign_id = self.asked.campaign_id if self.asked.place is None else None
        found = await fetch_versions(connection, campaign_id, numbers)
        has_new = self._facts is None or found["newest"] != self._newest
        if not has_new and found["versions"] == self._versions and not self._is_old():
            return self._fragments
        if has_new or found["versions"] != self._versions:
            self.pace.note_change()
        self._newest, self._versions, self._read_at = found["newest"], found["versions"], time.monotonic()
        if has_new:
            self._facts = (await fetch_batch_page(connection, self.asked)).facts
            if [facts.batch.number for facts in self._facts] != numbers:
                # The versions are other batches': the next look reads these ones'.
                self._versions = None
        else:
            self._facts = await _fetch_all_facts(connection, self.asked, numbers)
        self._fragments = [
            Fragment(card_id(facts), renderer.macro(PARTS, "card", facts, self.rights))
            for facts in self._facts
        ]
        return self._fragments

    def _is_old(self) -> bool:
        """Whether what keeps a batch, and when it will have left, may have changed without it."""
        is_waiting = any(may_still_leave(facts.batch) for facts in self._facts or ())
        return is_waiting and time.monotonic() - self._read_at >= OUTLOOK_EVERY


def card_id(facts: BatchFacts) -> str:
    """The id of a batch's card on the page."""
    return f"card-{facts.batch.id}"


async def show_batches(visit: Visit) -> Response:
    """The campaign's batches."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_batches")
        asked = BatchList.of_visit(visit, frame.campaign, sight)
        page = await fetch_batch_page(connection, asked)
    here = {name: visit.query[name] for name in ("after", "before") if name in visit.query and asked.place}
    first, last = (page.facts[0].batch, page.facts[-1].batch) if page.facts else (None, None)
    route, campaign_id = "campaign_batches", visit.campaign_id
    newer = cursor_of(Place(first.created_at, first.id, 0)) if first and page.has_newer else None
    older = cursor_of(Place(last.created_at, last.id, 0)) if last and page.has_older else None
    return await visit.page(
        "messages/batches.html",
        frame=frame,
        page=page,
        sight=sight,
        rights=BatchRights.of_visit(visit),
        is_newest=asked.place is None,
        most=CARDS,
        live=url("campaign_batches_live", campaign_id=campaign_id, **here),
        newer=newer and url(route, campaign_id=campaign_id, before=newer),
        older=older and url(route, campaign_id=campaign_id, after=older),
    )


async def follow_batches(visit: Visit) -> Response:
    """What becomes of the batches that the page shows."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_batches")
    asked = BatchList.of_visit(visit, frame.campaign, sight)
    return visit.services.hub.open(
        CardsView(asked, sight, BatchRights.of_visit(visit)),
        user_id=visit.user.id,
        campaign_id=visit.campaign_id,
        check=check_of(visit, sight),
    )


ROUTES: Final = (
    ConsoleRoute(
        "campaign_batches",
        "/campaigns/{campaign_id}/batches",
        {"GET": show_batches},
        SEES_MESSAGES,
        subject=of_campaign,
    ),
    ConsoleRoute(
        "campaign_batches_live",
        "/campaigns/{campaign_id}/batches/live",
        {"GET": follow_batches},
        SEES_MESSAGES,
        subject=of_campaign,
        is_stream=True,
    ),
)
