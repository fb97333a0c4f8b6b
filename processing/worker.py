"""A worker process: verdicts and notifications, each with a queue and a connection of its own, and the sweeper."""

import asyncio
import functools
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from config.errors import ConfigError
from config.logs import get_logger
from config.settings import Settings
from database.connections import Pool, database_troubles
from database.job_queue import (
    Handler,
    JobKind,
    RunningJob,
    release_jobs_of_dead,
    run_jobs,
)
from notifications.job import NotificationJob, sweep_notifications
from notifications.mailer import Mailer
from processing import metrics
from processing.errors import ProcessingError
from processing.job import VerdictJob
from processing.object_store import ObjectStore
from processing.queue_entries import SUMMARY_ENTRYPOINT, sweep_uploads
from processing.refusal_summary import send_refusal_summary
from processing.retention import remove_expired
from processing.rule_settings import make_rules

logger = get_logger("processing")

# An upload or notification younger than this may be between its commit and its job's start.
_SWEPT_WHEN_OLDER: Final = timedelta(seconds=10)
_RETENTION_INTERVAL: Final = timedelta(hours=1)
# The exit status that tells the supervisor: jobs were left to others (EX_TEMPFAIL).
DRAIN_TIMED_OUT: Final = 75


async def run_worker(
    settings: Settings,
    pool: Pool,
    store: ObjectStore,
    mailer: Mailer,
    *,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Work until `stop` is set; then finish the jobs begun, within `drain_timeout`.

    At the deadline the process ends hard: its jobs are taken over by others, while a cancelled job would be forgotten.
    `ready` is called once, when both queues are listening.
    """
    verdicts = VerdictJob(
        pool,
        store,
        settings.worker,
        lambda template: make_rules(template, settings.environment, settings.messages),
    )
    notifications = NotificationJob(pool, mailer, store, settings.smtp)
    worker = settings.worker
    waiting = _Countdown(2, ready)
    summary = functools.partial(_sum_up, pool)
    queues: list[tuple[JobKind, Handler, Callable[[], None]]] = [
        (verdicts.kind(), verdicts, waiting.one_less),
        (
            notifications.kind(worker.concurrent_notifications, worker.heartbeat_timeout),
            notifications,
            waiting.one_less,
        ),
        (JobKind(SUMMARY_ENTRYPOINT, 2, worker.heartbeat_timeout), summary, lambda: None),
    ]
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(run_jobs(settings.database, kind, handler, stop=stop, connected=connected))
            for kind, handler, connected in queues
        ]
        tasks.create_task(_every(timedelta(seconds=worker.sweep_interval), stop, lambda: _sweep(pool)))
        tasks.create_task(
            _every(_RETENTION_INTERVAL, stop, lambda: remove_expired(pool, store, settings.retention))
        )
        await stop.wait()
        _, late = await asyncio.wait(running, timeout=worker.drain_timeout)
        if late:
            logger.warning("drain_timed_out")
            os._exit(DRAIN_TIMED_OUT)


class _Countdown:
    """Calls `done` once, when it was counted down."""

    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._count = count
        self._done = done

    def one_less(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._done()


async def _sum_up(pool: Pool, job: RunningJob) -> None:
    with database_troubles():
        async with pool.acquire() as connection, connection.transaction():
            await send_refusal_summary(connection, job.subject_id)


async def _sweep(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        released = await release_jobs_of_dead(connection)
        if released:
            logger.warning("jobs_released", count=released)
        for kind, count in (
            ("upload", await sweep_uploads(connection, _SWEPT_WHEN_OLDER)),
            ("notice", await sweep_notifications(connection, _SWEPT_WHEN_OLDER)),
        ):
            if count:
                metrics.SWEPT.labels(kind).inc(count)
                logger.warning("jobs_swept", kind=kind, count=count)


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
