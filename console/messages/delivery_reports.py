"""The delivery report of a batch, as a file that is made while it is sent."""

from collections.abc import AsyncIterator
from typing import Final

from starlette.responses import Response, StreamingResponse

from audit.events import AuditEvent, record_event
from campaigns.campaigns import fetch_known_campaign
from config.errors import ConfigError
from config.logs import get_logger
from console.messages.batch import fetch_seen_batch
from console.messages.sight import SEES_MESSAGES, Sight
from console.rendering import masked_number
from console.routes import ConsoleRoute
from console.subjects import of_batch
from console.technical.downloads import attachment
from console.visits import Visit
from keys.ssh_keys import fetch_label_of_upload
from messages.delivery_report import ReportFrame, read_csv_report

logger = get_logger("console")


async def download_report(visit: Visit) -> Response:
    """The report. Who sees numbers masked gets them masked, and no values; each download leaves its audit event."""
    sight = Sight.of_visit(visit)
    async with visit.connection() as connection:
        batch = await fetch_seen_batch(visit, connection, sight)
        campaign = await fetch_known_campaign(connection, batch.campaign_id)
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
    stem = batch.original_file_name.removesuffix(".csv") or batch.id
    headers = {
        "Content-Disposition": attachment(f"{stem} delivery report.csv"),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if visit.request.method == "HEAD":
        return Response(headers=headers, media_type="text/csv; charset=utf-8")
    return StreamingResponse(_pieces(visit, frame), headers=headers, media_type="text/csv; charset=utf-8")


async def _pieces(visit: Visit, frame: ReportFrame) -> AsyncIterator[bytes]:
    try:
        async for piece in read_csv_report(visit.connection, frame):
            yield piece
    except ConfigError as error:
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
)
