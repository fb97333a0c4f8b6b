"""The outcomes of uploads: each is stored once, and whoever waits for it is settled with it.

What makes a verdict safe to run twice: an outcome is stored in one transaction that first locks the upload and its content and
looks once more whether there is an outcome already. An upload's twins are those of the same content, received later, that
wait: what becomes of them is decided here too, for whatever outcome.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO, TypeAlias

import structlog

from audit.details import EventDetails
from audit.events import NOBODY, Actor, AuditEvent, record_event
from config.fault_points import reach
from database.connections import Connection, Pool, database_troubles
from messages.batches import create_batch
from notifications.notifications import Accepted, Failed, Rejected, record_notification
from processing import metrics, uploads
from processing.columns.results import MESSAGE_COLUMNS
from processing.uploads import Upload
from processing.verdicts.queueing import enqueue_verdict
from rules.messages import Frame

Log: TypeAlias = structlog.stdlib.BoundLogger
# Tells logs and metrics of an outcome, once it is committed.
_Tell: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What an accepted upload becomes: a batch of this id, and COPY text of its messages, read from its beginning."""

    id: str
    frame: Frame
    messages: BinaryIO
    total_messages: int
    has_unicode: bool


@dataclass(frozen=True, slots=True)
class _Ending:
    """An outcome that is written, and not committed yet.

    `settle` gives those that wait for the upload their outcomes, and returns how to tell of each; or has one of them judged.
    """

    tell: _Tell
    settle: Callable[[Connection], Awaitable[Sequence[_Tell]]]


class Outcomes:
    """Stores outcomes. `twins_within`: how far apart uploads of the same content may be received to have one outcome."""

    def __init__(self, pool: Pool, twins_within: timedelta) -> None:
        self._pool = pool
        self._twins_within = twins_within

    async def repeat_twin(self, upload: Upload, log: Log) -> bool:
        """Accept the upload with the batch of the same content, if there is one. Returns whether it has its outcome."""

        async def end(connection: Connection) -> _Ending | None:
            return await self._repeat_accepted(connection, upload, log)

        return await self._end(upload, end)

    async def accept(self, upload: Upload, batch: NewBatch, log: Log) -> None:
        """Write batch, messages, hand-over, outcome and notification; or repeat the batch that there is meanwhile."""

        async def end(connection: Connection) -> _Ending:
            if repeated := await self._repeat_accepted(connection, upload, log):
                return repeated
            number = await write_batch(connection, upload, batch)
            await record_notification(connection, upload.id, number, Accepted(batch.id))
            await record_decided(connection, upload, accepted_details(batch))

            def tell() -> None:
                metrics.UPLOADS_DECIDED.labels("accepted").inc()
                metrics.MESSAGES_CREATED.inc(batch.total_messages)
                log.info(
                    "upload_decided", outcome="accepted", batch_id=batch.id, messages=batch.total_messages
                )

            return _Ending(tell, lambda later: self._accept_waiting(later, upload, log))

        await self._end(upload, end)

    async def reject(self, upload: Upload, rejected: Rejected, log: Log) -> None:
        """Write outcome and notification. Those that wait get the same rejection, with the same report."""

        async def settle(connection: Connection) -> Sequence[_Tell]:
            twins = await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within)
            return [
                await _record_rejected(
                    connection, twin, rejected, log.bind(upload_id=twin.id, same_as=upload.id)
                )
                for twin in twins
            ]

        async def end(connection: Connection) -> _Ending:
            return _Ending(await _record_rejected(connection, upload, rejected, log), settle)

        await self._end(upload, end)

    async def fail(self, upload: Upload, cause: str, log: Log) -> None:
        """Write outcome and notification: the service is at fault. `cause` is a fixed text.

        The failure is this upload's own: the first of those that wait for it is judged in its place.
        """
        support_id = f"S-{secrets.token_hex(6).upper()}"

        async def settle(connection: Connection) -> Sequence[_Tell]:
            twins = await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within)
            for twin in twins[:1]:
                await enqueue_verdict(connection, twin.id, twin.campaign_id)
            return []

        async def end(connection: Connection) -> _Ending:
            number = await uploads.record_failed(connection, upload.id, support_id)
            await record_notification(connection, upload.id, number, Failed(support_id))
            await record_event(
                connection,
                AuditEvent.UPLOAD_FAILED,
                campaign_id=upload.campaign_id,
                upload_id=upload.id,
                details={"support_id": support_id, "attempts": upload.attempts, "reason": cause},
            )

            def tell() -> None:
                metrics.UPLOADS_DECIDED.labels("failed").inc()
                log.error("upload_failed", support_id=support_id, reason=cause)

            return _Ending(tell, settle)

        await self._end(upload, end)

    async def _end(self, upload: Upload, end: Callable[[Connection], Awaitable[_Ending | None]]) -> bool:
        """Give the upload the outcome that `end` writes, and settle those that wait for it, in one transaction.

        Returns whether it has an outcome now: `end` may find that there is none to give, and return None.
        """
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await uploads.lock_undecided(connection, upload):
                    return True
                ending = await end(connection)
                if ending is None:
                    return False
                tells = [ending.tell, *await ending.settle(connection)]
        reach("verdict.committed")
        for tell in tells:
            tell()
        # Some saw this upload undecided while its outcome was being committed, and wait for it. Others may see those undecided
        # meanwhile, and wait for them: so it goes on until nobody is found waiting.
        while tells:
            with database_troubles():
                async with self._pool.acquire() as connection:
                    if not await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within):
                        break
                    async with connection.transaction():
                        await uploads.lock_content(connection, upload)
                        tells = [*await ending.settle(connection)]
            for tell in tells:
                tell()
        return True

    async def _repeat_accepted(self, connection: Connection, upload: Upload, log: Log) -> _Ending | None:
        """Accept the upload with the batch of an accepted twin. None where it has none."""
        tell = await self._record_duplicate(connection, upload, log)
        if tell is None:
            return None
        return _Ending(tell, lambda later: self._accept_waiting(later, upload, log))

    async def _accept_waiting(self, connection: Connection, upload: Upload, log: Log) -> Sequence[_Tell]:
        """Give those that wait for this upload the batch that it has."""
        twins = await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within)
        tells = [
            await self._record_duplicate(connection, twin, log.bind(upload_id=twin.id)) for twin in twins
        ]
        return [tell for tell in tells if tell]

    async def _record_duplicate(self, connection: Connection, upload: Upload, log: Log) -> _Tell | None:
        twin = await uploads.fetch_accepted_twin(connection, upload.id, self._twins_within)
        if twin is None:
            return None
        number = await uploads.record_accepted(
            connection,
            upload.id,
            batch_id=twin.batch_id,
            total_messages=twin.total_messages,
            duplicate_of=twin.upload_id,
            has_unicode=False,
        )
        await record_notification(connection, upload.id, number, Accepted(twin.batch_id))
        details: EventDetails = {
            "outcome": "duplicate",
            "batch_id": twin.batch_id,
            "duplicate_of": twin.upload_id,
        }
        await record_decided(connection, upload, details)

        def tell() -> None:
            metrics.UPLOADS_DECIDED.labels("duplicate").inc()
            log.info(
                "upload_decided", outcome="duplicate", batch_id=twin.batch_id, duplicate_of=twin.upload_id
            )

        return tell


