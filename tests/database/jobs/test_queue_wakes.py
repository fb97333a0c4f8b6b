"""When a queue asks for work: woken once by what may concern it, and never while it has no room."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
from asyncpg.connection import LoggedQuery
from pgqueuer import Job
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.types import QueueEntrypoint, QueueManagerId

from config.settings import Settings
from database.connections import Pool, connect
from database.job_queue import enqueue
from database.queue_wakes import ThriftyQueries

KIND = "probe"
CHANNEL = "ch_pgqueuer"
MOST_JOBS = 2


class Asked:
    """A queue's statements on a connection of its own: what wakes it, and what is asked of PostgreSQL."""

    def __init__(
        self, connection: "asyncpg.Connection[asyncpg.Record]", *, hears_of_jobs: bool = True
    ) -> None:
        self.queries = ThriftyQueries(connection, MOST_JOBS, most_crashes=5, hears_of_jobs=hears_of_jobs)
        # The operations told to the library.
        self.wakes: list[str] = []
        self._marked = asyncio.Event()
        self._statements = 0
        self._connection = connection
        self._id = QueueManagerId(uuid.uuid4())

    async def listen(self) -> None:
        await self.queries.driver.add_listener(CHANNEL, self._hear)
        self._connection.add_query_logger(self._note)

    def _hear(self, payload: str | bytes | bytearray) -> None:
        event = json.loads(payload)
        if event["type"] == "mark":
            self._marked.set()
        else:
            self.wakes.append(event["operation"])

    async def hear(self, pool: Pool) -> None:
        """Wait until all has been heard that was announced before. What is no change of the table is always passed on."""
        self._marked.clear()
        await pool.execute("select pg_notify($1, $2)", CHANNEL, json.dumps({"type": "mark"}))
        await asyncio.wait_for(self._marked.wait(), 30)

    def _note(self, query: LoggedQuery) -> None:
        self._statements += 1

    async def count_statements(self) -> int:
        """How many were asked since the last count."""
        # The library tells of a statement at the loop's next turn.
        await asyncio.sleep(0)
        count, self._statements = self._statements, 0
        return count

    async def look(self) -> list[Job]:
        """Ask for one job, as the library does."""
        return await self.queries.dequeue(
            batch_size=1,
            entrypoints={QueueEntrypoint(KIND): EntrypointExecutionParameter(concurrency_limit=0)},
            queue_manager_id=self._id,
            global_concurrency_limit=MOST_JOBS,
            heartbeat_timeout=timedelta(seconds=60),
        )

    async def outlook(self) -> tuple[int, timedelta | None, int]:
        """What the library asks when it finds no job, in its order."""
        kinds = [QueueEntrypoint(KIND)]
        return (
            await self.queries.eligible_queued_work(kinds),
            await self.queries.next_deferred_eta(kinds),
            await self.queries.queued_work(kinds),
        )


@pytest.fixture
async def asked(pool: Pool, settings: Settings) -> AsyncIterator[Asked]:
    connection = await connect(settings.database)
    try:
        asked = Asked(connection)
        await asked.listen()
        yield asked
    finally:
        await connection.close()


async def put(pool: Pool, *subject_ids: str, kind: str = KIND, delay: timedelta = timedelta(0)) -> None:
    for subject_id in subject_ids:
        async with pool.acquire() as connection, connection.transaction():
            await enqueue(connection, kind, subject_id, delay=delay)


async def test_what_is_announced_before_a_look_wakes_once_and_after_it_again(
    pool: Pool, asked: Asked
) -> None:
    await put(pool, "a", "b", "c")
    await asked.hear(pool)
    assert asked.wakes == ["insert"]
    await asked.look()
    await put(pool, "d")
    await asked.hear(pool)
    assert asked.wakes == ["insert", "insert"]


async def test_the_end_of_another_queue_s_job_wakes_nobody(pool: Pool, asked: Asked) -> None:
    await put(pool, "another's")
    await asked.hear(pool)
    await pool.execute("update pgqueuer set status = 'picked'")
    await asked.look()
    asked.wakes.clear()
    await pool.execute("delete from pgqueuer")
    await asked.hear(pool)
    assert asked.wakes == []


async def test_a_full_queue_asks_nothing_until_a_job_of_its_own_ends_which_wakes_it(
    pool: Pool, asked: Asked
) -> None:
    await put(pool, "a", "b", "c")
    first, second = [job for _ in range(MOST_JOBS) for job in await asked.look()]
    assert await asked.count_statements()
    assert await asked.look() == []
    assert await asked.outlook() == (0, None, 0)
    assert await asked.count_statements() == 0
    await asked.hear(pool)
    await asked.look()
    asked.wakes.clear()

    await asked.queries.log_jobs([(first, "successful", None)])
    assert asked.wakes == ["update"]
    assert [job.payload for job in await asked.look()] == [b"c"]
    asked.wakes.clear()
    await asked.queries.retry_job(second, timedelta(0), None)
    assert asked.wakes == ["update"]
    assert [job.payload for job in await asked.look()] == [b"b"]


async def test_the_end_of_a_job_wakes_no_queue_that_had_room_for_more(pool: Pool, asked: Asked) -> None:
    await put(pool, "a")
    (job,) = await asked.look()
    assert await asked.look() == []
    await asked.hear(pool)
    asked.wakes.clear()
    await asked.queries.log_jobs([(job, "successful", None)])
    await asked.hear(pool)
    assert asked.wakes == []


async def test_a_queue_of_jobs_that_nobody_waits_for_is_not_woken_by_new_ones(
    pool: Pool, settings: Settings
) -> None:
    connection = await connect(settings.database)
    try:
        patient = Asked(connection, hears_of_jobs=False)
        await patient.listen()
        await put(pool, "a")
        await patient.hear(pool)
        assert patient.wakes == []
        assert [job.payload for job in await patient.look()] == [b"a"]
    finally:
        await connection.close()


async def test_the_outlook_is_one_statement_and_tells_what_is_due_and_when_the_next_will_be(
    pool: Pool, asked: Asked
) -> None:
    await put(pool, "another's", kind="another kind")
    assert await asked.outlook() == (0, None, 0)
    await put(pool, "later", delay=timedelta(hours=1))
    eligible, eta, queued = await asked.outlook()
    assert (eligible, queued) == (0, 1)
    assert eta is not None
    assert timedelta(minutes=50) < eta <= timedelta(hours=1)
    await put(pool, "now")
    await asked.count_statements()
    assert (await asked.outlook())[0] == 1
    assert await asked.count_statements() == 1
