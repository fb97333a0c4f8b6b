"""A file that came in, on its own page: being checked; good, with what it would send; being sent; or what became of it."""

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from campaigns.campaigns import CampaignStatus
from campaigns.people.permissions import Action
from config.logs import get_logger
from console.campaigns.frame import open_frame
from console.campaigns.phones import LANGUAGES
from console.errors import PageRefused
from console.forms import Form
from console.live.checks import still_allowed
from console.live.views import Fragment, Note
from console.paths import has_page, url
from console.rendering import Renderer
from console.routes import ConsoleRoute, Page
from console.sending.first_rows import read_first_rows
from console.sending.single import texts_of
from console.sending.texts import FilledPhone, Texts, dearer_in_words
from console.subjects import of_upload
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from processing.checked.sending import ask_for_sending, forget
from processing.checked.uploads import CheckedUpload, fetch_checked, find_same_content
from processing.errors import ProcessingError, SameFileSent, SendingRefused
from processing.uploads import UploadStatus
from rules.languages import parse_language
from rules.templates import Language

SQL: Final = NamedQueries("console", "sending/sending.sql")
logger = get_logger("console")

_ROWS_SHOWN: Final = 3
_FINDINGS_SHOWN: Final = 20
# Seconds after which the state is looked at, though nothing was announced.
_LOOK_EVERY: Final = 5.0


def state_of(upload: CheckedUpload) -> str:
    """Where the file is, in one word."""
    if upload.status is UploadStatus.RECEIVED:
        return "checking"
    if (
        upload.check is not None
        and upload.check.asked_by is not None
        and upload.status is UploadStatus.CHECKED
    ):
        return "sending"
    return upload.status.value


@dataclass(frozen=True, slots=True)
class StateView:
    """The state of one file."""

    upload_id: str

    @property
    def key(self) -> Hashable:
        """See LiveView."""
        return ("checked upload", self.upload_id)

    @property
    def interval(self) -> float | None:
        """See LiveView."""
        return _LOOK_EVERY

    def is_concerned(self, note: Note) -> bool:
        """See LiveView."""
        return note.kind == "upload" and note.id == self.upload_id

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """See LiveView."""
        upload = await fetch_checked(connection, self.upload_id)
        if upload is None:
            return ()
        html = renderer.macro("sending/check_state.html", "check_state", state_of(upload))
        return (Fragment("check-state", html),)


async def _fetch(visit: Visit, connection: Connection) -> CheckedUpload:
    """The file, where it is there for the visitor: who sees only own messages sees only own files. Raises PageRefused (404)."""
    upload = await fetch_checked(connection, visit.parameter("upload_id"))
    if upload is None or not (upload.creator_id == visit.user.id or visit.may(Action.SEE_MESSAGES)):
        raise PageRefused(404)
    return upload


async def show_upload(visit: Visit) -> Response:
    """The file's page."""
    return await _show(visit)


async def _show(visit: Visit, *, is_refused: bool = False) -> Response:
    async with visit.connection() as connection:
        upload = await _fetch(visit, connection)
        frame = await open_frame(visit, connection, "send_file")
        texts = await texts_of(visit, connection, frame.campaign)
        state = state_of(upload)
        same = findings = None
        if state == "checked":
            same = await find_same_content(connection, upload.campaign_id, upload.id, upload.sha256)
        elif state == "rejected":
            kept = await connection.fetchval(SQL["list_findings"], upload.id)
            findings = json.loads(kept or "[]")[:_FINDINGS_SHOWN]
    counts = None if upload.check is None else upload.check.counts
    phones = await _first_phones(visit, texts, upload) if state == "checked" else []
    return await visit.page(
        "sending/checked.html",
        status=409 if is_refused else 200,
        is_refused=is_refused,
        frame=frame,
        upload=upload,
        state=state,
        counts=counts,
        languages=_languages(counts.messages_of if counts else {}),
        cost=texts.cost(counts.local_segments, counts.foreign_segments) if counts else None,
        charged=texts.sum(counts.local_segments, counts.foreign_segments) if counts else None,
        dearer=dearer_in_words(counts) if counts else [],
        phones=phones,
        same=same,
        findings=findings or (),
        has_page=has_page,
        kept_until=upload.checked_at + _life(visit) if upload.checked_at else None,
        can_send=frame.campaign.status is CampaignStatus.ACTIVE,
        most_bytes=visit.settings.sftp.max_upload_bytes,
    )


