"""The job of this room: one upload, one outcome. Fetch, judge, store; safe to run twice, or in two workers at once.

An outcome is stored only once (`processing.outcomes`). All that comes before (a fetched object, a report in the bucket
under its own name) may be repeated without a trace.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Final

import structlog

from campaigns.campaigns import fetch_known_campaign
from config.fault_points import reach
from config.identifiers import identifier_of
from config.logs import get_logger
from config.sections import WorkerSettings
from database.connections import Connection, Pool, database_troubles
from database.errors import ServiceUnreachable
from database.job_queue import JobKind, RunningJob, TryAgain, release_dedupe_key
from notifications.notifications import Rejected
from processing import metrics, uploads
from processing.errors import StoreUnavailable, TemporaryTrouble, VerdictExceeded
from processing.object_store import ObjectStore, report_key, sha256_of
from processing.outcomes import NewBatch, Outcomes
from processing.reconcile.holds import hold_if_decided_before
from processing.reconcile.outcome_marks import mark_accepted, mark_failed, mark_rejected
from processing.uploads import Source, Upload
from processing.verdicts.process import VerdictLimits, VerdictProcesses
from processing.verdicts.queueing import ENTRYPOINT
from processing.verdicts.terms import Rules, Verdict
from rules.templates import Template

logger = get_logger("processing")

_LONGEST_DELAY: Final = timedelta(minutes=30)
# A template has some kilobytes.
_RULES_KEPT: Final = 500
# Bytes: a tenth of a millisecond.
_DIGESTED_AT_ONCE: Final = 128 * 1024


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, the rules that it was reached by, and its child's turn: `messages` and `report` are read there."""

    verdict: Verdict
    rules: Rules
    messages: BinaryIO
    report: BinaryIO


class Judge:
    """Fetches uploads from the bucket and has them judged. What becomes of the verdict is each job's own."""

    def __init__(
        self,
        pool: Pool,
        store: ObjectStore,
        rules_of: Callable[[Template], Rules],
        verdicts: VerdictProcesses,
    ) -> None:
        self._pool = pool
        self._store = store
        self._rules_of = rules_of
        self._verdicts = verdicts
        self._kept: OrderedDict[str, Rules] = OrderedDict()

    @asynccontextmanager
    async def judged(
        self, upload: Upload, sha256: str | None, *, most_findings: int = 0, with_counts: bool = False
    ) -> AsyncIterator[Judged]:
        """The verdict on the upload, whose original has this SHA-256, with its files until the end of the block."""
        async with self._verdicts.turn() as judging:
            await self._store.fetch(upload.object_key or "", judging.source)
            if (await _digest(judging.source)).hex() != sha256:
                raise StoreUnavailable("the object store gives back other bytes than were stored")
            reach("verdict.fetched")
            rules = await self._rules(upload.campaign_id)
            with metrics.VALIDATION_SECONDS.time():
                verdict = await judging.judge(rules, most_findings=most_findings, with_counts=with_counts)
            reach("verdict.judged")
            for file in (judging.messages, judging.report):
                file.seek(0)
            with metrics.STORING_SECONDS.time():
                yield Judged(verdict, rules, judging.messages, judging.report)

    async def _rules(self, campaign_id: str) -> Rules:
        """The rules for a campaign's uploads. They never change, as a campaign's template is never edited."""
        rules = self._kept.get(campaign_id)
        if rules is None:
            with database_troubles():
                async with self._pool.acquire() as connection:
                    campaign = await fetch_known_campaign(connection, campaign_id)
            rules = self._kept[campaign_id] = self._rules_of(campaign.template)
            if len(self._kept) > _RULES_KEPT:
                self._kept.popitem(last=False)
        return rules

    async def put_report(self, upload: Upload, judged: Judged) -> Rejected:
        """Put the report, if there is one, under the name drawn at receipt. Returns what the sender is told."""
        key, verdict = None, judged.verdict
        if verdict.report_written:
            key = report_key(upload.campaign_id, upload.report_name)
            await self._store.put(key, judged.report, download_name="validation-report.csv")
            reach("verdict.report_stored")
        return Rejected(
            report_key=key,
            num_rows=verdict.num_rows,
            num_errors=verdict.num_errors,
            has_avoidable=verdict.has_avoidable,
            has_unicode=verdict.has_unicode,
            error_reason=verdict.error_reason,
        )


