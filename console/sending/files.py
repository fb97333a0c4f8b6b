"""A file is chosen or dropped, and comes in. Nothing of it is sent: it is led to its own page, checked.py."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from starlette.responses import RedirectResponse, Response

from audit.events import Actor
from campaigns.campaigns import CampaignStatus
from campaigns.people.permissions import Action, may
from config.identifiers import new_identifier
from console.campaigns.frame import open_frame
from console.errors import GoTo, PageRefused
from console.forms import claim_form, note_location
from console.login.sessions import COOKIE, find_session
from console.login.visitors import fetch_visitor
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_campaign
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from processing.checked.uploads import count_waiting
from processing.intake import CheckedSpool, Intake, IntakeError, IntakeSettings, IntakeUnavailable, Sender
from processing.refusals import RefusalBudgets
from rules.characters.file_names import MOST_NAME_BYTES, NameFault, find_name_fault
from web.deadlines import allow_long_body
from web.forms.multipart import BodyLimits, BodyRefused, ReceivedFile, parse_boundary, received_file

SQL: Final = NamedQueries("console", "sending/sending.sql")
# What a body may have beside its file, seconds in all for storing it, and files of one campaign that may wait to be sent.
_BESIDE_FILE: Final = 64 * 1024
_ACKNOWLEDGE_SECONDS: Final = 10.0
MOST_WAITING: Final = 20
# So many files may be coming in, of one user and in all: each may hold 30 MB on the disk.
MOST_OF_USER: Final = 3
MOST_UNDER_WAY: Final = 32
_NAMES: Final = {
    NameFault.MISSING: "Choose a file first.",
    NameFault.NOT_CSV: "Only .csv files are accepted: save the file as “CSV UTF-8” in your spreadsheet, and choose that one.",
    NameFault.DECEIVING: (
        f"The file’s name must have at most {MOST_NAME_BYTES} bytes and no control characters: rename the file."
    ),
}
_WRONG: Final = {
    413: "The file is larger than 30 MB: divide it into several files.",
    503: "There is no room for the file just now: try again in a minute.",
}
_UNREADABLE: Final = (
    "The file could not be read from the form: open the page again, and choose the file again."
)
_TOO_MANY_COMING: Final = "Several files are coming in already: wait until one of them is there."


class FileSends:
    """The files that are coming in to one process."""

    def __init__(self) -> None:
        self._under_way: Final[Counter[str]] = Counter()

    async def show(self, visit: Visit) -> Response:
        """Where a file is chosen."""
        return await show_form(visit)

    async def take(self, visit: Visit) -> Response:
        """Take the file in, and lead to its page."""
        limits = _limits(visit)
        try:
            with self._place_of(visit.user.id):
                async with _file_of(visit, limits) as file:
                    return await _store(visit, file)
        except BodyRefused as refusal:
            sentence = refusal.message if refusal.status == 422 else _WRONG.get(refusal.status, _UNREADABLE)
            return await show_form(visit, error=sentence, status=refusal.status)

    @contextmanager
    def _place_of(self, user_id: str) -> Iterator[None]:
        if self._under_way[user_id] >= MOST_OF_USER or self._under_way.total() >= MOST_UNDER_WAY:
            raise BodyRefused(422, _TOO_MANY_COMING)
        self._under_way[user_id] += 1
        try:
            yield
        finally:
            self._under_way[user_id] -= 1
            if not self._under_way[user_id]:
                del self._under_way[user_id]


async def show_form(visit: Visit, *, error: str = "", status: int = 200) -> Response:
    """Where a file is chosen; `error` says what was wrong with the one that was."""
    own = None if visit.may(Action.SEE_MESSAGES) else visit.user.id
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "send_file")
        waiting = await connection.fetch(SQL["list_waiting"], visit.campaign_id, own)
    return await visit.page(
        "sending/file.html",
        status=status,
        frame=frame,
        waiting=waiting,
        error=error,
        can_send=frame.campaign.status is CampaignStatus.ACTIVE,
        most_bytes=visit.settings.sftp.max_upload_bytes,
    )


def _limits(visit: Visit) -> BodyLimits:
    refused_from = visit.settings.sftp.max_upload_bytes
    return BodyLimits(refused_from + _BESIDE_FILE, refused_from)


def _check_name(name: str) -> None:
    fault = find_name_fault(name)
    if fault is not None:
        raise BodyRefused(422, _NAMES[fault])


@asynccontextmanager
async def _file_of(visit: Visit, limits: BodyLimits) -> AsyncIterator[ReceivedFile]:
    request = visit.request
    if int(request.headers.get("content-length", "0")) > limits.most_body:
        raise BodyRefused(413)
    boundary = parse_boundary(request.headers.get("content-type", ""))
    allow_long_body(request.scope)
    async with received_file(request.stream(), boundary, limits, _check_name) as file:
        yield file


async def _store(visit: Visit, file: ReceivedFile) -> Response:
    settings = IntakeSettings(
        acknowledge_timeout=_ACKNOWLEDGE_SECONDS,
        max_upload_bytes=visit.settings.sftp.max_upload_bytes,
        # What is refused here is told at once, and leaves nothing to budget.
        refusal_budgets=RefusalBudgets(names_and_sizes=0, interrupted=0),
    )
    intake = Intake(visit.services.pool, visit.services.store, settings)
    upload_id = new_identifier("upload")
    path = url("checked_upload", upload_id=upload_id)
    # A form without an id, as a program may send it, is one of its own.
    form_id = file.fields.get("form_id", "")
    form_id = form_id if 16 <= len(form_id) <= 64 else hashlib.sha256(upload_id.encode()).hexdigest()

    async def find_unauthorized(connection: Connection) -> Exception | None:
        """A body may take a quarter of an hour to come in: who sent it is asked once more."""
        earlier = await claim_form(connection, form_id, visit.user.id)
        if earlier is not None:
            return GoTo(earlier or visit.request.url.path)
        refusal = await _find_refusal(visit, connection)
        if refusal is None:
            await note_location(connection, form_id, path)
        return refusal

    spool = CheckedSpool(
        upload_id=upload_id,
        sender=Sender(visit.campaign_id, Actor(visit.user.id, None, visit.address)),
        creator_id=visit.user.id,
        file_name=file.file_name,
        file=file.file,
        byte_count=file.byte_count,
        sha256=file.sha256,
        find_unauthorized=find_unauthorized,
    )
    try:
        await intake.store_checked(spool)
    except IntakeUnavailable:
        raise BodyRefused(503) from None
    except IntakeError:
        raise BodyRefused(
            422, "The campaign is not active, so the file was not taken: ask ops why."
        ) from None
    return RedirectResponse(path, 303)


async def _find_refusal(visit: Visit, connection: Connection) -> Exception | None:
    cookie = visit.request.cookies.get(COOKIE)
    session = await find_session(connection, cookie, visit.settings.console)
    if session is None:
        return PageRefused(403, "You are logged out, so the file was not taken: log in again.")
    visitor, _ = await fetch_visitor(connection, session, visit.settings.console)
    if visitor is None or not may(visitor.person, Action.SEND, visit.place):
        return PageRefused(403)
    if await count_waiting(connection, visit.campaign_id) >= MOST_WAITING:
        return BodyRefused(
            422, f"{MOST_WAITING} files of this campaign wait to be sent: send or forget some of them first."
        )
    return None


_sends: Final = FileSends()
ROUTES: Final = (
    ConsoleRoute(
        "send_file",
        "/campaigns/{campaign_id}/send-file",
        {"GET": _sends.show, "POST": _sends.take},
        Action.SEND,
        subject=of_campaign,
        takes_files=True,
    ),
)