def _languages(messages_of: dict[str, int]) -> list[tuple[str, int]]:
    """The languages' names with how many messages are in each, in the order that all pages have."""
    return [
        (LANGUAGES[language][0], messages_of[language.value])
        for language in Language
        if language.value in messages_of
    ]


async def _first_phones(visit: Visit, texts: Texts, upload: CheckedUpload) -> list[FilledPhone]:
    if upload.object_key is None:
        return []
    template = texts.campaign.template
    rows = await read_first_rows(visit.services.store, upload.object_key, template.parameters, _ROWS_SHOWN)
    return [
        texts.fill(language, row.values, row.recipient)
        for row in rows
        if (language := parse_language(row.language)) in template.bodies and language is not None
    ]


def _life(visit: Visit) -> timedelta:
    return timedelta(seconds=visit.settings.console.checked_life)


async def follow_upload(visit: Visit) -> Response:
    """What becomes of the file, as it happens."""
    async with visit.connection() as connection:
        upload = await _fetch(visit, connection)
    return visit.services.hub.open(
        StateView(upload.id),
        user_id=visit.user.id,
        campaign_id=upload.campaign_id,
        check=still_allowed(visit, Action.SEND),
    )


async def _asked(visit: Visit) -> tuple[CheckedUpload, Form]:
    """The file that a form is about, and the form. Raises PageRefused."""
    async with visit.connection() as connection:
        upload = await _fetch(visit, connection)
    return upload, await visit.form()


async def send_upload(visit: Visit) -> Response:
    """Have the file sent."""
    upload, form = await _asked(visit)
    try:
        async with visit.change(form) as connection:
            await ask_for_sending(
                connection,
                upload.id,
                _life(visit),
                user_id=visit.user.id,
                actor=visit.actor,
                known_same=form["same"],
            )
            return await visit.done(connection, url("checked_upload", upload_id=upload.id))
    except SameFileSent:
        # Sent since the page was made, as from another tab: now it says so, and may be sent from there all the same.
        return await _show(visit, is_refused=True)
    except SendingRefused as refusal:
        raise PageRefused(409, _sentence(refusal)) from None


async def forget_upload(visit: Visit) -> Response:
    """Forget the file: nothing of it is sent."""
    upload, form = await _asked(visit)
    async with visit.change(form) as connection:
        try:
            key = await forget(connection, upload.id, actor=visit.actor)
        except SendingRefused as refusal:
            raise PageRefused(409, _sentence(refusal)) from None
        path = url("send_file", campaign_id=upload.campaign_id)
        response = await visit.done(connection, path, "The file was forgotten. Nothing of it was sent.")
    if key is not None:
        try:
            await visit.services.store.delete(key)
        except ProcessingError as error:
            # It goes with the others of its age.
            logger.warning("original_not_deleted", upload_id=upload.id, reason=str(error))
    return response


def _sentence(refusal: SendingRefused) -> str:
    text = str(refusal)
    return f"{text[:1].upper()}{text[1:]}."


def _route(name: str, end: str, methods: Mapping[str, Page], *, is_stream: bool = False) -> ConsoleRoute:
    return ConsoleRoute(
        name,
        f"/uploads/{{upload_id}}/{end}",
        methods,
        Action.SEND,
        subject=of_upload,
        is_stream=is_stream,
    )


ROUTES: Final = (
    _route("checked_upload", "check", {"GET": show_upload}),
    _route("checked_upload_stream", "check/stream", {"GET": follow_upload}, is_stream=True),
    _route("send_checked", "send", {"POST": send_upload}),
    _route("forget_checked", "forget", {"POST": forget_upload}),
)
