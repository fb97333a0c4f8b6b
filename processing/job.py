"""The job of this room: one upload, one outcome. Fetch, judge, store; safe to run twice, or in two workers at once.

What makes it safe: the outcome is stored in one transaction that first locks the upload and its content and looks once
more whether there is an outcome already. All that comes before (a fetched object, a report in the bucket under its own
name) may be repeated without a trace.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

import structlog

from audit.events import AuditEvent, record_event
from campaigns.campaigns import fetch_known_campaign
from config.fault_points import reach
from config.identifiers import new_identifier
from config.logs import get_logger
from config.sections import WorkerSettings
from database.connections import Connection, Pool, database_troubles
from database.errors import ServiceUnreachable
from database.job_queue import JobKind, RunningJob, TryAgain
from messages.batches import create_batch
from notifications.notifications import Accepted, Failed, Rejected, record_notification
from processing import metrics, uploads
from processing.columns.copytext import MESSAGE_COLUMNS
from processing.errors import StoreUnavailable, TemporaryTrouble, VerdictExceeded
from processing.object_store import ObjectStore, report_key, sha256_of
from processing.uploads import Upload
from processing.verdict import Rules, Verdict
from processing.verdict_process import VerdictLimits, VerdictProcesses
from processing.verdict_queue import ENTRYPOINT, enqueue_verdict
from rules.messages import Frame
from rules.templates import Template

logger = get_logger("processing")

_LONGEST_DELAY: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and what came with it: COPY text of the messages, or a report, each in a file without a name."""

    verdict: Verdict
    batch_id: str
    frame: Frame
    messages: BinaryIO
    report: BinaryIO


