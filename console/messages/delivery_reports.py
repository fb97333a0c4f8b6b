"""The delivery report of a batch: as CSV, made while it is sent; of a batch that isn't large, as XLSX too."""

import io
from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from audit.events import AuditEvent, record_event
from campaigns.campaigns import fetch_known_campaign
from config.errors import ConfigError
from config.logs import get_logger
from console.errors import PageRefused
from console.messages.batch import MOST_IN_WORKBOOK, fetch_seen_batch
from console.messages.sight import SEES_MESSAGES, Sight
from console.rendering import masked_number, shown_count
from console.routes import ConsoleRoute
from console.subjects import of_batch
from console.technical.downloads import CSV_TYPE, XLSX_TYPE, attachment
from console.visits import Visit
from keys.ssh_keys import fetch_label_of_upload
from messages.delivery_report import ReportFrame, read_csv_report, write_xlsx_report
from messages.errors import MessagesArchived
from messages.retrieval import Batch

logger = get_logger("console")


async def download_report(visit: Visit) -> Response:
    """The report as CSV. Who sees numbers masked gets them masked, and no values; each download leaves its audit event."""
    frame = await _open_frame(visit)
    headers = _headers(frame.batch, "csv")
    if visit.request.method == "HEAD":
        return Response(headers=headers, media_type=CSV_TYPE)
    return StreamingResponse(_pieces(visit, frame), headers=headers, media_type=CSV_TYPE)


async def download_workbook(visit: Visit) -> Response:
    """The same as XLSX. Raises PageRefused: it would take too long; as CSV it takes seconds."""
    frame = await _open_frame(visit, most=MOST_IN_WORKBOOK)
    headers = _headers(frame.batch, "xlsx")
    if visit.request.method == "HEAD":
        return Response(headers=headers, media_type=XLSX_TYPE)
    target = io.BytesIO()
    await write_xlsx_report(visit.connection, frame, target)
    return Response(target.getvalue(), headers=headers, media_type=XLSX_TYPE)


async def _open_frame(visit: Visit, *, most: int | None = None) -> ReportFrame:
    """The frame of the path's batch, once its download is written down. Raises PageRefused: it has more than `most` messages."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        batch = await fetch_seen_batch(visit, connection, sight)
        campaign = await fetch_known_campaign(connection, batch.campaign_id)
        if most is not None and batch.total_messages > most:
            raise PageRefused(
                404,
                f"As XLSX there are reports of at most {shown_count(most)} messages: take the CSV, or the campaign's log.",
            )
        shows = sight.sees_contents(batch)
        frame = await ReportFrame.of_batch(
            connection,
            batch,
            campaign,
            visit.settings.environment,
            visit.settings.billing,
            key_name=await fetch_label_of_upload(connection, campaign.id, batch.upload_id),
            mask=None if shows else masked_number,
        )
        if visit.request.method != "HEAD":
            async with connection.transaction():
                await record_event(
                    connection,
                    AuditEvent.DELIVERY_REPORT_DOWNLOADED,
                    campaign_id=batch.campaign_id,
                    actor=visit.actor,
                    details={"batch_id": batch.id, "messages": batch.total_messages, "masked": not shows},
                )
    return frame


def _headers(batch: Batch, ending: str) -> dict[str, str]:
    stem = batch.original_file_name.removesuffix(".csv") or batch.id
    return {
        "Content-Disposition": attachment(f"{stem} delivery report.{ending}"),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }


async def _pieces(visit: Visit, frame: ReportFrame) -> AsyncIterator[bytes]:
    try:
        async for piece in read_csv_report(visit.connection, frame):
            yield piece
    except (ConfigError, MessagesArchived) as error:
        # The answer has begun: it is cut, so that nobody takes a part for the whole.
        logger.warning("report_cut", reason=str(error))
        raise


ROUTES: Final = (
    ConsoleRoute(
        "batch_report",
        "/batches/{batch_id}/delivery-report.csv",
        {"GET": download_report},
        SEES_MESSAGES,
        subject=of_batch,
    ),
    ConsoleRoute(
        "batch_report_xlsx",
        "/batches/{batch_id}/delivery-report.xlsx",
        {"GET": download_workbook},
        SEES_MESSAGES,
        subject=of_batch,
    ),
)
