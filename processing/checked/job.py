"""The job of an upload of the console: its check, and later, once somebody has said that it is to be sent, its batch.

Both are the same verdict on the same bytes: what was good an hour ago may not be any more. The job is safe to run twice, or in
two workers at once, since whatever comes of it is stored under the upload's lock, by what the upload waits for then.
"""

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
from processing.checked import uploads as checked_uploads
from processing.checked.outcomes import CheckedOutcomes
from processing.errors import TemporaryTrouble, VerdictExceeded
from processing.job import Judge, most_attempts, new_batch
from processing.object_store import ObjectStore
from processing.reconcile.holds import hold_if_decided_before
from processing.reconcile.outcome_marks import mark_accepted
from processing.uploads import Source, Upload
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import CHECKED_ENTRYPOINT
from processing.verdicts.terms import Rules
from rules.templates import Template

logger = get_logger("processing")

# So many findings are kept beside the report, for the page that tells of them.
_MOST_FINDINGS: Final = 100
# The pauses between tries, while somebody looks at the page: doubling up to the last.
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=1), timedelta(seconds=30)
# Whatever is tried, somebody is told an end after so long.
_RETRY_FOR: Final = timedelta(hours=1)


class CheckJob:
    """Checks uploads of the console, and makes their batches."""

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
        self._outcomes = CheckedOutcomes(pool)

    def kind(self) -> JobKind:
        """How the queue runs this job. It shares the places for verdicts with uploads of SFTP: first come, first judged."""
        return JobKind(
            CHECKED_ENTRYPOINT, self._settings.concurrent_verdicts, self._settings.heartbeat_timeout
        )

    async def __call__(self, job: RunningJob) -> None:
        """Do for the upload what it waits for. Raises TryAgain for temporary trouble, for an hour."""
        log = logger.bind(upload_id=job.subject_id)
        upload = await self._begin(job.subject_id)
        if upload is None:
            return
        log = log.bind(campaign_id=upload.campaign_id, attempt=upload.attempts)
        if job.is_given_up or (self._is_over(upload) and upload.attempts > most_attempts(self._settings)):
            await self._outcomes.fail(upload, "every attempt was cut short", log)
            return
        try:
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
        pause = min(_FIRST_PAUSE * 2 ** min(upload.attempts - 1, 5), _LONGEST_PAUSE)
        metrics.RETRIES.inc()
        log.warning("verdict_delayed", reason=reason, seconds=pause.total_seconds())
        raise TryAgain(pause, reason)

    async def _begin(self, upload_id: str) -> Upload | None:
        """Fetch the upload and count the attempt. None where nothing is to be done about it, or no longer."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                upload = await uploads.fetch_upload(connection, upload_id)
                # One of the API is here after a restore, if ops have released it.
                if upload is None or upload.source is Source.SFTP:
                    return None
                return await checked_uploads.begin_attempt(connection, upload)

    async def _judge_and_store(self, upload: Upload, log: structlog.stdlib.BoundLogger) -> None:
        reach("verdict.begun")
        if await hold_if_decided_before(self._pool, self._store, upload):
            return
        judged_by = self._judge.judged(
            upload, upload.content_sha256, most_findings=_MOST_FINDINGS, with_counts=True
        )
        async with judged_by as judged:
            if judged.verdict.valid and judged.verdict.counts is not None:
                batch = new_batch(upload, judged)
                counts = judged.verdict.counts
                if not await self._outcomes.end_good(upload, counts, batch, log, may_send=False):
                    # Somebody has said that it is to be sent. The mark is there before anything of it is.
                    await mark_accepted(self._store, upload, batch)
                    await self._outcomes.end_good(upload, counts, batch, log, may_send=True)
                return
            rejected = await self._judge.put_report(upload, judged)
            await self._outcomes.reject(upload, rejected, judged.verdict.findings, log)

    def _is_over(self, upload: Upload) -> bool:
        """Whether it was tried for so long that whoever waits is to be told."""
        since = upload.deciding_since or upload.received_at
        return datetime.now(UTC) - since >= _RETRY_FOR
