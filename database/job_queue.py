"""PgQueuer, as this gateway uses it: jobs that carry one id, enqueued in the caller's transaction, run until a stop.

A job is retried only when its handler raises `TryAgain`. What it does must be safe to do twice: after a crash, or when
PostgreSQL restarts, the same job comes again. One that crashes again and again is held (`held_jobs.py`). A job lost all the same
is found by its room's sweeper.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn, cast

import asyncpg
from pgqueuer import Job, Queries, QueueManager, RetryRequested

from config.errors import ConfigError
from config.logs import describe_exception, get_logger
from config.sections import DatabaseSettings
from database.connections import UNREACHABLE, Connection, affected, connect
from database.errors import ServiceUnreachable
from database.metrics import JOB_CRASHES, JOBS_HELD
from database.queries import NamedQueries
from database.queue_wakes import ThriftyQueries, is_given_up

if TYPE_CHECKING:
    import structlog

SQL: Final = NamedQueries("database", "job_queue.sql")
logger = get_logger("database")

# How long a lost connection is waited for before it is opened anew, in seconds: doubling, at most the last.
_RECONNECT_FIRST, _RECONNECT_MOST = 0.2, 5.0
# New jobs are announced; a dead worker's are not. This much is added to `heartbeat_timeout` before one is taken over.
_POLL_SECONDS = 2.0
# A connection whose peer vanished without a word says nothing: after so many seconds without an answer it is given up.
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What a handler is given: the id it acts on, and how often the job was put back before.

    `is_given_up`: it was held for crashing, and nobody has seen to it in time. Its handler ends it without what it crashed at.
    """

    subject_id: str
    attempts: int
    is_given_up: bool = False


class TryAgain(Exception):  # noqa: N818 - an instruction to the queue
    """Put the job back, to run again after `delay`. `reason` is a fixed text: the queue stores it."""

    def __init__(self, delay: timedelta, reason: str) -> None:
        super().__init__(reason)
        self.delay = delay
        self.reason = reason


Handler = Callable[[RunningJob], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job and how it is run. `heartbeat_timeout`: seconds after which a dead worker's job is taken over.

    `is_urgent`: a new job is begun at once. Another one, for which nobody waits, begins within 2 s, and spares the database the
    question whether each new job of any kind is one of these.
    """

    entrypoint: str
    concurrency: int
    heartbeat_timeout: float
    is_urgent: bool = True


def dedupe_key(entrypoint: str, subject_id: str) -> str:
    """What a job is known by while it is queued or picked: at most one job for each subject of an entrypoint."""
    return f"{entrypoint} {subject_id}"


async def enqueue(
    connection: Connection,
    entrypoint: str,
    subject_id: str,
    *,
    priority: int = 0,
    delay: timedelta = timedelta(0),
) -> None:
    """Add a job in the caller's transaction. One that is queued or running for the same subject already is kept instead."""
    queries = Queries.from_asyncpg_connection(cast("asyncpg.Connection[asyncpg.Record]", connection))
    await queries.enqueue(
        entrypoint,
        subject_id.encode(),
        priority=priority,
        execute_after=delay,
        dedupe_key=dedupe_key(entrypoint, subject_id),
        on_conflict="skip",
    )


async def subjects_without_job(
    connection: Connection, entrypoint: str, subject_ids: Sequence[str]
) -> list[str]:
    """Those of `subject_ids` for which no job is queued or picked, in the order given: nothing would ever act on them."""
    keys = [dedupe_key(entrypoint, subject_id) for subject_id in subject_ids]
    rows = await connection.fetch(SQL["list_subjects_without_job"], list(subject_ids), keys)
    return [row["subject_id"] for row in rows]


async def release_dedupe_key(connection: Connection, entrypoint: str, subject_id: str) -> None:
    """Let another job be enqueued for the subject while one still runs for it. Called by that one, once it has nothing to do.

    The library forgets a job only some time after its handler's return: one enqueued meanwhile would be skipped, and nothing act
    on the subject.
    """
    await connection.execute(SQL["release_dedupe_key"], dedupe_key(entrypoint, subject_id))


async def release_jobs_of_dead(connection: Connection) -> int:
    """Let the jobs of processes that are gone be taken over now. Returns how many.

    Only sooner: where a dead process's connection isn't seen to be closed, as when its machine died, `heartbeat_timeout`
    decides. One that lost its connection and still runs is taken for dead too, which is safe, as for any job.
    """
    return affected(await connection.execute(SQL["release_jobs_of_dead"]))


async def remove_old_log(connection: Connection, older_than: timedelta) -> None:
    """Remove what the library wrote of jobs that ended longer ago than that."""
    for name in ("remove_log", "remove_statistics"):
        await connection.execute(SQL[name], older_than)


async def run_jobs(
    database: DatabaseSettings,
    kind: JobKind,
    handler: Handler,
    *,
    stop: asyncio.Event,
    connected: Callable[[], None],
    most_crashes: int = 5,
    answer_timeout: float = _ANSWER_SECONDS,
) -> None:
    """Run jobs of one kind until `stop` is set and those begun are done. Outlives restarts of PostgreSQL.

    A job is held at its `most_crashes`-th crash: its handler's, or its process's. The caller sets the deadline of a stop by
    ending the process: a job cancelled would be forgotten by the queue.
    """
    log = logger.bind(entrypoint=kind.entrypoint)
    pause = _RECONNECT_FIRST
    # The queues that were cut off from the database: what they had picked is given back, as it didn't crash.
    cut_off: set[uuid.UUID] = set()
    JOB_CRASHES.labels(kind.entrypoint)
    JOBS_HELD.labels(kind.entrypoint)
    while not stop.is_set():
        try:
            connection = await connect(database, command_timeout=answer_timeout)
        except ConfigError as error:
            log.warning("queue_unreachable", reason=str(error))
        else:
            pause = _RECONNECT_FIRST
            try:
                await _give_back(connection, cut_off)
                queries = ThriftyQueries(
                    # The library takes two jobs at least; where one at a time is wanted, the second waits for its turn.
                    connection, max(2, kind.concurrency), most_crashes=most_crashes, hears_of_jobs=kind.is_urgent
                )  # fmt: skip
                queue = QueueManager(queries)
                cut_off.add(queue.queue_manager_id)
                await _run_connected(
                    connection, queue, queries, kind, handler, stop=stop, connected=connected
                )
            except Exception as error:  # noqa: BLE001 - whatever ended it, jobs must be run again
                log.warning("queue_connection_lost", **describe_exception(error))
            finally:
                with contextlib.suppress(*UNREACHABLE):
                    await connection.close(timeout=1)
        if not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=pause)
            pause = min(pause * 2, _RECONNECT_MOST)


