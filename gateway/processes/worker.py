"""Composition root of a worker process: the rooms' jobs, each with a queue and a connection of its own, and the sweeps."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from billing.closing import close_due_months
from billing.recount import recount_tonights
from billing.terms import terms_of
from config.errors import ConfigError
from config.logs import get_logger
from config.settings import Settings
from database.connections import Pool, database_troubles, open_pool
from database.held_jobs import give_up_held
from database.job_queue import Handler, JobKind, release_jobs_of_dead, run_jobs
from database.ranges import INTERVAL as RANGES_INTERVAL
from database.ranges import add_ranges
from gateway.processes.child_main import Inheritance, run_child
from gateway.processes.parts import WORKER
from notifications.job import NotificationJob, sweep_notifications
from notifications.mailer import Mailer, SMTPMailer
from processing import metrics
from processing.archives.archives import empty_unfinished, is_night
from processing.archives.kinds import Kind
from processing.archives.ranges import Terms
from processing.awaited.job import AwaitedVerdictJob
from processing.awaited.sweep import sweep_awaited
from processing.checked.job import CheckJob
from processing.checked.sweep import sweep_checked
from processing.errors import ProcessingError
from processing.exports.job import ExportJob
from processing.exports.sweep import sweep_exports
from processing.job import VerdictJob, verdict_limits
from processing.object_store import ObjectStore, open_store
from processing.refusals import RefusalSummaryJob, sweep_summaries
from processing.retention import remove_expired, remove_superseded
from processing.rule_settings import make_rules
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import VERDICT_ENTRYPOINTS, sweep_uploads
from processing.verdicts.terms import Rules
from rules.templates import Template

logger = get_logger("gateway")

# An upload or notification younger than this may be between its commit and its job's start.
_SWEPT_WHEN_OLDER: Final = timedelta(seconds=10)
_RETENTION_INTERVAL: Final = timedelta(hours=1)
_POSTING_INTERVAL: Final = timedelta(minutes=10)
# How often it is asked whether a campaign's usage was recounted tonight.
_RECOUNT_INTERVAL: Final = timedelta(minutes=10)
# Seconds. A worker that can't judge at once is one all the same, if a slow one.
_WARM_UP_WITHIN: Final = 5.0
# The exit status that tells the supervisor: jobs were left to others (EX_TEMPFAIL).
_DRAIN_TIMED_OUT: Final = 75


async def worker(
    settings: Settings,
    inherited: Inheritance,  # noqa: ARG001 - a worker inherits no sockets
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Judge uploads and send e-mails until `stop`, then finish what is begun. Raises ConfigError where it can't start."""
    async with AsyncExitStack() as stack:
        # First, as they load their libraries while this process goes on.
        processes = VerdictProcesses(verdict_limits(settings.worker), settings.worker.concurrent_verdicts)
        await stack.enter_async_context(processes)
        pool = await stack.enter_async_context(
            open_pool(settings.database, name="worker", command_timeout=60)
        )
        store = await stack.enter_async_context(open_store(settings.s3))

        def rules_of(template: Template) -> Rules:
            return make_rules(template, settings.environment, settings.messages)

        verdicts = (
            VerdictJob(pool, store, settings.worker, rules_of, processes),
            AwaitedVerdictJob(pool, store, settings.worker, rules_of, processes),
            CheckJob(pool, store, settings.worker, rules_of, processes),
        )
        mailer = SMTPMailer(settings.smtp)
        # An upload that this worker takes is one that no other worker takes meanwhile.
        await processes.warm_up(_WARM_UP_WITHIN)
        await _run_jobs_and_sweeps(settings, pool, store, verdicts, mailer, stop=stop, ready=ready)


