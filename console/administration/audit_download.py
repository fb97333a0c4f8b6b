"""The trail as CSV: what the page's filters ask for, read and sent in pieces; asking for it is an event of the trail too.

A file that would lack what is archived is refused.
"""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from starlette.responses import Response, StreamingResponse

from audit.archived import describe_archived
from audit.events import AuditEvent, record_event
from campaigns.people.permissions import Action
from config.logs import get_logger
from console.administration.audit_trail import Entry, Trail, read_wanted
from console.errors import GoTo, PageRefused
from console.paths import url
from console.rendering import iso_time
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection, database_troubles
from messages.logs.files import without_formula

MOST_ROWS: Final = 1_000_000
_PIECE: Final = 2000
_COLUMNS: Final = (
    "id",
    "time",
    "event",
    "campaign",
    "upload",
    "actor",
    "address of the actor",
    "source address",
    "details",
)
_BYTE_ORDER_MARK: Final = "\ufeff"
_NOT_WHOLE: Final = "This file would not be whole: {}. Or ask for later days."

logger = get_logger("console")


async def download(visit: Visit) -> Response:
    """All rows that the filters ask for, a million at most."""
    form = await visit.form()
    wanted = read_wanted({name: form[name] for name in form.fields})
    if wanted.errors:
        raise GoTo(url("ops_audit", **wanted.fields))
    asked = {name: value for name, value in wanted.fields.items() if value}
    with database_troubles():
        async with visit.services.pool.acquire() as connection, connection.transaction():
            await record_event(
                connection, AuditEvent.AUDIT_DOWNLOADED, actor=visit.actor, details={"filters": asked}
            )
            trail = await Trail.find(connection, wanted)
            if archived := await trail.list_archived(connection):
                raise PageRefused(410, _NOT_WHOLE.format(describe_archived(archived[::-1])))
    headers = {"Content-Disposition": 'attachment; filename="audit-trail.csv"'}
    return StreamingResponse(
        read_rows(visit.connection, trail), media_type="text/csv; charset=utf-8", headers=headers
    )


async def lead_back(_visit: Visit) -> Response:
    """Somebody has opened the download's path: the page has its button."""
    raise GoTo(url("ops_audit"))


async def read_rows(
    connect: Callable[[], AbstractAsyncContextManager[Connection]], trail: Trail
) -> AsyncIterator[str]:
    """The lines of the file. Raises PageRefused where something of it was archived while it was read."""
    yield _BYTE_ORDER_MARK + _lines([_COLUMNS])
    before, left = None, MOST_ROWS
    while left > 0:
        # No connection is kept while the browser takes its time.
        async with connect() as connection:
            entries = await trail.read(connection, before=before, most=min(_PIECE, left))
        yield _lines([_cells(entry) for entry in entries])
        if len(entries) < _PIECE:
            break
        before, left = entries[-1].id, left - len(entries)
    async with connect() as connection:
        if archived := await trail.list_archived(connection):
            # The answer has begun: it is cut, so that nobody takes a part for the whole.
            logger.warning("audit_trail_cut", archive=archived[-1].name)
            raise PageRefused(410, _NOT_WHOLE.format(describe_archived(archived[::-1])))


def _cells(entry: Entry) -> list[str]:
    return [
        str(entry.id), iso_time(entry.at), entry.event, entry.campaign_id or "", entry.upload_id or "", entry.actor or "",
        entry.actor_email or "", entry.source_address or "",
        json.dumps(entry.details, ensure_ascii=False) if entry.details else "",
    ]  # fmt: skip


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[without_formula(cell) for cell in row] for row in rows])
    return text.getvalue()


ROUTES: Final = (
    ConsoleRoute("audit_download", "/ops/audit/download", {"GET": lead_back, "POST": download}, Action.ADMINISTER),
)  # fmt: skip
