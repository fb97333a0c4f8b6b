"""The job of an awaited upload: like `processing.job`, but in a hurry, as somebody waits, and only as long as somebody does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from config.fault_points import reach
from config.logs import get_logger
from config.sections import WorkerSettings
from database.connections import Pool, database_troubles
from database.errors import ServiceUnreachable
from database.job_queue import JobKind, RunningJob, TryAgain
from processing import metrics, uploads
from processing.awaited.outcomes import AwaitedOutcomes
from processing.errors import TemporaryTrouble, VerdictExceeded
from processing.job import Judge, new_batch
from processing.object_store import ObjectStore
from processing.reconcile.holds import hold_if_decided_before
from processing.reconcile.outcome_marks import mark_accepted, mark_withdrawn
from processing.uploads import Source, Upload, UploadStatus
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import AWAITED_ENTRYPOINT
from processing.verdicts.terms import Rules
from rules.templates import Template

logger = get_logger("processing")

# So many findings the answer names (8-api.md §2.5).
_MOST_FINDINGS: Final = 100
# The pause before another try, while the sender waits.
_SOON: Final = timedelta(seconds=1)


class AwaitedVerdictJob:
    """Judges uploads whose senders wait, and stores their outcomes."""

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
        self._judge = Judge(pool, store, rules_of, verdicts)
        self._outcomes = AwaitedOutcomes(pool)

    def kind(self) -> JobKind:
        """How the queue runs this job. It shares the places for verdicts with uploads of SFTP: first come, first judged."""
        return JobKind(
            AWAITED_ENTRYPOINT, self._settings.concurrent_verdicts, self._settings.heartbeat_timeout
        )

    async def __call__(self, job: RunningJob) -> None:
        """Give the upload named by the job its outcome, or withdraw it. Raises TryAgain for temporary trouble."""
        log = logger.bind(upload_id=job.subject_id)
        upload = await self._begin(job.subject_id)
        if upload is None:
            return
        log = log.bind(
            campaign_id=upload.campaign_id, connection_id=upload.connection_id, attempt=upload.attempts
        )
        try:
            if await hold_if_decided_before(self._pool, self._store, upload):
                return
            if await self._outcomes.withdraw_forsaken(upload, log):
                return
            if job.is_given_up:
                await self._outcomes.fail(upload, "every attempt was cut short", log)
                return
            await self._judge_and_store(upload, log)
            return
        except VerdictExceeded as excess:
            await self._outcomes.fail(upload, str(excess), log)
            return
        except (TemporaryTrouble, ServiceUnreachable) as error:
            reason = str(error)
        except Exception:
            # This is a bug of ours, or the object is gone. The text may hold a row, so only kind and place are logged.
            log.exception("verdict_crashed")
            await self._outcomes.fail(upload, "internal error", log)
            return
        metrics.RETRIES.inc()
        log.warning("verdict_delayed", reason=reason, seconds=_SOON.total_seconds())
        raise TryAgain(_SOON, reason)

    async def _begin(self, upload_id: str) -> Upload | None:
        """Fetch the upload and count the attempt. Returns None where there is nothing to judge, or no longer."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                upload = await uploads.fetch_upload(connection, upload_id)
                if upload is None or upload.finished_at is not None or upload.source is Source.SFTP:
                    return None
                begun = await uploads.begin_attempt(connection, upload)
                if begun is not None and upload.attempts == 0:
                    metrics.QUEUE_SECONDS.observe((datetime.now(UTC) - upload.received_at).total_seconds())
                return begun

    async def _judge_and_store(self, upload: Upload, log: structlog.stdlib.BoundLogger) -> None:
        reach("verdict.begun")
        judged_by = self._judge.judged(upload, upload.content_sha256, most_findings=_MOST_FINDINGS)
        async with judged_by as judged:
            if judged.verdict.valid:
                batch = new_batch(upload, judged)
                await mark_accepted(self._store, upload, batch)
                if not await self._outcomes.accept(upload, batch, log):
                    await self._unmark(upload)
                return
            rejected = await self._judge.put_report(upload, judged)
            # Signed here: the process that answers faces strangers, and has no key that could read a report.
            link = None if rejected.report_key is None else await self._store.sign_link(rejected.report_key)
            await self._outcomes.reject(
                upload, rejected, findings=judged.verdict.findings, report_link=link, log=log
            )

    async def _unmark(self, upload: Upload) -> None:
        """Say beside the original that it was withdrawn, where that is why it wasn't accepted."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                found = await uploads.fetch_upload(connection, upload.id)
        if found is not None and found.status is UploadStatus.WITHDRAWN:
            await mark_withdrawn(self._store, upload)