async def _run_jobs_and_sweeps(
    settings: Settings,
    pool: Pool,
    store: ObjectStore,
    verdicts: tuple[VerdictJob, AwaitedVerdictJob, CheckJob],
    mailer: Mailer,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Work until `stop` is set; then finish the jobs begun, within `drain_timeout`.

    At the deadline the process ends hard: its jobs are taken over by others, while a cancelled job would be forgotten.
    `ready` is called once, when the queues of verdicts and of notifications are listening.
    """
    timing = settings.worker
    notifications = NotificationJob(pool, mailer, store, settings.smtp)
    summaries = RefusalSummaryJob(pool)
    exports = ExportJob(
        pool, store, settings.billing, settings.environment,
        kept_for=timedelta(days=settings.retention.log_exports_days), is_stopping=stop.is_set,
    )  # fmt: skip
    twins_within = timedelta(hours=timing.duplicate_hours)
    listening = _Countdown(len(verdicts) + 1, ready)
    queues: list[tuple[JobKind, Handler, Callable[[], None]]] = [
        *((verdict.kind(), verdict, listening.one_less) for verdict in verdicts),
        (
            notifications.kind(timing.concurrent_notifications, timing.heartbeat_timeout),
            notifications,
            listening.one_less,
        ),
        (summaries.kind(timing.heartbeat_timeout), summaries, lambda: None),
        (exports.kind(timing.heartbeat_timeout), exports, lambda: None),
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(
                run_jobs(
                    settings.database,
                    kind,
                    handler,
                    stop=stop,
                    connected=connected,
                    most_crashes=timing.max_job_crashes,
                )
            )
            for kind, handler, connected in queues
        ]
        sweep_interval = timedelta(seconds=timing.sweep_interval)
        held_for = timedelta(seconds=timing.retry_for)
        tasks.create_task(_every(sweep_interval, stop, lambda: _sweep(pool, twins_within, held_for)))
        tasks.create_task(_every(sweep_interval, stop, lambda: remove_superseded(pool, store)))
        checked_life = timedelta(seconds=settings.console.checked_life)
        tasks.create_task(_every(sweep_interval, stop, lambda: _sweep_checked(pool, store, checked_life)))
        tasks.create_task(
            _every(_RETENTION_INTERVAL, stop, lambda: remove_expired(pool, store, settings.retention))
        )
        tasks.create_task(_every(_RETENTION_INTERVAL, stop, lambda: empty_unfinished(pool)))
        retention = settings.retention
        months_of = {
            Kind.MESSAGES: retention.archive_after_months,
            Kind.AUDIT_EVENTS: retention.archive_audit_after_months,
        }
        archived_after = {kind: months for kind, months in months_of.items() if months is not None}
        if archived_after:
            archiving = partial(_archive_old, pool, store, settings, archived_after, stop)
            tasks.create_task(_every(_RETENTION_INTERVAL, stop, archiving))
        terms = terms_of(settings.environment, settings.billing)
        tasks.create_task(
            _every(_POSTING_INTERVAL, stop, lambda: close_due_months(pool, terms, now=datetime.now(UTC)))
        )
        ranges_interval = timedelta(seconds=RANGES_INTERVAL)
        tasks.create_task(_every(ranges_interval, stop, lambda: add_ranges(pool)))
        tasks.create_task(_every(_RECOUNT_INTERVAL, stop, lambda: _recount_usage(pool)))
        await stop.wait()
        _, late = await asyncio.wait(running, timeout=timing.drain_timeout)
        if late:
            logger.warning("drain_timed_out")
            os._exit(_DRAIN_TIMED_OUT)


async def _recount_usage(pool: Pool) -> None:
    await recount_tonights(pool, now=datetime.now(UTC))


async def _archive_old(
    pool: Pool, store: ObjectStore, settings: Settings, after: Mapping[Kind, int], stop: asyncio.Event
) -> None:
    now = datetime.now(UTC)
    if not is_night(now):
        return
    # With it comes polars, which nothing else of this process needs.
    from processing.archives.nightly import archive_old, month_before

    terms = {
        kind: Terms.of(settings.environment, settings.billing, month_before(months, now=now))
        for kind, months in after.items()
    }
    await archive_old(pool, store, terms, now=now, stop=stop)


class _Countdown:
    """Calls `done` once, when it has been counted down."""

    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._count = count
        self._done = done

    def one_less(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._done()


async def _sweep(pool: Pool, twins_within: timedelta, held_for: timedelta) -> None:
    """Free the jobs of dead processes, and give a job to whatever waits for an outcome or an e-mail and has none.

    A verdict that has been held for `held_for` is given up: its upload gets an outcome all the same.
    """
    async with pool.acquire() as connection, connection.transaction():
        released = await release_jobs_of_dead(connection)
        if released:
            logger.warning("jobs_released", count=released)
        for job in await give_up_held(connection, VERDICT_ENTRYPOINTS, held_for):
            logger.error("job_given_up", entrypoint=job.entrypoint, job_id=job.id, upload_id=job.subject_id)
        uploads = (
            await sweep_uploads(connection, _SWEPT_WHEN_OLDER, twins_within)
            + await sweep_awaited(connection, _SWEPT_WHEN_OLDER)
            + await sweep_summaries(connection)
        )
        for kind, count in (
            ("upload", uploads),
            ("notice", await sweep_notifications(connection, _SWEPT_WHEN_OLDER)),
            ("log", await sweep_exports(connection, _SWEPT_WHEN_OLDER)),
        ):
            if count:
                metrics.SWEPT.labels(kind).inc(count)
                logger.warning("jobs_swept", kind=kind, count=count)


async def _sweep_checked(pool: Pool, store: ObjectStore, life: timedelta) -> None:
    """Give a job to what the console's senders wait for, and forget what they don't send."""
    async with pool.acquire() as connection, connection.transaction():
        count, forgotten = await sweep_checked(connection, _SWEPT_WHEN_OLDER, life)
    if count:
        metrics.SWEPT.labels("upload").inc(count)
        logger.warning("jobs_swept", kind="upload", count=count)
    for key in forgotten:
        await store.delete(key)


async def _every(interval: timedelta, stop: asyncio.Event, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` now and at each interval until the stop. Trouble with a service is for the next time."""
    while not stop.is_set():
        started = datetime.now(UTC)
        try:
            with database_troubles():
                await work()
        except (ConfigError, ProcessingError) as error:
            logger.warning("periodic_work_postponed", reason=str(error))
        except Exception:
            logger.exception("periodic_work_crashed")
        rest = interval - (datetime.now(UTC) - started)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=max(rest.total_seconds(), 0.1))


def main() -> int:
    """The whole life of such a process, from its command line to its exit status (`begin`)."""
    return run_child(WORKER, worker)
