"""`/uploads/ID`: what became of one upload, step by step; and its second chance, which ops give."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.responses import Response

from audit.archived import ArchivedEvents, list_archived
from audit.events import Actor, fetch_events_of_upload
from campaigns.people.permissions import Action, Person
from console.errors import PageRefused
from console.live.checks import still_allowed
from console.live.views import Fragment, Note
from console.paths import url
from console.rendering import Renderer
from console.routes import ConsoleRoute
from console.subjects import of_upload
from console.uploads.scopes import sees_only_own
from console.uploads.story import Step, tell_story
from console.uploads.words import STATUSES, WAYS, link_to
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from processing.errors import ReopeningRefused
from processing.uploads import Source, Upload, UploadStatus, fetch_upload
from processing.verdicts.queueing import release_upload, retry_upload
from rules.codes import FindingCode
from rules.texts import REASONS

SQL: Final = NamedQueries("console", "uploads/one.sql")
TEMPLATE: Final = "uploads/state.html"


@dataclass(frozen=True, slots=True)
class SameFile:
    """An upload of the same bytes. `received_at` is aware UTC."""

    id: str
    file_name: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class KnownUpload:
    """One upload with all that its page tells. `archived`: the archives that may have steps of it."""

    upload: Upload
    campaign_name: str
    source_address: str | None
    sender: str | None
    original: SameFile | None
    repeats: tuple[SameFile, ...]
    steps: tuple[Step, ...]
    archived: tuple[ArchivedEvents, ...]
    is_held: bool
    has_batch: bool

    @property
    def tag(self) -> tuple[str, str]:
        """The status in words, and the kind of its tag."""
        return STATUSES[self.upload.status.value]

    @property
    def way(self) -> str:
        """The way in, in words."""
        return WAYS[self.upload.source.value]

    @property
    def cure(self) -> str | None:
        """What to do about a refusal that was known before any row was read."""
        code = self.upload.refusal_code
        return REASONS[FindingCode(code)].cure if code in set(FindingCode) else None

    @property
    def batch_path(self) -> str | None:
        """Where its batch is shown."""
        return link_to("batch", batch_id=self.upload.batch_id) if self.has_batch else None

    @property
    def report_path(self) -> str | None:
        """Where it is shown what is wrong with its rows."""
        return link_to("upload_report", upload_id=self.upload.id) if self.upload.report_key else None

    @property
    def second_chance(self) -> str | None:
        """The page by which ops may have it decided anew: `upload_retry` or `upload_release`."""
        upload = self.upload
        if upload.source is not Source.SFTP or upload.object_key is None:
            return None
        if upload.status is UploadStatus.FAILED:
            return "upload_retry"
        is_interrupted = upload.refusal_code == FindingCode.UPLOAD_INTERRUPTED
        return "upload_release" if upload.status is UploadStatus.REJECTED and is_interrupted else None


async def fetch_known(connection: Connection, upload_id: str) -> KnownUpload | None:
    """The upload with all that is told of it, or None where there is none."""
    upload = await fetch_upload(connection, upload_id)
    more = await connection.fetchrow(SQL["fetch_more"], upload_id)
    if upload is None or more is None:
        return None
    original = None
    if upload.duplicate_of is not None:
        row = await connection.fetchrow(SQL["fetch_original"], upload.duplicate_of)
        original = None if row is None else SameFile(**row)
    repeats = await connection.fetch(SQL["list_repeats"], upload.campaign_id, upload.sha256, upload.id)
    events = await fetch_events_of_upload(connection, upload.id)
    return KnownUpload(
        upload=upload,
        campaign_name=more["campaign_name"],
        source_address=more["source_address"],
        sender=more["sender"],
        original=original,
        repeats=tuple(SameFile(**row) for row in repeats),
        steps=tuple(tell_story(upload, events)),
        archived=await list_archived(connection, begun_at=upload.received_at),
        is_held=more["is_held"],
        has_batch=more["has_batch"],
    )


async def open_upload(visit: Visit, connection: Connection) -> KnownUpload:
    """The upload of the path. Raises PageRefused (404): it isn't there, or it is another one's where only one's own are seen."""
    known = await fetch_known(connection, visit.parameter("upload_id"))
    if known is None or visit.place is None:
        raise PageRefused(404)
    if sees_only_own(visit.person, visit.place) and known.upload.creator_id != visit.user.id:
        raise PageRefused(404)
    return known


def may_read_report(visit: Visit, known: KnownUpload) -> bool:
    """Whether the visitor may see the report, if with numbers masked."""
    if visit.may(Action.SEE_MESSAGES) or visit.may(Action.SEE_MASKED_MESSAGES):
        return True
    return visit.may(Action.SEE_OWN_MESSAGES) and known.upload.creator_id == visit.user.id


