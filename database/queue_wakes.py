"""When a queue asks PostgreSQL for work: only where there may be some that it has room for.

PgQueuer announces each job that is added or has ended to every queue of every worker, and a queue that hears of one asks four
questions: they were more than half of all statements of an upload. Here a queue isn't woken by the end of somebody else's job,
nor twice before it has asked, and it asks nothing while it runs all jobs that it may. What nobody announces (a job whose worker
has died) it finds all the same: the library looks by itself every other second.

The library takes a dead worker's job over without counting how often that happened, so it isn't let: here it is counted, and a
job that crashed too often is held.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from pgqueuer import AsyncpgDriver, Job, Queries

from config.logs import get_logger
from database.metrics import JOB_CRASHES, JOBS_HELD
from database.queries import NamedQueries

if TYPE_CHECKING:
    from pgqueuer.domain.models import TracebackRecord
    from pgqueuer.domain.types import JOB_STATUS, JobId, QueueEntrypoint, QueueManagerId
    from pgqueuer.ports.driver import NotifyCallback
    from pgqueuer.ports.repository import EntrypointExecutionParameter

SQL: Final = NamedQueries("database", "job_queue.sql")
logger = get_logger("database")

# Seconds between two looks for jobs of dead workers, however often the queue is woken.
_LOOK_FOR_DEAD_EVERY: Final = 1.0
# No heartbeat is older: the library finds nobody dead.
_NEVER_DEAD: Final = timedelta(days=36_500)


class _Announcements(AsyncpgDriver):
    """The library's driver, which passes on what wakes the queue at most once until the queue asks for jobs."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", *, hears_of_jobs: bool) -> None:
        super().__init__(connection)
        self._hears_of_jobs = hears_of_jobs
        self._channel = ""
        self._pass_on: NotifyCallback | None = None
        self._is_woken = False

    async def add_listener(self, channel: str, callback: "NotifyCallback") -> None:
        """Listen on the queue's channel."""
        self._channel, self._pass_on = channel, callback
        await super().add_listener(channel, self._hear)

    def _hear(self, payload: str | bytes | bytearray) -> None:
        event = json.loads(payload)
        if event.get("type") != "table_changed_event":
            self._tell(payload)
        elif self._hears_of_jobs and event.get("operation") != "delete":
            # What ends is of interest to the queue that ran it alone, and that one knows.
            self._wake(payload)

    def wake(self) -> None:
        """Let the queue ask for jobs, as if one had been announced."""
        event = {"channel": self._channel, "operation": "update", "sent_at": datetime.now(UTC).isoformat()}
        self._wake(json.dumps({**event, "table": "", "type": "table_changed_event"}))

    def _wake(self, payload: str | bytes | bytearray) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._tell(payload)

    def _tell(self, payload: str | bytes | bytearray) -> None:
        if self._pass_on is not None:
            self._pass_on(payload)

    def sleep(self) -> None:
        """Whatever is announced from here on wakes the queue: called before it asks for jobs."""
        self._is_woken = False