async def _record_rejected(connection: Connection, upload: Upload, rejected: Rejected, log: Log) -> _Tell:
    number = await uploads.record_rejected(
        connection,
        upload.id,
        report_key=rejected.report_key,
        num_rows=rejected.num_rows,
        num_errors=rejected.num_errors,
        has_avoidable=rejected.has_avoidable,
        has_unicode=rejected.has_unicode,
        error_reason=rejected.error_reason,
    )
    await record_notification(connection, upload.id, number, rejected)
    details: EventDetails = {"outcome": "rejected", "rows": rejected.num_rows, "errors": rejected.num_errors}
    await record_decided(connection, upload, details)

    def tell() -> None:
        metrics.UPLOADS_DECIDED.labels("rejected").inc()
        log.info("upload_decided", outcome="rejected", rows=rejected.num_rows, errors=rejected.num_errors)

    return tell


async def write_batch(
    connection: Connection, upload: Upload, batch: NewBatch, *, creator_id: str | None = None
) -> int:
    """Write batch, messages, hand-over and the upload's outcome, whichever way it came; returns the outcome's number.

    `creator_id`: the user who makes the batch; None: the campaign's creator.
    """
    await create_batch(
        connection,
        batch_id=batch.id,
        campaign_id=upload.campaign_id,
        upload_id=upload.id,
        file_name=upload.file_name,
        frame=batch.frame.document(),
        messages=batch.messages,
        columns=MESSAGE_COLUMNS,
        total_messages=batch.total_messages,
        creator_id=creator_id,
    )
    reach("verdict.copied")
    return await uploads.record_accepted(
        connection,
        upload.id,
        batch_id=batch.id,
        total_messages=batch.total_messages,
        duplicate_of=None,
        has_unicode=batch.has_unicode,
    )


def accepted_details(batch: NewBatch) -> EventDetails:
    """What the audit event of an accepted upload tells."""
    return {"outcome": "accepted", "batch_id": batch.id, "messages": batch.total_messages}


async def record_decided(
    connection: Connection, upload: Upload, details: EventDetails, *, actor: Actor = NOBODY
) -> None:
    """Record that the upload has its outcome."""
    await record_event(
        connection,
        AuditEvent.UPLOAD_DECIDED,
        campaign_id=upload.campaign_id,
        upload_id=upload.id,
        actor=actor,
        details=details,
    )
