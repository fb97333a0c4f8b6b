"""One outcome for an awaited upload, and an acceptance only while somebody waits for it."""

import asyncio
import io
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from audit.events import Actor
from config.environment import Environment
from config.identifiers import new_identifier
from config.sections import MessageSettings
from config.settings import Settings
from database.connections import Connection, Pool
from database.job_queue import RunningJob, TryAgain
from gateway.embedded.s3 import S3Server
from processing.awaited.job import AwaitedVerdictJob
from processing.awaited.sweep import sweep_awaited
from processing.awaited.uploads import fetch_outcome
from processing.intake import AwaitedSpool, Intake, Sender
from processing.job import VerdictJob
from processing.object_store import S3ObjectStore, open_store, sha256_of
from processing.rule_settings import make_rules
from processing.uploads import Source, UploadStatus, fetch_upload
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import sweep_uploads
from tests.processing.conftest import GOOD, MakeSpool, let_in

NOBODY_WAITS = {"status": "failed", "batch_id": None, "object_key": None}


@pytest.fixture
def awaited_job(
    pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses
) -> AwaitedVerdictJob:
    """A worker's job."""
    return awaited_job_of(pool, store, settings, verdicts)


def awaited_job_of(
    pool: Pool, store: S3ObjectStore, settings: Settings, verdicts: VerdictProcesses
) -> AwaitedVerdictJob:
    """A worker's job as a worker composes it."""
    return AwaitedVerdictJob(
        pool, store, settings.worker,
        lambda template: make_rules(template, settings.environment, MessageSettings()), verdicts,
    )  # fmt: skip


@asynccontextmanager
async def waiting(pool: Pool) -> AsyncIterator[int]:
    """Somebody waits until the end of the block."""
    waiter = secrets.randbits(63)
    async with pool.acquire() as connection:
        await connection.execute("select pg_advisory_lock($1)", waiter)
        try:
            yield waiter
        finally:
            await connection.execute("select pg_advisory_unlock($1)", waiter)


async def take(intake: Intake, campaign: str, waiter: int, data: bytes = GOOD) -> str:
    """Take an upload in. Returns its id."""
    upload_id = new_identifier("upload")
    await intake.store_awaited(
        AwaitedSpool(
            upload_id, Sender(campaign, Actor("api key x")), Source.API, "appointments.csv", io.BytesIO(data), len(data),
            sha256_of(io.BytesIO(data)).hex(), waiter, let_in,
        )
    )  # fmt: skip
    return upload_id


async def state(pool: Pool, upload_id: str) -> dict[str, object]:
    row = await pool.fetchrow("select status, batch_id, object_key from uploads where id = $1", upload_id)
    assert row is not None
    return dict(row)


async def count(pool: Pool, table: str) -> int:
    return int(await pool.fetchval(f"select count(*) from {table}"))


async def test_nothing_is_accepted_once_nobody_waits(
    awaited_job: AwaitedVerdictJob, intake: Intake, campaign: str, pool: Pool
) -> None:
    async with waiting(pool) as waiter:
        upload_id = await take(intake, campaign, waiter)
    await awaited_job(RunningJob(upload_id, 0))
    assert await state(pool, upload_id) == NOBODY_WAITS
    assert (await count(pool, "batches"), await count(pool, "messages")) == (0, 0)
    async with pool.acquire() as connection:
        outcome = await fetch_outcome(connection, upload_id)
        upload = await fetch_upload(connection, upload_id)
    assert outcome is not None
    assert outcome.status is UploadStatus.WITHDRAWN
    assert upload is not None
    assert upload.status is UploadStatus.WITHDRAWN
    assert (
        await pool.fetchval("select details from audit_events where event = 'upload_withdrawn'") is not None
    )


async def test_who_hangs_up_while_the_messages_are_copied_is_sent_no_message(
    awaited_job: AwaitedVerdictJob, intake: Intake, campaign: str, pool: Pool
) -> None:
    async with pool.acquire() as holder:
        blocking = holder.transaction()
        await blocking.start()
        async with waiting(pool) as waiter:
            upload_id = await take(intake, campaign, waiter)
            await holder.execute("lock table messages in access exclusive mode")
            judging = asyncio.create_task(awaited_job(RunningJob(upload_id, 0)))
            await until_blocked(pool, judging)
        await blocking.rollback()
    await judging
    assert await state(pool, upload_id) == NOBODY_WAITS
    assert (await count(pool, "batches"), await count(pool, "messages")) == (0, 0)


async def until_blocked(pool: Pool, task: "asyncio.Task[None]") -> None:
    """Wait until somebody waits for the table."""
    asked = "select count(*) from pg_locks where not granted and relation = 'messages'::regclass"
    async with asyncio.timeout(30):
        while not await pool.fetchval(asked):
            assert not task.done()
            await asyncio.sleep(0.02)


async def test_two_workers_at_one_upload_make_one_batch(
    awaited_job: AwaitedVerdictJob, intake: Intake, campaign: str, pool: Pool
) -> None:
    async with waiting(pool) as waiter:
        upload_id = await take(intake, campaign, waiter)
        await asyncio.gather(*(awaited_job(RunningJob(upload_id, 0)) for _ in range(2)))
    assert (await state(pool, upload_id))["status"] == "accepted"
    assert (await count(pool, "batches"), await count(pool, "messages")) == (1, 2)
    # One more, whose sender is gone, changes nothing.
    await awaited_job(RunningJob(upload_id, 0))
    assert (await state(pool, upload_id))["status"] == "accepted"


