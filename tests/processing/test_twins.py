"""Uploads of the same content share one outcome: who waits for whom, and that nobody waits for a sweep."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from config.settings import Settings
from database.connections import Pool
from processing.intake import FinishedSpool, Intake
from processing.job import VerdictJob, verdict_limits
from processing.object_store import S3ObjectStore
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import sweep_uploads
from tests.processing.conftest import BAD, GOOD, HoldingStore, MakeSpool, run_job

# Any number that names an advisory lock.
HELD = 4711


@asynccontextmanager
async def outcome_held_at_its_commit(pool: Pool) -> AsyncIterator[None]:
    """Hold the next outcomes at their commit, after all else was done, until the block ends."""
    await pool.execute(
        f"""
        create function wait_to_commit() returns trigger language plpgsql as
            $$ begin perform pg_advisory_xact_lock({HELD}); return null; end $$;
        create constraint trigger held after update on uploads deferrable initially deferred for each row
            when (old.finished_at is null and new.finished_at is not null) execute function wait_to_commit()
        """
    )
    async with pool.acquire() as holder:
        await holder.execute(f"select pg_advisory_lock({HELD})")
        try:
            yield
        finally:
            await holder.execute(f"select pg_advisory_unlock({HELD})")


async def await_commit(pool: Pool) -> None:
    """Wait until an outcome stands at its commit."""
    async with asyncio.timeout(30):
        while not await pool.fetchval(  # noqa: ASYNC110 - PostgreSQL tells nobody
            f"select exists (select from pg_locks where locktype = 'advisory' and objid = {HELD} and not granted)"
        ):
            await asyncio.sleep(0.01)


async def use_up_attempts(pool: Pool, spool: FinishedSpool) -> None:
    """Let the upload have failed at its next attempt, as one does that kills its workers."""
    await pool.execute(
        "update uploads set attempts = 20, deciding_since = now() - interval '61 minutes' where id = $1",
        spool.upload_id,
    )


async def status_of(pool: Pool, spool: FinishedSpool) -> str:
    status = await pool.fetchval("select status from uploads where id = $1", spool.upload_id)
    assert isinstance(status, str)
    return status


async def verdicts_queued(pool: Pool) -> list[str]:
    """Ids of the uploads that have a job waiting."""
    rows = await pool.fetch(
        "select convert_from(payload, 'UTF8') from pgqueuer where entrypoint = 'verdict' and status = 'queued'"
    )
    return [row[0] for row in rows]


async def let_one_come_late(job: VerdictJob, intake: Intake, late: FinishedSpool, pool: Pool) -> None:
    """Take the upload in, and let its job find one of the same content whose outcome stands at its commit."""
    await await_commit(pool)
    await intake.store(late)
    await pool.execute("delete from pgqueuer")
    await run_job(job, late)
    assert await status_of(pool, late) == "received"


async def test_the_same_content_again_repeats_the_first_batch(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    first, second = make_spool(), make_spool()
    await intake.store(first)
    await intake.store(second)
    await run_job(job, second)  # the first is undecided: the second waits
    assert await pool.fetchval("select count(*) from uploads where finished_at is not null") == 0
    await run_job(job, first)
    assert await pool.fetchval("select count(*) from batches") == 1
    row = await pool.fetchrow("select * from uploads where id = $1", second.upload_id)
    assert row is not None
    assert (row["status"], row["duplicate_of"], row["total_messages"]) == ("accepted", first.upload_id, 2)
    facts = [json.loads(row[0]) for row in await pool.fetch("select facts from notifications")]
    assert facts[0] == facts[1]


async def test_what_comes_after_an_acceptance_repeats_it_without_being_fetched_or_judged(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    first, second = make_spool(), make_spool()
    await intake.store(first)
    await run_job(job, first)
    await intake.store(second)
    key = await pool.fetchval("select object_key from uploads where id = $1", second.upload_id)
    await store.delete(key)
    await run_job(job, second)
    assert await status_of(pool, second) == "accepted"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"file_name": "other.csv"}, id="another-name"),
        pytest.param({"data": GOOD + b"\n"}, id="other-bytes"),
        pytest.param({}, id="a-day-later"),
    ],
)
async def test_another_name_other_bytes_or_another_day_make_a_batch_of_their_own(
    change: dict[str, object], job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    first = make_spool()
    await intake.store(first)
    await run_job(job, first)
    if not change:
        await pool.execute("update uploads set received_at = received_at - interval '24 hours 1 minute'")
    second = make_spool(**change)
    await intake.store(second)
    await run_job(job, second)
    assert await pool.fetchval("select count(*) from batches") == 2


async def test_concurrent_workers_make_one_batch_of_ten_same_uploads(
    make_job: Callable[..., VerdictJob], intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spools = [make_spool() for _ in range(10)]
    for spool in spools:
        await intake.store(spool)

    await asyncio.gather(*(run_job(make_job(), spool) for spool in spools))
    assert await pool.fetchval("select count(*) from batches") == 1
    assert await pool.fetchval("select count(*) from uploads where duplicate_of is not null") == 9
    assert await pool.fetchval("select count(*) from notifications") == 10


async def test_who_waits_for_a_rejected_upload_is_rejected_with_it(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    first, second = make_spool(BAD), make_spool(BAD)
    await intake.store(first)
    await intake.store(second)
    await run_job(job, second, first)
    rows = await pool.fetch(
        "select status, num_rows, num_errors, report_key, attempts from uploads order by attempts"
    )
    assert [tuple(row)[:3] for row in rows] == [("rejected", 2, 2)] * 2
    assert rows[0]["report_key"] == rows[1]["report_key"] is not None
    assert [row["attempts"] for row in rows] == [0, 1]
    facts = {row[0] for row in await pool.fetch("select facts from notifications where status = 'rejected'")}
    assert len(facts) == 1
    assert await pool.fetchval("select count(*) from notifications") == 2


async def test_who_waits_for_an_upload_that_fails_gets_a_job_and_a_verdict_of_its_own(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    first, second = make_spool(), make_spool()
    await intake.store(first)
    await intake.store(second)
    await run_job(job, second)
    await pool.execute("delete from pgqueuer")
    await use_up_attempts(pool, first)
    await run_job(job, first)
    assert await pool.fetchval(
        "select convert_from(payload, 'UTF8') from pgqueuer where entrypoint = 'verdict'"
    ) == (second.upload_id)
    await run_job(job, second)
    assert await pool.fetchval("select status from uploads where id = $1", second.upload_id) == "accepted"


async def test_a_sweep_leaves_alone_who_waits_for_a_twin(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    for _ in range(2):
        await intake.store(make_spool())
    await pool.execute("delete from pgqueuer")
    async with pool.acquire() as connection:
        assert await sweep_uploads(connection, timedelta(seconds=-1)) == 1


@pytest.mark.parametrize(
    ("end", "status"),
    [
        pytest.param("accepted", "accepted", id="accepted"),
        pytest.param("repeated", "accepted", id="accepted-as-a-twin-itself"),
        pytest.param("rejected", "rejected", id="rejected"),
        pytest.param("failed", "received", id="failed"),
    ],
)
async def test_who_comes_while_an_outcome_is_committed_is_settled_right_after_it(
    end: str, status: str, job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    data = BAD if end == "rejected" else GOOD
    first, late = make_spool(data), make_spool(data)
    if end == "repeated":
        original = make_spool(data)
        await intake.store(original)
        await run_job(job, original)
    await intake.store(first)
    if end == "failed":
        await use_up_attempts(pool, first)
    async with asyncio.TaskGroup() as tasks, outcome_held_at_its_commit(pool):
        tasks.create_task(run_job(job, first))
        await let_one_come_late(job, intake, late, pool)
    assert await status_of(pool, late) == status
    assert await verdicts_queued(pool) == ([late.upload_id] if end == "failed" else [])


async def test_who_comes_while_one_turns_out_to_be_a_twin_after_its_verdict_is_settled_right_after_it(
    make_job: Callable[..., VerdictJob],
    store: S3ObjectStore,
    settings: Settings,
    intake: Intake,
    make_spool: MakeSpool,
    pool: Pool,
) -> None:
    first, other, late = (make_spool() for _ in range(3))
    job, held = make_job(), HoldingStore(store)
    await intake.store(first)
    await intake.store(other)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run_job(make_job(held), first))
        await held.asked.wait()
        # So it stands where the first one has failed, the other one is judged, and ops retry the first one meanwhile.
        await pool.execute(
            "update uploads set status = 'failed', finished_at = now(), support_id = 'S-1' where id = $1",
            first.upload_id,
        )
        async with VerdictProcesses(verdict_limits(settings.worker), 1) as others:
            await run_job(make_job(verdicts=others), other)
        await pool.execute(
            "update uploads set status = 'validating', finished_at = null where id = $1", first.upload_id
        )
        async with outcome_held_at_its_commit(pool):
            held.let_go.set()
            await let_one_come_late(job, intake, late, pool)
    assert await status_of(pool, late) == "accepted"
    assert await pool.fetchval("select count(*) from uploads where duplicate_of = $1", other.upload_id) == 2


async def test_a_failure_gives_a_job_to_whoever_waits_though_the_queue_has_not_forgotten_the_one_that_ended(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    first, second = make_spool(), make_spool()
    await intake.store(first)
    await intake.store(second)
    await pool.execute("update pgqueuer set status = 'picked'")
    await run_job(job, second)
    await use_up_attempts(pool, first)
    await run_job(job, first)
    assert await verdicts_queued(pool) == [second.upload_id]
