"""`/campaigns/ID/logs`: a campaign's log, or a batch's, as CSV or XLSX: at once, or made in the background and kept for days."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

from starlette.responses import Response, StreamingResponse

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from campaigns.campaigns import fetch_known_campaign
from config.errors import ConfigError
from config.logs import get_logger
from console.campaigns.frame import open_frame
from console.errors import PageRefused
from console.forms import Form as SentForm
from console.logs.asking import (
    FORM_CHOICES,
    STATUS_CHOICES,
    Asked,
    count_expected,
    find_query,
    first_asked,
    is_masked,
    is_seen,
    may_have,
    read_asked,
)
from console.logs.progress import ExportsView
from console.messages.queries import ERROR_CHOICES
from console.messages.sight import SEES_MESSAGES, Sight, check_of
from console.paths import url
from console.rendering import shown_count
from console.routes import ConsoleRoute
from console.subjects import of_campaign, of_export
from console.technical.downloads import CSV_TYPE, XLSX_TYPE, attachment
from console.visits import Visit
from database.connections import Connection
from messages.errors import MessagesArchived
from messages.logs.rows import LogQuery, find_archive_of_log, read_log_csv
from messages.retrieval import fetch_batch
from processing.errors import ObjectMissing, StoreUnavailable
from processing.exports.exports import (
    MOST_UNFINISHED,
    Form,
    LogRequest,
    count_unfinished,
    fetch_export,
    list_exports,
    request_export,
)
from processing.exports.logs import write_log

logger = get_logger("console")

# What has more rows than this is made in the background: some 20 s of CSV, a second or two of XLSX.
AT_ONCE: Final = {Form.CSV: 1_000_000, Form.XLSX: 10_000}
_TYPES: Final = {Form.CSV: CSV_TYPE, Form.XLSX: XLSX_TYPE}
_PIECE: Final = 256 * 1024
_AWAY: Final = "The bucket in which these files lie doesn't answer: try again in a minute."
_GONE: Final = "This file is not kept any more: ask for it again."
_NOT_YET: Final = "This file is not ready: its page says how far it is."


async def show_logs(visit: Visit) -> Response:
    """The form, and the files that its visitor has asked for."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        named = visit.query.get("batch", "")
        batch = await fetch_batch(connection, named) if named else None
    if named and not is_seen(batch, visit, sight):
        raise PageRefused(404)
    return await _page(visit, sight, first_asked(batch, datetime.now(UTC)))


async def ask(visit: Visit) -> Response:
    """The file, or the promise that it will be made."""
    form = await visit.form()
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        campaign = await fetch_known_campaign(connection, visit.campaign_id)
        asked = await read_asked(connection, visit, sight, form)
        request = asked.request
        query = await find_query(connection, visit, campaign, request) if request else None
        archive = await find_archive_of_log(connection, query) if query else None
        expected = await count_expected(connection, query, asked.batch) if query else 0
    if request is None or query is None:
        return await _page(visit, sight, asked)
    if archive is not None:
        words = f"Messages of these days are archived, in {archive}: ask for later days, or ask the operators for them."
        return await _page(visit, sight, replace(asked, errors={"from": words}))
    of = asked.batch.original_file_name.removesuffix(".csv") if asked.batch else ""
    name = f"{of or campaign.name} {request.first} to {request.last}.{request.form}"
    if expected > AT_ONCE[request.form]:
        return await _promise(visit, sight, asked, request, form=form, name=name, expected=expected)
    async with visit.connection() as connection:
        await _record_download(visit, connection, _details_of(request))
    pieces = _csv(visit, query) if request.form is Form.CSV else _read(await _write_xlsx(visit, query))
    return StreamingResponse(pieces, headers=_headers(name), media_type=_TYPES[request.form])


async def _promise(
    visit: Visit,
    sight: Sight,
    asked: Asked,
    request: LogRequest,
    *,
    form: SentForm,
    name: str,
    expected: int,
) -> Response:
    """Let it be made in the background, unless much of this visitor's is already."""
    days = visit.settings.retention.log_exports_days
    async with visit.change(form) as connection:
        if await count_unfinished(connection, visit.user.id) < MOST_UNFINISHED:
            export_id = await request_export(
                connection,
                visit.campaign_id,
                visit.user.id,
                request,
                file_name=name,
                rows_expected=expected,
                kept_for=timedelta(days=days),
            )
            await record_event(
                connection,
                AuditEvent.LOG_EXPORT_REQUESTED,
                campaign_id=visit.campaign_id,
                actor=visit.actor,
                details={"export_id": export_id, **_details_of(request)},
            )
            sentence = (
                f"The file will have about {shown_count(expected)} rows, and is being made. You may close this page: the file "
                f"will stand here, for {days} days."
            )
            return await visit.done(connection, url("campaign_logs", campaign_id=visit.campaign_id), sentence)
    wrong = {"": f"{MOST_UNFINISHED} files of yours are being made: wait until one of them is ready."}
    return await _page(visit, sight, replace(asked, errors=wrong))


