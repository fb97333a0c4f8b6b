"""A report that was posted, as a file: of a month, in any of its versions, or of a whole period."""

import asyncio
import io
from typing import Final

from starlette.responses import Response

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from billing.posted import PostedReport, fetch_annual_report, fetch_report
from billing.report_files import FORMS, MEDIA_TYPES, file_name, write_report
from campaigns.people.permissions import Action
from console.billing.scopes import own_agency_id
from console.errors import PageRefused
from console.routes import ConsoleRoute
from console.technical.downloads import attachment
from console.visits import Visit
from database.connections import Connection
from rules.billing.periods import Month, parse_period


async def download(visit: Visit) -> Response:
    """The file. Each download leaves its audit event."""
    agency_id, form = visit.parameter("agency_id"), visit.parameter("form")
    may_see = visit.may_at_all(Action.SEE_ALL_BILLING) or agency_id == own_agency_id(visit)
    if not may_see or form not in FORMS or "\0" in agency_id:
        raise PageRefused(404)
    async with visit.connection() as connection:
        report = await _find(visit, connection, agency_id)
        if report is None:
            raise PageRefused(404)
        if visit.request.method != "HEAD":
            details: EventDetails = {"agency_id": agency_id, "version": report.version, "form": form}
            if isinstance(report.period, Month):
                details["month"] = str(report.period)
            else:
                details["period"] = report.period.name
            async with connection.transaction():
                await record_event(
                    connection,
                    AuditEvent.BILLING_REPORT_DOWNLOADED,
                    actor=visit.actor,
                    details=details,
                )
    content = io.BytesIO()
    await asyncio.to_thread(write_report, report, content, form)
    headers = {
        "Content-Disposition": attachment(file_name(report.agency_name, report.period, form)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content.getvalue(), headers=headers, media_type=MEDIA_TYPES[form])


async def _find(visit: Visit, connection: Connection, agency_id: str) -> PostedReport | None:
    """The report that the path and the query name."""
    text = visit.parameter("report")
    month = Month.parse(text)
    if month is None:
        period = parse_period(text, visit.settings.billing.starts)
        return None if period is None else await fetch_annual_report(connection, agency_id, period)
    version = visit.query.get("version", "")
    if not version:
        return await fetch_report(connection, agency_id, month)
    if not (version.isascii() and version.isdigit() and len(version) <= 4):
        return None
    return await fetch_report(connection, agency_id, month, int(version))


ROUTES: Final = (
    ConsoleRoute(
        "billing_report",
        "/billing/{agency_id}/{report}.{form}",
        {"GET": download},
        Action.SEE_AGENCY_BILLING,
    ),
)