async def _give_back(connection: Connection, cut_off: set[uuid.UUID]) -> None:
    """Put back on the queue what these queues of this process had picked. Their handlers have all ended."""
    for queue_id in list(cut_off):
        await connection.execute(SQL["give_back_jobs"], queue_id)
        cut_off.discard(queue_id)


async def _run_connected(
    connection: "asyncpg.Connection[asyncpg.Record]",
    queue: QueueManager,
    queries: ThriftyQueries,
    kind: JobKind,
    handler: Handler,
    *,
    stop: asyncio.Event,
    connected: Callable[[], None],
) -> None:
    log = logger.bind(entrypoint=kind.entrypoint)
    await connection.execute(SQL["name_connection"], str(queue.queue_manager_id))
    await connection.execute(SQL["prepare_queue"])
    turns = asyncio.Semaphore(kind.concurrency)

    @queue.entrypoint(kind.entrypoint)
    async def run(job: Job) -> None:
        async with turns:
            await _run_one(job, queries, handler, log)

    connection.add_termination_listener(lambda _connection: queue.shutdown.set())
    connected()
    async with _shutting_down_at(stop, queue.shutdown):
        await queue.run(
            dequeue_timeout=timedelta(seconds=_POLL_SECONDS),
            batch_size=1,
            max_concurrent_tasks=queries.most_jobs,
            heartbeat_timeout=timedelta(seconds=kind.heartbeat_timeout),
            shutdown_on_listener_failure=True,
        )


@contextlib.asynccontextmanager
async def _shutting_down_at(stop: asyncio.Event, shutdown: asyncio.Event) -> AsyncIterator[None]:
    """Pass the stop on to the library for as long as the block runs."""

    async def pass_on() -> None:
        await stop.wait()
        shutdown.set()

    task = asyncio.create_task(pass_on(), name="stop of a queue")
    try:
        yield
    finally:
        task.cancel()
        # `wait` doesn't raise what the task raised, so a cancellation seen here is always the caller's own.
        await asyncio.wait([task])


async def _run_one(
    job: Job, queries: ThriftyQueries, handler: Handler, log: "structlog.stdlib.BoundLogger"
) -> None:
    """Run the handler, and let nothing but fixed texts reach the queue's tables, which keep tracebacks."""
    subject_id = (job.payload or b"").decode()
    try:
        await handler(RunningJob(subject_id, job.attempts, is_given_up=is_given_up(job)))
    except TryAgain as again:
        delay, reason = again.delay, again.reason
    except ServiceUnreachable as error:
        delay, reason = timedelta(seconds=1), str(error)
    except Exception:  # whatever a handler's bug, the job must come again
        log.exception("job_crashed", subject_id=subject_id, attempts=job.attempts)
        if await queries.count_crash(job):
            return
        delay, reason = timedelta(seconds=5 * 2 ** min(job.attempts, 6)), "internal error"
    else:
        return
    _put_back(delay, reason)


def _put_back(delay: timedelta, reason: str) -> NoReturn:
    """Raised here, outside every `except`, so that the traceback stored shows no other exception."""
    raise RetryRequested(delay, reason)