def _details_of(request: LogRequest) -> EventDetails:
    details: EventDetails = {
        "form": request.form.value,
        "since": request.first.isoformat(),
        "until": request.last.isoformat(),
        "statuses": [status.word for status in sorted(request.statuses)],
        "batch_id": request.batch_id,
        "own": request.only_of is not None,
        "masked": request.is_masked,
    }
    return details


async def _record_download(visit: Visit, connection: Connection, details: EventDetails) -> None:
    await record_event(
        connection,
        AuditEvent.LOG_DOWNLOADED,
        campaign_id=visit.campaign_id,
        actor=visit.actor,
        details=details,
    )


async def _page(visit: Visit, sight: Sight, asked: Asked) -> Response:
    async with visit.connection() as connection:
        frame = await open_frame(visit, connection, "campaign_logs")
        exports = await list_exports(connection, visit.user.id, visit.campaign_id)
    return await visit.page(
        "logs/logs.html",
        frame=frame,
        asked=asked,
        exports=exports,
        sight=sight,
        is_masked=is_masked(sight),
        statuses=STATUS_CHOICES,
        errors=ERROR_CHOICES,
        forms=FORM_CHOICES,
        at_once=AT_ONCE,
        days=visit.settings.retention.log_exports_days,
    )


async def follow_exports(visit: Visit) -> Response:
    """How far the files are that the visitor has asked for."""
    return visit.services.hub.open(
        ExportsView(visit.user.id, visit.campaign_id),
        user_id=visit.user.id,
        campaign_id=visit.campaign_id,
        check=check_of(visit, Sight.of_visit(visit)),
    )


async def download_export(visit: Visit) -> Response:
    """A file that was made, for whoever asked for it and still may see what is in it."""
    async with visit.connection() as connection:
        export = await fetch_export(connection, visit.parameter("export_id"))
    if export is None or not may_have(export, Sight.of_visit(visit)):
        raise PageRefused(404)
    if not export.is_ready or export.object_key is None:
        raise PageRefused(404, export.error or _NOT_YET)
    headers = _headers(export.file_name) | {"Content-Length": str(export.byte_count)}
    media_type = _TYPES[export.request.form]
    if visit.request.method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    pieces = visit.services.store.stream(export.object_key)
    try:
        first = await anext(pieces, b"")
    except ObjectMissing:
        raise PageRefused(404, _GONE) from None
    except StoreUnavailable:
        raise PageRefused(503, _AWAY) from None
    async with visit.connection() as connection:
        await _record_download(visit, connection, {"export_id": export.id, **_details_of(export.request)})

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return StreamingResponse(whole(), headers=headers, media_type=media_type)


async def _csv(visit: Visit, query: LogQuery) -> AsyncIterator[bytes]:
    try:
        async for piece in read_log_csv(visit.connection, query):
            yield piece.text
    except (ConfigError, MessagesArchived) as error:
        # The answer has begun: it is cut, so that nobody takes a part for the whole.
        logger.warning("log_cut", reason=str(error))
        raise


async def _write_xlsx(visit: Visit, query: LogQuery) -> BinaryIO:
    target = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is sent
    try:
        async for _ in write_log(visit.connection, query, target, Form.XLSX):
            pass
    except BaseException:
        target.close()
        raise
    return target


async def _read(target: BinaryIO) -> AsyncIterator[bytes]:
    """The file from its beginning, piece by piece, read in a thread."""
    with target:
        target.seek(0)
        while piece := await asyncio.to_thread(target.read, _PIECE):
            yield piece


def _headers(name: str) -> dict[str, str]:
    return {
        "Content-Disposition": attachment(name),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


ROUTES: Final = (
    ConsoleRoute(
        "campaign_logs",
        "/campaigns/{campaign_id}/logs",
        {"GET": show_logs, "POST": ask},
        SEES_MESSAGES,
        subject=of_campaign,
    ),
    ConsoleRoute(
        "campaign_logs_live",
        "/campaigns/{campaign_id}/logs/live",
        {"GET": follow_exports},
        SEES_MESSAGES,
        subject=of_campaign,
        is_stream=True,
    ),
    ConsoleRoute(
        "log_export", "/exports/{export_id}", {"GET": download_export}, SEES_MESSAGES, subject=of_export
    ),
)