async def test_equal_uploads_of_both_ways_have_nothing_to_do_with_each_other(
    awaited_job: AwaitedVerdictJob,
    job: VerdictJob,
    intake: Intake,
    make_spool: MakeSpool,
    pool: Pool,
    campaign: str,
) -> None:
    spool = make_spool(GOOD)
    await intake.store(spool)
    async with waiting(pool) as waiter:
        upload_id = await take(intake, campaign, waiter)
        # Whoever runs the other way's job, as a worker of the release before does for what has none, leaves it alone.
        await job(RunningJob(upload_id, 0))
        assert (await state(pool, upload_id))["status"] == "received"
        await awaited_job(RunningJob(spool.upload_id, 0))
        assert await pool.fetchval("select attempts from uploads where source = 'sftp'") == 0
        await awaited_job(RunningJob(upload_id, 0))
    await job(RunningJob(spool.upload_id, 0))
    rows = await pool.fetch("select status, duplicate_of from uploads")
    assert [tuple(row) for row in rows] == [("accepted", None)] * 2
    assert await count(pool, "batches") == 2
    assert await count(pool, "notifications") == 1


async def test_the_first_hundred_findings_are_kept_with_the_link(
    pool: Pool,
    store: S3ObjectStore,
    settings: Settings,
    verdicts: VerdictProcesses,
    intake: Intake,
    campaign: str,
) -> None:
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    rows = b"".join(b"%d,x\x00y,\n" % number for number in range(75))
    async with waiting(pool) as waiter:
        upload_id = await take(intake, campaign, waiter, b"recipient,language,name\n" + rows)
        await awaited_job_of(pool, store, production, verdicts)(RunningJob(upload_id, 0))
    async with pool.acquire() as connection:
        outcome = await fetch_outcome(connection, upload_id)
    assert outcome is not None
    assert outcome.status is UploadStatus.REJECTED
    assert (outcome.num_rows, outcome.num_errors) == (75, 225)
    assert [finding.row for finding in outcome.findings] == [2 + number // 3 for number in range(100)]
    assert [finding.column for finding in outcome.findings[:3]] == ["recipient", "language", "name"]
    assert outcome.report_link is not None
    assert await pool.fetchval("select report_key from uploads") in outcome.report_link


async def test_a_bucket_that_is_away_is_asked_again_soon_as_long_as_somebody_waits(
    pool: Pool,
    settings: Settings,
    own_s3: S3Server,
    verdicts: VerdictProcesses,
    intake: Intake,
    campaign: str,
) -> None:
    endpoint = own_s3.endpoint_url
    own_s3.stop()
    async with open_store(settings.s3.model_copy(update={"endpoint_url": endpoint})) as away:
        job = awaited_job_of(pool, away, settings, verdicts)
        async with waiting(pool) as waiter:
            upload_id = await take(intake, campaign, waiter)
            with pytest.raises(TryAgain) as again:
                await job(RunningJob(upload_id, 0))
            assert again.value.delay == timedelta(seconds=1)
        await job(RunningJob(upload_id, 1))
    assert await state(pool, upload_id) == NOBODY_WAITS


async def test_what_takes_too_much_has_failed_and_frees_its_key(
    awaited_job: AwaitedVerdictJob, intake: Intake, campaign: str, pool: Pool, store: S3ObjectStore
) -> None:
    async with waiting(pool) as waiter:
        upload_id = await take(intake, campaign, waiter)
        await pool.execute(
            "insert into idempotency_keys (campaign_id, key, fingerprint, upload_id) values ($1, 'k', '', $2)",
            campaign, upload_id,
        )  # fmt: skip
        # The object is gone: no repetition would find it.
        await store.delete(str((await state(pool, upload_id))["object_key"]))
        await awaited_job(RunningJob(upload_id, 0))
    assert await state(pool, upload_id) == NOBODY_WAITS
    assert await pool.fetchval("select withdrawn_at from uploads") is None
    assert await count(pool, "idempotency_keys") == 0
    assert await count(pool, "notifications") == 0


async def test_the_sweep_gives_back_a_lost_job_and_withdraws_what_is_forsaken(
    intake: Intake, campaign: str, pool: Pool, connection: Connection
) -> None:
    now = timedelta(0)
    async with waiting(pool) as waiter:
        upload_id = await take(intake, campaign, waiter)
        await pool.execute("delete from pgqueuer")
        assert await sweep_uploads(connection, now) == 0
        assert await sweep_awaited(connection, now) == 1
        assert await pool.fetchval("select entrypoint from pgqueuer") == "verdict_api"
        assert await sweep_awaited(connection, now) == 0
        await pool.execute("update uploads set received_at = now() - interval '1 hour'")
        assert await sweep_awaited(connection, now) == 0
        assert (await state(pool, upload_id))["status"] == "received"
    await sweep_awaited(connection, now)
    assert await state(pool, upload_id) == NOBODY_WAITS
