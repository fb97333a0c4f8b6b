"""Uploads refused before any row was read: each one is written down, and told by an e-mail of its own or in a summary.

A client that sends names other than *.csv over and over would fill its agency's mailbox. So only some such refusals an
hour are told singly; the others are marked as untold, and a job sums them up in one e-mail.
"""

from datetime import timedelta
from typing import Final

from audit.events import AuditEvent, record_event
from config.sizes import size_text
from database.connections import Connection, Pool, database_troubles
from database.job_queue import JobKind, RunningJob, enqueue, subjects_without_job
from notifications.notifications import Rejected, record_notification
from processing import uploads
from processing.uploads import NewUpload
from rules.codes import FindingCode
from rules.texts import file_reason

SUMMARY_ENTRYPOINT: Final = "refusal_summary"
# How long a summary waits for further refusals.
_SUMMARY_DELAY: Final = timedelta(hours=1)
_CONCURRENT_SUMMARIES: Final = 2


async def record_refusal(
    connection: Connection,
    upload: NewUpload,
    code: FindingCode,
    *,
    max_upload_bytes: int,
    max_not_csv_notifications: int,
) -> None:
    """Write down the refused upload, its audit event and what tells of it, in the caller's transaction.

    `max_upload_bytes` is the limit that the e-mail names; beyond `max_not_csv_notifications` an hour, refusals of names
    that aren't *.csv are only summed up. A second call for the same upload changes nothing.
    """
    if await uploads.has_upload(connection, upload.id):
        return
    facts = {"limit": size_text(max_upload_bytes)} | ({} if upload.object_key else {"way_out": ""})
    error_reason = file_reason(code, received=upload.byte_count, **facts)
    is_untold = False
    if code is FindingCode.FILE_NOT_CSV:
        await uploads.lock_refusals(connection, upload.campaign_id)
        recent = await uploads.count_recent_refusals(connection, upload.campaign_id, code.value)
        is_untold = recent >= max_not_csv_notifications
    await uploads.record_refused(
        connection, upload, refusal_code=code.value, error_reason=error_reason, is_untold=is_untold
    )
    if is_untold:
        await enqueue_summary(connection, upload.campaign_id)
    else:
        await record_notification(connection, upload.id, 1, _rejected(error_reason, 1))
    await record_event(
        connection,
        AuditEvent.UPLOAD_REFUSED,
        campaign_id=upload.campaign_id,
        upload_id=upload.id,
        actor=upload.actor,
        details={"code": code.value, "bytes": upload.byte_count},
    )


async def enqueue_summary(connection: Connection, campaign_id: str) -> None:
    """Sum up, an hour from now, the refusals that got no e-mail of their own. One such job per campaign at a time."""
    await enqueue(connection, SUMMARY_ENTRYPOINT, campaign_id, delay=_SUMMARY_DELAY)


async def record_summary(connection: Connection, campaign_id: str) -> None:
    """Write one notification, on the latest of the campaign's untold refusals, that says how many there were."""
    untold = await uploads.take_untold(connection, campaign_id)
    if not untold:
        return
    latest = max(untold, key=lambda refusal: (refusal.received_at, refusal.upload_id))
    error_reason = (
        f"{file_reason(FindingCode.FILE_NOT_CSV)}; this e-mail stands for {len(untold)} uploads "
        "refused for this reason, of which this was the last"
    )
    await record_notification(connection, latest.upload_id, 1, _rejected(error_reason, len(untold)))


async def sweep_summaries(connection: Connection) -> int:
    """Put back on the queue the summary of every campaign that has untold refusals and no such job. Returns how many.

    A refusal that comes while the summary before it is being written finds that one's job, and adds none: it is found
    here.
    """
    campaigns = await uploads.list_campaigns_with_untold(connection)
    unsummed = await subjects_without_job(connection, SUMMARY_ENTRYPOINT, campaigns)
    for campaign_id in unsummed:
        await enqueue_summary(connection, campaign_id)
    return len(unsummed)


class RefusalSummaryJob:
    """Sums up a campaign's untold refusals. Safe to run twice: the second run finds nothing untold."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def kind(self, heartbeat_timeout: float) -> JobKind:
        """How the queue runs it. `heartbeat_timeout` is in seconds."""
        return JobKind(SUMMARY_ENTRYPOINT, _CONCURRENT_SUMMARIES, heartbeat_timeout)

    async def __call__(self, job: RunningJob) -> None:
        """Handle one job, whose subject is a campaign."""
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                await record_summary(connection, job.subject_id)


def _rejected(error_reason: str, count: int) -> Rejected:
    return Rejected(None, 0, count, has_avoidable=False, has_unicode=False, error_reason=error_reason)