async def _digest(fetched: BinaryIO) -> bytes:
    """The SHA-256 of a file that has just been written, in a thread where that takes longer than to get to one."""
    if fetched.tell() <= _DIGESTED_AT_ONCE:
        return sha256_of(fetched)
    return await asyncio.to_thread(sha256_of, fetched)


def new_batch(upload: Upload, judged: Judged) -> NewBatch:
    """What the upload becomes, where its verdict is that it is valid.

    An upload has one batch at most, and its id follows from the upload's: judged again after a restore, it gets the same one.
    """
    verdict = judged.verdict
    return NewBatch(
        identifier_of("batch", upload.id),
        judged.rules.frame(),
        judged.messages,
        verdict.total_messages,
        verdict.has_unicode,
    )


class VerdictJob:
    """Judges uploads of SFTP and stores their outcomes."""

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
        self._twins_within = timedelta(hours=settings.duplicate_hours)
        self._outcomes = Outcomes(pool, self._twins_within)

    def kind(self) -> JobKind:
        """How the queue runs this job."""
        return JobKind(ENTRYPOINT, self._settings.concurrent_verdicts, self._settings.heartbeat_timeout)

    async def __call__(self, job: RunningJob) -> None:
        """Give the upload named by the job its outcome.

        Raises TryAgain for temporary trouble until `retry_for` has passed: then the outcome is `failed`.
        """
        log = logger.bind(upload_id=job.subject_id)
        begun = await self._begin(job, log)
        if begun is None:
            return
        upload, has_accepted_twin = begun
        log = log.bind(
            campaign_id=upload.campaign_id, connection_id=upload.connection_id, attempt=upload.attempts
        )
        if job.is_given_up or (self._is_over(upload) and upload.attempts > most_attempts(self._settings)):
            # No attempt came to an end of its own, so this upload kills its workers.
            await self._fail(upload, "every attempt was cut short", log)
            return
        try:
            reach("verdict.begun")
            if await hold_if_decided_before(self._pool, self._store, upload):
                return
            # Whoever accepts asks once more, under the lock of the content.
            if not (has_accepted_twin and await self._outcomes.repeat_twin(upload, log)):
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

    async def _begin(self, job: RunningJob, log: structlog.stdlib.BoundLogger) -> tuple[Upload, bool] | None:
        """Count the attempt. Returns the upload, and whether it has an accepted twin; or None where there is nothing to judge."""
        upload_id = job.subject_id
        with database_troubles():
            async with self._pool.acquire() as connection:
                while True:
                    begun = await uploads.begin_first_of_twins(connection, upload_id, self._twins_within)
                    if begun is not None:
                        upload, _ = begun
                        if upload.attempts == 1:
                            waited = datetime.now(UTC) - upload.received_at
                            metrics.QUEUE_SECONDS.observe(waited.total_seconds())
                        return begun
                    waiting = await uploads.fetch_upload(connection, upload_id)
                    if (
                        waiting is None
                        or waiting.finished_at is not None
                        or waiting.source is not Source.SFTP
                    ):
                        # A worker of the release before may enqueue those of another source, which have a job of their own.
                        return None
                    if await self._waits_for_twin(connection, upload_id):
                        log.info("verdict_waits_for_twin", campaign_id=waiting.campaign_id)
                        return None

    async def _waits_for_twin(self, connection: Connection, upload_id: str) -> bool:
        """Whether the outcome of an earlier upload is this one's too, or puts it on the queue again.

        Before this job ends for that, the queue may take another one for the upload. An earlier upload that ended before it
        might found this job running and added none, which the second look finds out.
        """
        if not await uploads.has_earlier_undecided(connection, upload_id, self._twins_within):
            return False
        await release_dedupe_key(connection, ENTRYPOINT, upload_id)
        return await uploads.has_earlier_undecided(connection, upload_id, self._twins_within)

    async def _judge_and_store(self, upload: Upload, log: structlog.stdlib.BoundLogger) -> None:
        async with self._judge.judged(upload, upload.sha256) as judged:
            if judged.verdict.valid:
                batch = new_batch(upload, judged)
                await mark_accepted(self._store, upload, batch)
                await self._outcomes.accept(upload, batch, log)
            else:
                rejected = await self._judge.put_report(upload, judged)
                await mark_rejected(self._store, upload, rejected)
                await self._outcomes.reject(upload, rejected, log)

    async def _fail(self, upload: Upload, cause: str, log: structlog.stdlib.BoundLogger) -> None:
        await mark_failed(self._store, upload)
        await self._outcomes.fail(upload, cause, log)

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