class VerdictJob:
    """Judges uploads and stores their outcomes."""

    def __init__(
        self,
        pool: Pool,
        store: ObjectStore,
        settings: WorkerSettings,
        rules_of: Callable[[Template], Rules],
        verdicts: VerdictProcesses,
    ) -> None:
        self._pool = pool
        self._store = store
        self._settings = settings
        self._rules_of = rules_of
        self._verdicts = verdicts
        self._twins_within = timedelta(hours=settings.duplicate_hours)

    def kind(self) -> JobKind:
        """How the queue runs this job."""
        return JobKind(ENTRYPOINT, self._settings.concurrent_verdicts, self._settings.heartbeat_timeout)

    async def __call__(self, job: RunningJob) -> None:
        """Give the upload named by the job its outcome.

        Raises TryAgain for temporary trouble until `retry_for` has passed: then the outcome is `failed`.
        """
        log = logger.bind(upload_id=job.subject_id)
        upload = await self._begin(job, log)
        if upload is None:
            return
        log = log.bind(
            campaign_id=upload.campaign_id, connection_id=upload.connection_id, attempt=upload.attempts
        )
        if self._is_over(upload) and upload.attempts > most_attempts(self._settings):
            # No attempt came to an end of its own, so this upload kills its workers.
            await self._fail(upload, "every attempt was cut short", log)
            return
        try:
            await self._judge_and_store(upload, log)
        except TryAgain:
            raise
        except VerdictExceeded as excess:
            # Judging it again would take as much again, from whoever waits behind it.
            await self._fail(upload, str(excess), log)
        except (TemporaryTrouble, ServiceUnreachable) as error:
            await self._retry_or_fail(upload, str(error), log)
        except Exception:
            # This is a bug of ours, or the object is gone. The text may hold a row, so only kind and place are logged.
            log.exception("verdict_crashed")
            await self._retry_or_fail(upload, "internal error", log)

    async def _begin(self, job: RunningJob, log: structlog.stdlib.BoundLogger) -> Upload | None:
        """Fetch the upload and count the attempt. Returns None where there is nothing to judge, or no longer."""
        upload_id = job.subject_id
        with database_troubles():
            async with self._pool.acquire() as connection:
                upload = await uploads.fetch_upload(connection, upload_id)
                if upload is None or upload.finished_at is not None:
                    return None
                if await uploads.has_earlier_undecided(connection, upload_id, self._twins_within):
                    # The outcome of the earlier one is this one's too, or puts it on the queue again.
                    log.info("verdict_waits_for_twin", campaign_id=upload.campaign_id)
                    return None
                if not await uploads.begin_attempt(connection, upload_id):
                    return None
                if upload.attempts == 0:
                    metrics.QUEUE_SECONDS.observe((datetime.now(UTC) - upload.received_at).total_seconds())
                return await uploads.fetch_upload(connection, upload_id)

    async def _judge_and_store(self, upload: Upload, log: structlog.stdlib.BoundLogger) -> None:
        reach("verdict.begun")
        if await self._repeat_twin(upload, log):
            return
        async with self._verdicts.turn() as judging:
            await self._store.fetch(upload.object_key or "", judging.source)
            if (await asyncio.to_thread(sha256_of, judging.source)).hex() != upload.sha256:
                raise StoreUnavailable("the object store gives back other bytes than were stored")
            reach("verdict.fetched")
            with database_troubles():
                async with self._pool.acquire() as connection:
                    campaign = await fetch_known_campaign(connection, upload.campaign_id)
            rules = self._rules_of(campaign.template)
            with metrics.VALIDATION_SECONDS.time():
                verdict = await judging.judge(rules)
            reach("verdict.judged")
            for file in (judging.messages, judging.report):
                file.seek(0)
            judged = Judged(verdict, new_identifier("batch"), rules.frame(), judging.messages, judging.report)
            with metrics.STORING_SECONDS.time():
                if verdict.valid:
                    await self._store_accepted(upload, judged, log)
                else:
                    await self._store_rejected(upload, judged, log)

    async def _repeat_twin(self, upload: Upload, log: structlog.stdlib.BoundLogger) -> bool:
        """Accept the upload with the batch of the same content, if there is one. Returns whether there was."""
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await uploads.lock_undecided(connection, upload):
                    return True
                if not await self._accept_as_twin(connection, upload, log):
                    return False
                await self._accept_waiting(connection, upload, log)
        await self._settle_late(upload, lambda connection: self._accept_waiting(connection, upload, log))
        return True

    async def _accept_as_twin(
        self, connection: Connection, upload: Upload, log: structlog.stdlib.BoundLogger
    ) -> bool:
        twin = await uploads.fetch_accepted_twin(connection, upload.id, self._twins_within)
        if twin is None:
            return False
        number = await uploads.record_accepted(
            connection,
            upload.id,
            batch_id=twin.batch_id,
            total_messages=twin.total_messages,
            duplicate_of=twin.upload_id,
            has_unicode=False,
        )
        await record_notification(connection, upload.id, number, Accepted(twin.batch_id))
        await self._record_outcome(
            connection, upload, {"outcome": "duplicate", "batchId": twin.batch_id, "of": twin.upload_id}
        )
        metrics.UPLOADS_DECIDED.labels("duplicate").inc()
        log.info("upload_decided", outcome="duplicate", batch_id=twin.batch_id, duplicate_of=twin.upload_id)
        return True

    async def _accept_waiting(
        self, connection: Connection, upload: Upload, log: structlog.stdlib.BoundLogger
    ) -> int:
        """Give those that wait for this upload the batch that it has. Returns how many waited."""
        waiting = await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within)
        for twin in waiting:
            await self._accept_as_twin(connection, twin, log.bind(upload_id=twin.id))
        return len(waiting)

    async def _reject_waiting(
        self,
        connection: Connection,
        upload: Upload,
        rejected: Rejected,
        log: structlog.stdlib.BoundLogger,
    ) -> int:
        """Give those that wait for this upload the same rejection, with the same report. Returns how many waited."""
        waiting = await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within)
        for twin in waiting:
            await self._reject(connection, twin, rejected)
            log.info("upload_decided", upload_id=twin.id, outcome="rejected", same_as=upload.id)
        return len(waiting)

    async def _requeue_waiting(self, connection: Connection, upload: Upload) -> None:
        """This upload's failure is its own: the first of those that wait for it is judged in its place."""
        for twin in (await uploads.fetch_waiting_twins(connection, upload.id, self._twins_within))[:1]:
            await enqueue_verdict(connection, twin.id, twin.campaign_id)

    async def _settle_late(self, upload: Upload, settle: Callable[[Connection], Awaitable[int]]) -> None:
        """Settle those that saw this upload undecided while its outcome was being committed.

        Others may see these undecided meanwhile, and wait for them: so it goes on until nobody is found waiting.
        """
        settled = True
        while settled:
            with database_troubles():
                async with self._pool.acquire() as connection, connection.transaction():
                    await uploads.lock_content(connection, upload)
                    settled = bool(await settle(connection))

    async def _store_accepted(
        self, upload: Upload, judged: Judged, log: structlog.stdlib.BoundLogger
    ) -> None:
        """Write batch, messages, hand-over, outcome and notification in one transaction."""
        total = judged.verdict.total_messages
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await uploads.lock_undecided(connection, upload):
                    return
                if await self._accept_as_twin(connection, upload, log):
                    await self._accept_waiting(connection, upload, log)
                    return
                await create_batch(
                    connection,
                    batch_id=judged.batch_id,
                    campaign_id=upload.campaign_id,
                    upload_id=upload.id,
                    file_name=upload.file_name,
                    frame=judged.frame.document(),
                    messages=judged.messages,
                    columns=MESSAGE_COLUMNS,
                    total_messages=total,
                )
                reach("verdict.copied")
                number = await uploads.record_accepted(
                    connection,
                    upload.id,
                    batch_id=judged.batch_id,
                    total_messages=total,
                    duplicate_of=None,
                    has_unicode=judged.verdict.has_unicode,
                )
                await record_notification(connection, upload.id, number, Accepted(judged.batch_id))
                await self._record_outcome(
                    connection,
                    upload,
                    {"outcome": "accepted", "batchId": judged.batch_id, "messages": total},
                )
                await self._accept_waiting(connection, upload, log)
        reach("verdict.committed")
        await self._settle_late(upload, lambda connection: self._accept_waiting(connection, upload, log))
        metrics.UPLOADS_DECIDED.labels("accepted").inc()
        metrics.MESSAGES_CREATED.inc(total)
        log.info("upload_decided", outcome="accepted", batch_id=judged.batch_id, messages=total)

    async def _store_rejected(
        self, upload: Upload, judged: Judged, log: structlog.stdlib.BoundLogger
    ) -> None:
        """Put the report, under the name drawn at receipt; then write outcome and notification in one transaction."""
        verdict = judged.verdict
        key = None
        if verdict.report_written:
            key = report_key(upload.campaign_id, upload.report_name)
            await self._store.put(key, judged.report, download_name="validation-report.csv")
            reach("verdict.report_stored")
        rejected = Rejected(
            report_key=key,
            num_rows=verdict.num_rows,
            num_errors=verdict.num_errors,
            has_avoidable=verdict.has_avoidable,
            has_unicode=verdict.has_unicode,
            error_reason=verdict.error_reason,
        )
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await uploads.lock_undecided(connection, upload):
                    return
                await self._reject(connection, upload, rejected)
                await self._reject_waiting(connection, upload, rejected, log)
        reach("verdict.committed")
        log.info("upload_decided", outcome="rejected", rows=verdict.num_rows, errors=verdict.num_errors)
        await self._settle_late(
            upload, lambda connection: self._reject_waiting(connection, upload, rejected, log)
        )

    async def _reject(self, connection: Connection, upload: Upload, rejected: Rejected) -> None:
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
        details = {"outcome": "rejected", "rows": rejected.num_rows, "errors": rejected.num_errors}
        await self._record_outcome(connection, upload, details)
        metrics.UPLOADS_DECIDED.labels("rejected").inc()

    async def _retry_or_fail(self, upload: Upload, cause: str, log: structlog.stdlib.BoundLogger) -> None:
        """Put the job back with a doubling delay, or give the upload the outcome `failed` when its time is over."""
        if not self._is_over(upload):
            delay = retry_delay(self._settings, upload.attempts)
            metrics.RETRIES.inc()
            log.warning("verdict_delayed", reason=cause, seconds=delay.total_seconds())
            raise TryAgain(delay, cause)
        await self._fail(upload, cause, log)

    def _is_over(self, upload: Upload) -> bool:
        """Whether both time and attempts are used up: an hour in which no worker ran held no attempts."""
        since = upload.deciding_since or upload.received_at
        is_late = datetime.now(UTC) - since >= timedelta(seconds=self._settings.retry_for)
        return is_late and upload.attempts >= most_attempts(self._settings)

    async def _fail(self, upload: Upload, cause: str, log: structlog.stdlib.BoundLogger) -> None:
        """Give the upload the outcome `failed`: the service is at fault. `cause` is a fixed text."""
        support_id = f"S-{secrets.token_hex(6).upper()}"
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if not await uploads.lock_undecided(connection, upload):
                    return
                number = await uploads.record_failed(connection, upload.id, support_id)
                await record_notification(connection, upload.id, number, Failed(support_id))
                await record_event(
                    connection,
                    AuditEvent.UPLOAD_FAILED,
                    campaign_id=upload.campaign_id,
                    upload_id=upload.id,
                    details={"supportId": support_id, "attempts": upload.attempts, "reason": cause},
                )
                await self._requeue_waiting(connection, upload)
        metrics.UPLOADS_DECIDED.labels("failed").inc()
        log.error("upload_failed", support_id=support_id, reason=cause)

    async def _record_outcome(
        self, connection: Connection, upload: Upload, details: Mapping[str, object]
    ) -> None:
        await record_event(
            connection,
            AuditEvent.UPLOAD_DECIDED,
            campaign_id=upload.campaign_id,
            upload_id=upload.id,
            details=details,
        )


def retry_delay(settings: WorkerSettings, attempts: int) -> timedelta:
    """How long to wait after that many attempts, from 1: `retry_first` seconds, doubling to half an hour."""
    delay: timedelta = timedelta(seconds=settings.retry_first) * 2 ** min(attempts - 1, 12)
    return min(delay, _LONGEST_DELAY)


def most_attempts(settings: WorkerSettings) -> int:
    """How many attempts there are within `retry_for` seconds when each comes to an end of its own."""
    attempts, waited = 1, timedelta(0)
    while waited < timedelta(seconds=settings.retry_for):
        waited += retry_delay(settings, attempts)
        attempts += 1
    return attempts


def verdict_limits(settings: WorkerSettings) -> VerdictLimits:
    """What one verdict may take."""
    return VerdictLimits(
        settings.verdict_memory_mb,
        settings.verdict_output_mb,
        settings.verdict_processor_seconds,
        settings.verdict_seconds,
    )
