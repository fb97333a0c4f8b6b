"""The job of a message log that is made in the background.

It writes a temporary file without a name, puts that into the bucket, and then says in its row that it is there. The object's key
is the export's own, so that a job that is done twice, after a crash or by two workers, leaves one object and is told once.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from campaigns.campaigns import fetch_known_campaign
from config.environment import Environment
from config.fault_points import reach
from config.logs import get_logger
from config.sections import BillingSettings
from database.connections import Pool, database_troubles
from database.errors import ServiceUnreachable
from database.job_queue import JobKind, RunningJob, TryAgain
from messages.errors import MessagesArchived
from messages.logs.rows import LogQuery
from processing import metrics
from processing.errors import TemporaryTrouble
from processing.exports.exports import (
    ENTRYPOINT,
    Export,
    fetch_export,
    record_failed,
    record_finished,
    record_progress,
)
from processing.exports.logs import query_of, write_log
from processing.object_store import ObjectStore, export_key

logger = get_logger("processing")

# What S3 takes in one piece.
MOST_BYTES: Final = 5_000_000_000
TOO_LARGE: Final = "The file would be larger than 5 GB: ask for fewer days."
FAILED: Final = "The file could not be made, which is our fault: ask for it again, and tell the operators if it happens again."
ARCHIVED: Final = (
    "Messages of these days are archived: ask for later days, or ask the operators to restore {archive}."
)
AWAY: Final = "The service was disturbed for too long: ask for the file again."
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=1)
# Whatever is tried, somebody is told an end after so long.
_RETRY_FOR: Final = timedelta(hours=6)


class _TooLarge(Exception):  # noqa: N818 - a fact, read as one
    """There is more than the bucket takes."""


class ExportJob:
    """Makes files of message logs, one at a time: whoever waits for one has been told that it takes its time."""

    def __init__(
        self,
        pool: Pool,
        store: ObjectStore,
        billing: BillingSettings,
        environment: Environment,
        *,
        kept_for: timedelta,
        is_stopping: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._store = store
        self._billing = billing
        self._environment = environment
        self._kept_for = kept_for
        self._is_stopping = is_stopping

    def kind(self, heartbeat_timeout: float) -> JobKind:
        """How the queue runs this job."""
        return JobKind(ENTRYPOINT, 1, heartbeat_timeout, is_urgent=False)

    async def __call__(self, job: RunningJob) -> None:
        """Make the file, unless it is there or its time is over. Raises TryAgain for temporary trouble, for some hours."""
        log = logger.bind(export_id=job.subject_id)
        with database_troubles():
            async with self._pool.acquire() as connection:
                export = await fetch_export(connection, job.subject_id)
        if export is None or export.finished_at is not None:
            return
        log = log.bind(campaign_id=export.campaign_id)
        if job.is_given_up:
            await self._fail(export, FAILED, "given_up")
            return
        try:
            with database_troubles():
                await self._make(export)
            return
        except TryAgain:
            raise
        except (TemporaryTrouble, ServiceUnreachable) as error:
            reason = str(error)
            if datetime.now(UTC) - export.requested_at >= _RETRY_FOR:
                await self._fail(export, AWAY, "away")
                return
        except MessagesArchived as archived:
            await self._fail(export, ARCHIVED.format(archive=archived.archive), "archived")
            return
        except _TooLarge:
            await self._fail(export, TOO_LARGE, "too_large")
            return
        except Exception:
            # Its text may hold a row, so only kind and place are logged.
            log.exception("export_crashed")
            await self._fail(export, FAILED, "crashed")
            return
        pause = min(_FIRST_PAUSE * 2 ** min(job.attempts, 5), _LONGEST_PAUSE)
        log.warning("export_delayed", reason=reason, seconds=pause.total_seconds())
        raise TryAgain(pause, reason)

    async def _make(self, export: Export) -> None:
        reach("export.begun")
        query = await self._query_of(export)
        if query is None:
            await self._fail(export, FAILED, "gone")
            return
        key = export_key(export.campaign_id, export.id, export.request.form.value)
        rows = 0
        with tempfile.TemporaryFile() as target:
            async with aclosing(
                write_log(self._pool.acquire, query, target, export.request.form)
            ) as progress:
                async for rows in progress:
                    if self._is_stopping():
                        raise TryAgain(timedelta(0), "this worker stops")
                    if target.tell() > MOST_BYTES:
                        raise _TooLarge
                    async with self._pool.acquire() as connection:
                        await record_progress(connection, export.id, rows)
            byte_count = target.seek(0, os.SEEK_END)
            if byte_count > MOST_BYTES:
                raise _TooLarge
            reach("export.written")
            await self._store.put(key, target, download_name=key)
        reach("export.stored")
        async with self._pool.acquire() as connection:
            is_first = await record_finished(
                connection,
                export.id,
                rows=rows,
                object_key=key,
                byte_count=byte_count,
                kept_for=self._kept_for,
            )
        reach("export.committed")
        if is_first:
            metrics.LOG_EXPORTS.labels("finished").inc()
            logger.info(
                "export_finished", export_id=export.id, campaign_id=export.campaign_id, rows=rows, bytes=byte_count
            )  # fmt: skip

    async def _query_of(self, export: Export) -> LogQuery | None:
        async with self._pool.acquire() as connection:
            campaign = await fetch_known_campaign(connection, export.campaign_id)
            return await query_of(connection, campaign, export.request, self._billing, self._environment)

    async def _fail(self, export: Export, error: str, reason: str) -> None:
        with database_troubles():
            async with self._pool.acquire() as connection:
                is_first = await record_failed(connection, export.id, error)
        if is_first:
            metrics.LOG_EXPORTS.labels("failed").inc()
            logger.error("export_failed", export_id=export.id, campaign_id=export.campaign_id, reason=reason)
