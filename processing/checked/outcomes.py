"""What becomes of an upload of the console: checked, sent, rejected or failed. Each is stored once, under the upload's lock.

Whether a good one is only checked, or becomes a batch, says its row, read under the lock: a second click, a second worker or a
job that came again find that it waits no more.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, TypeAlias

import structlog

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from config.fault_points import reach
from database.connections import Connection, Pool, database_troubles
from database.job_queue import release_dedupe_key
from notifications.notifications import Rejected
from processing import metrics, uploads
from processing.awaited.uploads import ToldFinding, new_support_id, record_told
from processing.checked.counts import Counts
from processing.checked.uploads import (
    Check,
    end_waiting,
    forget_object,
    is_active,
    lock_waiting,
    record_check,
)
from processing.columns.results import Finding
from processing.outcomes import NewBatch, accepted_details, record_decided, write_batch
from processing.uploads import Upload
from processing.verdicts.queueing import CHECKED_ENTRYPOINT

Log: TypeAlias = structlog.stdlib.BoundLogger
# Whether it has waited too long, nobody asks here: who has said in time that it is to be sent waits for that.
_ANY_TIME: Final = timedelta(days=1)
NOT_ACTIVE: Final = "not_active"


class CheckedOutcomes:
    """Stores what becomes of uploads of the console."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def end_good(
        self, upload: Upload, counts: Counts, batch: NewBatch, log: Log, *, may_send: bool
    ) -> bool:
        """Keep what the check has found; or, where somebody has said so, make batch, messages and hand-over.

        False, and nothing done, where that was said and it may not be sent yet.
        """
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                waiting = await lock_waiting(connection, upload.id, _ANY_TIME)
                if waiting is None:
                    return True
                asked_by = waiting.check.asked_by if waiting.check else None
                if asked_by is not None and not may_send:
                    return False
                if asked_by is None:
                    outcome = await _keep_check(connection, upload, Check(counts))
                elif not await is_active(connection, upload.campaign_id):
                    # Suspended since: nothing is made that would leave by surprise when it is resumed.
                    outcome = await _keep_check(connection, upload, Check(counts, hindrance=NOT_ACTIVE))
                else:
                    outcome = await _make_batch(connection, upload, batch, Check(counts), asked_by)
        reach("verdict.committed")
        if outcome == "accepted":
            metrics.UPLOADS_DECIDED.labels("accepted").inc()
            metrics.MESSAGES_CREATED.inc(batch.total_messages)
            log.info("upload_decided", outcome=outcome, batch_id=batch.id, messages=batch.total_messages)
        else:
            log.info("upload_checked", outcome=outcome, messages=counts.messages, segments=counts.segments)
        return True

    async def reject(self, upload: Upload, rejected: Rejected, findings: Sequence[Finding], log: Log) -> None:
        """Write the outcome, and the first findings beside it. Also where somebody has said that it is to be sent."""
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if await lock_waiting(connection, upload.id, _ANY_TIME) is None:
                    return
                await uploads.record_rejected(
                    connection,
                    upload.id,
                    report_key=rejected.report_key,
                    num_rows=rejected.num_rows,
                    num_errors=rejected.num_errors,
                    has_avoidable=rejected.has_avoidable,
                    has_unicode=rejected.has_unicode,
                    error_reason=rejected.error_reason,
                )
                await end_waiting(connection, upload.id)
                told = [ToldFinding(each.row, each.column, each.code.value, each.text) for each in findings]
                await record_told(connection, upload.id, told, None)
                details: EventDetails = {
                    "outcome": "rejected",
                    "rows": rejected.num_rows,
                    "errors": rejected.num_errors,
                }
                await record_decided(connection, upload, details)
        reach("verdict.committed")
        metrics.UPLOADS_DECIDED.labels("rejected").inc()
        log.info("upload_decided", outcome="rejected", rows=rejected.num_rows, errors=rejected.num_errors)

    async def fail(self, upload: Upload, cause: str, log: Log) -> None:
        """Write the outcome: the service is at fault. `cause` is a fixed text."""
        support_id = new_support_id()
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if await lock_waiting(connection, upload.id, _ANY_TIME) is None:
                    return
                await uploads.record_failed(connection, upload.id, support_id)
                await end_waiting(connection, upload.id)
                await forget_object(connection, upload.id)
                await record_event(
                    connection,
                    AuditEvent.UPLOAD_FAILED,
                    campaign_id=upload.campaign_id,
                    upload_id=upload.id,
                    details={"support_id": support_id, "attempts": upload.attempts, "reason": cause},
                )
        metrics.UPLOADS_DECIDED.labels("failed").inc()
        log.error("upload_failed", support_id=support_id, reason=cause)


async def _keep_check(connection: Connection, upload: Upload, check: Check) -> str:
    await record_check(connection, upload.id, check)
    # This job is at its very end, and must not keep out the one that its sender may ask for at once.
    await release_dedupe_key(connection, CHECKED_ENTRYPOINT, upload.id)
    outcome = check.hindrance or "checked"
    await record_event(
        connection,
        AuditEvent.UPLOAD_CHECKED,
        campaign_id=upload.campaign_id,
        upload_id=upload.id,
        details={"outcome": outcome, "messages": check.counts.messages, "segments": check.counts.segments},
    )
    return outcome


async def _make_batch(
    connection: Connection, upload: Upload, batch: NewBatch, check: Check, asked_by: str
) -> str:
    await write_batch(connection, upload, batch, creator_id=asked_by or None)
    await record_check(connection, upload.id, check)
    await end_waiting(connection, upload.id)
    await record_decided(connection, upload, accepted_details(batch), actor=Actor(name=asked_by or None))
    return "accepted"