class ThriftyQueries(Queries):
    """The library's statements for one queue manager, which runs at most `most_jobs` at a time. The connection is its own.

    A job is held at its `most_crashes`-th crash. Without `hears_of_jobs` new ones are found at the library's own look only.
    """

    def __init__(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        most_jobs: int,
        *,
        most_crashes: int,
        hears_of_jobs: bool = True,
    ) -> None:
        self._announcements = _Announcements(connection, hears_of_jobs=hears_of_jobs)
        super().__init__(self._announcements)
        self.most_jobs = most_jobs
        self._most_crashes = most_crashes
        self._looked_for_dead = -_LOOK_FOR_DEAD_EVERY
        # Their end, which the library is about to write down, is that they are held.
        self._to_hold: set[JobId] = set()
        # Picked by this queue, and not known to have ended.
        self._picked: set[JobId] = set()
        self._outlook: dict[str, Any] = {}

    @property
    def _is_full(self) -> bool:
        return len(self._picked) >= self.most_jobs

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: "dict[QueueEntrypoint, EntrypointExecutionParameter]",
        queue_manager_id: "QueueManagerId",
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        """See Queries. Nothing is asked where nothing could be taken: the end of a job wakes the queue."""
        self._announcements.sleep()
        if self._is_full:
            return []
        if time.monotonic() - self._looked_for_dead >= _LOOK_FOR_DEAD_EVERY:
            for entrypoint in entrypoints:
                await self._take_over(entrypoint, heartbeat_timeout)
            self._looked_for_dead = time.monotonic()
        jobs = await super().dequeue(
            batch_size, entrypoints, queue_manager_id, global_concurrency_limit, _NEVER_DEAD
        )
        self._picked.update(job.id for job in jobs)
        return jobs

    async def _take_over(self, entrypoint: str, heartbeat_timeout: timedelta) -> None:
        """Put the jobs of dead workers back on the queue, each with one more crash; or hold them."""
        taken = await self.driver.fetch(
            SQL["take_over_jobs_of_dead"], entrypoint, heartbeat_timeout, self._most_crashes
        )
        for row in taken:
            JOB_CRASHES.labels(entrypoint).inc()
            known = {
                "entrypoint": entrypoint,
                "job_id": row["id"],
                "subject_id": row["subject_id"],
                "crashes": row["crashes"],
            }
            if row["is_held"]:
                JOBS_HELD.labels(entrypoint).inc()
                logger.error("job_held", **known)
            else:
                logger.warning("job_taken_over", **known)

    async def count_crash(self, job: Job) -> bool:
        """Count that the job's handler crashed. Returns whether it was for the last time: then its end is to be held."""
        crashes = crashes_of(job) + 1
        await self.driver.execute(SQL["count_crash"], job.id, crashes)
        JOB_CRASHES.labels(job.entrypoint).inc()
        if crashes < self._most_crashes:
            return False
        self._to_hold.add(job.id)
        JOBS_HELD.labels(job.entrypoint).inc()
        logger.error("job_held", entrypoint=job.entrypoint, job_id=int(job.id), crashes=crashes)
        return True

    async def log_jobs(self, job_status: "list[tuple[Job, JOB_STATUS, TracebackRecord | None]]") -> None:
        """See Queries. Where the queue was full, it has room from here on; else it knows that nothing waits."""
        await super().log_jobs(
            [
                (job, "failed" if job.id in self._to_hold else status, traceback)
                for job, status, traceback in job_status
            ]
        )
        was_full = self._is_full
        ended = {job.id for job, _, _ in job_status}
        self._picked -= ended
        self._to_hold -= ended
        if was_full:
            self._announcements.wake()

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: "TracebackRecord | None") -> None:
        """See Queries. This one may be due at once."""
        await super().retry_job(job, delay, traceback_record)
        self._picked.discard(job.id)
        self._announcements.wake()

    async def eligible_queued_work(self, entrypoints: "list[QueueEntrypoint]") -> int:
        """See Queries. Asks for the answers of the next two as well, since the library wants all three, one after the other."""
        outlook: dict[str, Any] = {"eligible": 0, "eta": None, "queued": 0}
        if not self._is_full:
            (outlook,) = await self.driver.fetch(SQL["fetch_outlook"], entrypoints)
        self._outlook = outlook
        return int(outlook["eligible"])

    async def next_deferred_eta(self, entrypoints: "list[QueueEntrypoint]") -> timedelta | None:  # noqa: ARG002
        """See Queries. As of the last look at what is eligible."""
        eta: timedelta | None = self._outlook["eta"]
        return eta

    async def queued_work(self, entrypoints: "list[QueueEntrypoint]") -> int:  # noqa: ARG002
        """See Queries. As of the last look at what is eligible."""
        return int(self._outlook["queued"])


def crashes_of(job: Job) -> int:
    """How often the job has crashed, by itself or with its worker, since it was enqueued or requeued."""
    crashes = (job.headers or {}).get("crashes", 0)
    return crashes if isinstance(crashes, int) else 0


def is_given_up(job: Job) -> bool:
    """Whether the job was held, and nobody has seen to it in time."""
    return bool((job.headers or {}).get("given_up"))
