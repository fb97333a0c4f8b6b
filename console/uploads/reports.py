"""`/uploads/ID/report`: what is wrong with a rejected upload, row by row; the whole report to download; a way to try again."""

from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from audit.events import AuditEvent, record_event
from campaigns.people.permissions import Action
from console.errors import PageRefused
from console.paths import url
from console.routes import ConsoleRoute
from console.subjects import of_upload
from console.uploads.one import KnownUpload, may_read_report, open_upload
from console.uploads.report_cells import shown_table
from console.uploads.report_rows import OTHER, Found, Head, Mark, find_rows, read_head
from console.visits import Visit
from processing.errors import ObjectMissing, StoreUnavailable
from rules.codes import FindingCode
from rules.texts import REASONS

_T = TypeVar("_T")
_AWAY: Final = "The bucket in which reports lie doesn't answer: try again in a minute."
_GONE: Final = "This report is not kept any more: upload the file again to have a new one."
_REMEMBERED: Final = 256


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault, as a filter: how many of the rows that were counted have it."""

    name: str
    words: str
    rows: int


@dataclass(frozen=True, slots=True)
class _Counts:
    """Rows by kind. `looked_at`: how many rows with faults that counts; `is_whole`: these are all."""

    by_kind: Counter[str]
    looked_at: int
    is_whole: bool

    @property
    def kinds(self) -> list[Kind]:
        """The commonest first."""
        return [
            Kind(
                name,
                "Something else" if name == OTHER else REASONS[FindingCode(name)].meaning.rstrip("."),
                rows,
            )
            for name, rows in self.by_kind.most_common()
        ]


# A report never changes, so that its counts hold. They are small.
_remembered: Final[OrderedDict[str, _Counts]] = OrderedDict()


async def show_report(visit: Visit) -> Response:
    """Rows with faults, a page of them, from a mark on, of one kind or all."""
    known, key = await _open_report(visit)
    if known.upload.error_reason is not None:
        # No row was checked.
        return await _page(visit, known)
    head = await _read(visit.services.store.read(key, read_head))
    if head is None:
        return await _page(visit, known, is_unreadable=True)
    asked = visit.query.get("kind", "")
    kind = asked if asked == OTHER or asked in set(FindingCode) else None
    mark = _mark_of(visit.query.get("from", ""))
    found = await _find(visit, key, head, mark or head.first, kind, counts_all=mark is None)
    if mark is None:
        _remember(key, found)
    elif key not in _remembered:
        _remember(key, await _find(visit, key, head, head.first, None, counts_all=True))
    is_masked = not visit.may(Action.SEE_MESSAGES) and known.upload.creator_id != visit.user.id
    further = None
    if found.next is not None:
        further = url("upload_report", upload_id=known.upload.id, kind=kind, **{"from": _text_of(found.next)})
    return await _page(
        visit,
        known,
        table=shown_table(head, found.rows, is_masked=is_masked),
        counts=_remembered[key],
        kind=kind,
        further=further,
        is_first=mark is None,
        is_masked=is_masked,
        unreadable=found.unreadable,
    )


async def _page(visit: Visit, known: KnownUpload, **values: object) -> Response:
    shown: dict[str, Any] = {
        "table": None,
        "counts": None,
        "kind": None,
        "further": None,
        "is_first": True,
        "is_masked": False,
        "unreadable": None,
        "is_unreadable": False,
        **values,
    }
    return await visit.page(
        "uploads/report.html",
        known=known,
        may_download=_may_download(visit, known),
        may_send=visit.may(Action.SEND),
        most_bytes=visit.settings.sftp.max_upload_bytes,
        **shown,
    )


async def download_report(visit: Visit) -> Response:
    """The whole report as the bucket has it, byte by byte; who took it is recorded."""
    known, key = await _open_report(visit)
    if not _may_download(visit, known):
        raise PageRefused(403)
    pieces = visit.services.store.stream(key)
    first = await _read(anext(pieces, b""))
    async with visit.connection() as connection:
        await record_event(
            connection,
            AuditEvent.REPORT_DOWNLOADED,
            campaign_id=known.upload.campaign_id,
            upload_id=known.upload.id,
            actor=visit.actor,
        )

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    name = f"report of {known.upload.file_name}"
    disposition = f"attachment; filename=\"report.csv\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
    return StreamingResponse(whole(), media_type="text/csv; charset=utf-8", headers=headers)


async def _open_report(visit: Visit) -> tuple[KnownUpload, str]:
    """The upload of the path and its report's key. Raises PageRefused."""
    async with visit.connection() as connection:
        known = await open_upload(visit, connection)
    if not may_read_report(visit, known):
        raise PageRefused(403)
    if known.upload.report_key is None:
        raise PageRefused(404, "This upload has no report: no row of it was found to be wrong.")
    return known, known.upload.report_key


def _may_download(visit: Visit, known: KnownUpload) -> bool:
    """A report has numbers and values, which ops don't see."""
    return visit.may(Action.SEE_MESSAGES) or known.upload.creator_id == visit.user.id


async def _find(
    visit: Visit, key: str, head: Head, mark: Mark, kind: str | None, *, counts_all: bool
) -> Found:
    def find(pieces: Iterator[bytes]) -> Found:
        return find_rows(pieces, head, mark, kind=kind, counts_all=counts_all)

    return await _read(visit.services.store.read(key, find, start=mark.offset))


async def _read(reading: Awaitable[_T]) -> _T:
    """What is read from the bucket. Raises PageRefused."""
    try:
        return await reading
    except ObjectMissing:
        raise PageRefused(404, _GONE) from None
    except StoreUnavailable:
        raise PageRefused(503, _AWAY) from None


def _remember(key: str, found: Found) -> None:
    _remembered[key] = _Counts(found.counts, found.looked_at, found.is_whole)
    _remembered.move_to_end(key)
    while len(_remembered) > _REMEMBERED:
        _remembered.popitem(last=False)


def _text_of(mark: Mark) -> str:
    """A mark as it stands in a link."""
    return f"{mark.number}-{mark.offset}"


def _mark_of(text: str) -> Mark | None:
    """The mark that a link names. Where it names none that the report has, what is shown is of no use, but nothing breaks."""
    number, _, offset = text.partition("-")
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in (number, offset)):
        return None
    return Mark(int(number), int(offset))


ROUTES: Final = (
    ConsoleRoute(
        "upload_report",
        "/uploads/{upload_id}/report",
        {"GET": show_report, "POST": download_report},
        (Action.SEE_OWN_MESSAGES, Action.SEE_MASKED_MESSAGES),
        subject=of_upload,
        # The whole report has numbers and values, which ops don't see.
        unsafe_needs=(Action.SEE_MESSAGES, Action.SEE_OWN_MESSAGES),
    ),
)
