"""The outcomes of awaited uploads: each is stored once, and an acceptance only while somebody waits for it.

The same transaction that writes an outcome looks whether the sender's process still holds its lock: at first, and at its end,
since the COPY of a large batch takes seconds, in which a client may hang up. It will send again, and nobody may get two messages.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog

from audit.details import EventDetails
from audit.events import AuditEvent, record_event
from config.fault_points import reach
from database.connections import Connection, Pool, database_troubles
from notifications.notifications import Rejected
from processing import metrics, uploads
from processing.awaited.uploads import (
    ToldFinding,
    Withdrawal,
    announce,
    forget_object,
    is_forsaken,
    lock_awaited,
    new_support_id,
    record_told,
    withdraw,
)
from processing.columns.results import Finding
from processing.outcomes import NewBatch, accepted_details, record_decided, write_batch
from processing.uploads import Upload

Log: TypeAlias = structlog.stdlib.BoundLogger
_Write: TypeAlias = Callable[[Connection], Awaitable[None]]


class _Forsaken(Exception):  # noqa: N818 - a fact, which ends the transaction
    """Nobody waits for the outcome any more."""


class AwaitedOutcomes:
    """Stores outcomes of awaited uploads."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def accept(self, upload: Upload, batch: NewBatch, log: Log) -> bool:
        """Write batch, messages, hand-over and outcome; or withdraw the upload, where nobody waits. Whether they are written."""

        async def write(connection: Connection) -> None:
            await write_batch(connection, upload, batch, creator_id=upload.creator_id)
            await record_decided(connection, upload, accepted_details(batch))
            await announce(connection, upload.id)

        is_written = await self._end(upload, write, log)
        if is_written:
            metrics.UPLOADS_DECIDED.labels("accepted").inc()
            metrics.MESSAGES_CREATED.inc(batch.total_messages)
            log.info("upload_decided", outcome="accepted", batch_id=batch.id, messages=batch.total_messages)
        return is_written

    async def reject(
        self,
        upload: Upload,
        rejected: Rejected,
        *,
        findings: Sequence[Finding],
        report_link: str | None,
        log: Log,
    ) -> None:
        """Write the outcome, and what the sender is told of it; or withdraw the upload, where nobody waits."""

        async def write(connection: Connection) -> None:
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
            told = [ToldFinding(each.row, each.column, each.code.value, each.text) for each in findings]
            await record_told(connection, upload.id, told, report_link)
            details: EventDetails = {
                "outcome": "rejected",
                "rows": rejected.num_rows,
                "errors": rejected.num_errors,
            }
            await record_decided(connection, upload, details)
            await announce(connection, upload.id)

        if await self._end(upload, write, log):
            metrics.UPLOADS_DECIDED.labels("rejected").inc()
            log.info("upload_decided", outcome="rejected", rows=rejected.num_rows, errors=rejected.num_errors)

    async def fail(self, upload: Upload, cause: str, log: Log) -> None:
        """Write the outcome: the service is at fault. `cause` is a fixed text."""
        support_id = new_support_id()
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await lock_awaited(connection, upload.id):
                    return
                await uploads.record_failed(connection, upload.id, support_id)
                await forget_object(connection, upload.id)
                await announce(connection, upload.id, frees_key=True)
                await record_event(
                    connection,
                    AuditEvent.UPLOAD_FAILED,
                    campaign_id=upload.campaign_id,
                    upload_id=upload.id,
                    details={"support_id": support_id, "attempts": upload.attempts, "reason": cause},
                )
        metrics.UPLOADS_DECIDED.labels("failed").inc()
        log.error("upload_failed", support_id=support_id, reason=cause)

    async def withdraw_forsaken(self, upload: Upload, log: Log) -> bool:
        """Withdraw the upload where nobody waits for it. Returns whether it has an outcome now."""
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await lock_awaited(connection, upload.id):
                    return True
                if not await is_forsaken(connection, upload.waiter):
                    return False
                support_id = await withdraw(connection, upload.id, Withdrawal.FORSAKEN)
        metrics.UPLOADS_WITHDRAWN.labels(Withdrawal.FORSAKEN.value).inc()
        log.warning("upload_withdrawn", support_id=support_id, reason=Withdrawal.FORSAKEN.value)
        return True

    async def _end(self, upload: Upload, write: _Write, log: Log) -> bool:
        """Give the upload the outcome that `write` writes, in one transaction. False where it has another one now."""
        try:
            with database_troubles():
                async with self._pool.acquire() as connection, connection.transaction():
                    if not await lock_awaited(connection, upload.id):
                        return False
                    await _check_waiter(connection, upload)
                    await write(connection)
                    await _check_waiter(connection, upload)
        except _Forsaken:
            await self.withdraw_forsaken(upload, log)
            return False
        reach("verdict.committed")
        return True


async def _check_waiter(connection: Connection, upload: Upload) -> None:
    if await is_forsaken(connection, upload.waiter):
        raise _Forsaken