class UploadView:
    """What became of one upload, as open pages follow it. `kind` tells what its viewers may see."""

    interval: float | None = None

    def __init__(
        self, upload_id: str, *, is_ops: bool, is_sender: bool, sees_report: bool, sees_others: bool
    ) -> None:
        self._upload_id: Final = upload_id
        self._kind: Final = {
            "is_ops": is_ops,
            "is_sender": is_sender,
            "sees_report": sees_report,
            "sees_others": sees_others,
        }

    @property
    def key(self) -> Hashable:
        """See LiveView."""
        return ("upload", self._upload_id, *self._kind.values())

    def is_concerned(self, note: Note) -> bool:
        """See LiveView."""
        return note.kind == "upload" and note.id == self._upload_id

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """See LiveView."""
        known = await fetch_known(connection, self._upload_id)
        if known is None:
            return []
        return [
            Fragment(f"upload-{part}", renderer.macro(TEMPLATE, part, known, self._kind))
            for part in ("head", "outcome", "facts", "story")
        ]

    @property
    def kind(self) -> dict[str, bool]:
        """What its viewers may see."""
        return self._kind


def _view_of(visit: Visit, known: KnownUpload) -> UploadView:
    assert visit.place is not None  # noqa: S101 - the route has a subject
    return UploadView(
        known.upload.id,
        is_ops=visit.may(Action.ADMINISTER),
        is_sender=visit.may(Action.SEND) and known.upload.creator_id == visit.user.id,
        sees_report=may_read_report(visit, known),
        sees_others=not sees_only_own(visit.person, visit.place),
    )


async def show_upload(visit: Visit) -> Response:
    """What became of the upload."""
    async with visit.connection() as connection:
        known = await open_upload(visit, connection)
    return await visit.page("uploads/one.html", known=known, kind=_view_of(visit, known).kind)


async def follow_upload(visit: Visit) -> Response:
    """The same, as it changes."""
    async with visit.connection() as connection:
        known = await open_upload(visit, connection)
    kind = _view_of(visit, known).kind
    place = visit.place

    async def sees_the_same(_connection: Connection, person: Person) -> bool:
        assert place is not None  # noqa: S101 - the route has a subject
        return kind["is_ops"] == person.is_ops and kind["sees_others"] != sees_only_own(person, place)

    return visit.services.hub.open(
        _view_of(visit, known),
        user_id=visit.user.id,
        campaign_id=known.upload.campaign_id,
        check=still_allowed(visit, further=sees_the_same),
    )


_Reopen = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _SecondChance:
    """A page that asks whether an upload is to be decided anew, and has it done."""

    page: str
    title: str
    sentence: str
    button: str
    reopen: _Reopen

    async def ask(self, visit: Visit) -> Response:
        """Ask whether that is meant."""
        async with visit.connection() as connection:
            known = await open_upload(visit, connection)
        if known.second_chance != self.page:
            raise PageRefused(
                409, "This upload is not in a state in which that can be done: look at it again."
            )
        return await visit.page("uploads/second_chance.html", known=known, chance=self)

    async def do(self, visit: Visit) -> Response:
        """Have it decided anew."""
        form = await visit.form()
        async with visit.change(form) as connection:
            known = await open_upload(visit, connection)
            actor: Actor = visit.actor
            try:
                await self.reopen(connection, known.upload, actor=actor)
            except ReopeningRefused as error:
                raise PageRefused(409, f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
            path = url("upload", upload_id=known.upload.id)
            return await visit.done(connection, path, "The upload is being decided anew.")


RETRY: Final = _SecondChance(
    "upload_retry",
    "Check this upload once more?",
    "The service failed at it. It is checked as it came: if it is good, its messages are sent. The agency gets a new e-mail.",
    "Check it once more",
    retry_upload,
)
RELEASE: Final = _SecondChance(
    "upload_release",
    "Release this upload?",
    "It looked like the beginning of a longer file. Release it only after the agency has said that it is whole: it is checked as "
    "it came, and if it is good, its messages are sent. The agency gets a new e-mail.",
    "Release it",
    release_upload,
)

ROUTES: Final = (
    ConsoleRoute(
        "upload", "/uploads/{upload_id}", {"GET": show_upload}, Action.SEE_CAMPAIGN, subject=of_upload
    ),
    ConsoleRoute(
        "upload_stream",
        "/uploads/{upload_id}/stream",
        {"GET": follow_upload},
        Action.SEE_CAMPAIGN,
        subject=of_upload,
        is_stream=True,
    ),
    *(
        ConsoleRoute(
            chance.page,
            f"/uploads/{{upload_id}}/{chance.page.removeprefix('upload_')}",
            {"GET": chance.ask, "POST": chance.do},
            Action.ADMINISTER,
            subject=of_upload,
        )
        for chance in (RETRY, RELEASE)
    ),
)
