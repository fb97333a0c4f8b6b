"""When a queue asks PostgreSQL for work: only where there may be some that it has room for.

PgQueuer announces each job that is added or has ended to every queue of every worker, and a queue that hears of one asks four
questions: they were more than half of all statements of an upload. Here a queue isn't woken by the end of somebody else's job,
nor twice before it has asked, and it asks nothing while it runs all jobs that it may. What nobody announces (a job whose worker
has died) it finds all the same: the library looks by itself every other second.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from pgqueuer import AsyncpgDriver, Job, Queries

from database.queries import NamedQueries

if TYPE_CHECKING:
    from pgqueuer.domain.models import TracebackRecord
    from pgqueuer.domain.types import JOB_STATUS, JobId, QueueEntrypoint
    from pgqueuer.ports.driver import NotifyCallback

SQL: Final = NamedQueries("database", "job_queue.sql")


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

    Without `hears_of_jobs` new ones are found at the library's own look only.
    """

    def __init__(
        self,
        connection: "asyncpg.Connection[asyncpg.Record]",
        most_jobs: int,
        *,
        hears_of_jobs: bool = True,
    ) -> None:
        self._announcements = _Announcements(connection, hears_of_jobs=hears_of_jobs)
        super().__init__(self._announcements)
        self._most_jobs = most_jobs
        # Picked by this queue, and not known to have ended.
        self._picked: set[JobId] = set()
        self._outlook: dict[str, Any] = {}

    @property
    def _is_full(self) -> bool:
        return len(self._picked) >= self._most_jobs

    async def dequeue(self, *given: Any, **named: Any) -> list[Job]:
        """See Queries. Nothing is asked where nothing could be taken: the end of a job wakes the queue."""
        self._announcements.sleep()
        if self._is_full:
            return []
        jobs = await super().dequeue(*given, **named)
        self._picked.update(job.id for job in jobs)
        return jobs

    async def log_jobs(self, job_status: "list[tuple[Job, JOB_STATUS, TracebackRecord | None]]") -> None:
        """See Queries. Where the queue was full, it has room from here on; else it knows that nothing waits."""
        await super().log_jobs(job_status)
        was_full = self._is_full
        self._picked.difference_update(job.id for job, _, _ in job_status)
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
