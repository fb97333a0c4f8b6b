"""One upload, one outcome: what is stored, and that nothing is stored twice, whoever judges and however often."""

import asyncio
import io
import json
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest

from audit.events import Actor
from config.sections import WorkerSettings
from config.settings import Settings
from database.connections import Pool
from database.job_queue import RunningJob, TryAgain
from gateway.embedded.s3 import S3Server
from processing.intake import Intake
from processing.job import VerdictJob, most_attempts, retry_delay, verdict_limits
from processing.object_store import S3ObjectStore, open_store
from processing.uploads import fetch_upload
from processing.verdicts.process import VerdictProcesses
from processing.verdicts.queueing import retry_upload
from tests.processing.conftest import BAD, GOOD, MakeSpool, machine_without_processes, run_job


async def test_a_good_upload_becomes_a_batch_its_messages_in_order_and_a_notification(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool(GOOD)
    await intake.store(spool)
    await run_job(job, spool)
    upload = await pool.fetchrow("select * from uploads")
    assert upload is not None
    assert upload["status"] == "accepted"
    assert (upload["num_rows"], upload["num_errors"], upload["total_messages"]) == (0, 0, 2)
    batch = await pool.fetchrow("select * from batches")
    assert batch is not None
    assert batch["id"] == upload["batch_id"]
    assert batch["id"].startswith("batch_")
    assert (batch["upload_id"], batch["status"]) == (spool.upload_id, "messages_enqueued")
    assert (batch["total_messages"], batch["original_file_name"]) == (2, "appointments.csv")
    rows = await pool.fetch("select * from messages order by row_number")
    assert [row["batch_no"] for row in rows] == [batch["batch_no"]] * 2
    assert [row["row_number"] for row in rows] == [2, 3]
    assert [row["recipient"] for row in rows] == ["6591234567", "6591234568"]
    assert [row["language"] for row in rows] == ["english", "chinese"]
    assert [json.loads(row["values"]) for row in rows] == [{"name": "Tan"}, {"name": "陈"}]
    assert [row["encoding"] for row in rows] == ["GSM-7", "UCS-2"]
    assert {row["status"] for row in rows} == {"created"}
    facts = await pool.fetchval("select facts from notifications where status = 'accepted'")
    assert json.loads(facts) == {"batch_id": batch["id"]}


async def test_a_bad_upload_becomes_a_report_and_no_message(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool(BAD)
    await intake.store(spool)
    await run_job(job, spool)
    upload = await pool.fetchrow("select * from uploads")
    assert upload is not None
    assert (upload["status"], upload["num_rows"], upload["num_errors"]) == ("rejected", 2, 2)
    assert upload["report_key"] == f"validation-reports/{upload['campaign_id']}/{upload['report_name']}.csv"
    assert await pool.fetchval("select count(*) from messages") == 0
    assert await pool.fetchval("select count(*) from batches") == 0
    link = await store.sign_link(upload["report_key"])
    with await asyncio.to_thread(urllib.request.urlopen, link) as response:
        report = response.read().decode("utf-8-sig")
        assert response.headers["Content-Disposition"].startswith("attachment")
    header, first, second, third = report.splitlines()
    assert header.endswith('"Error Reason"')
    assert "remove the +" in first
    assert "[" in second
    assert third.endswith('""')


async def test_judging_again_changes_nothing(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await run_job(job, spool, spool, spool)
    assert await pool.fetchval("select count(*) from batches") == 1
    assert await pool.fetchval("select count(*) from messages") == 2
    assert await pool.fetchval("select count(*) from notifications") == 1
    assert await pool.fetchval("select outcome from uploads") == 1


async def test_two_workers_at_once_give_one_outcome(
    make_job: Callable[..., VerdictJob], intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await asyncio.gather(*(run_job(make_job(), spool) for _ in range(4)))
    assert await pool.fetchval("select count(*) from batches") == 1
    assert await pool.fetchval("select count(*) from messages") == 2
    assert await pool.fetchval("select count(*) from notifications") == 1


async def test_a_bucket_away_is_retried_then_the_upload_has_failed_with_a_support_id(
    make_job: Callable[..., VerdictJob],
    intake: Intake,
    make_spool: MakeSpool,
    pool: Pool,
    settings: Settings,
    own_s3: S3Server,
) -> None:
    spool = make_spool()
    await intake.store(spool)
    endpoint = own_s3.endpoint_url
    own_s3.stop()
    async with open_store(settings.s3.model_copy(update={"endpoint_url": endpoint})) as away:
        job = make_job(away)
        with pytest.raises(TryAgain) as first:
            await run_job(job, spool)
        with pytest.raises(TryAgain) as second:
            await run_job(job, spool)
        assert (first.value.delay, second.value.delay) == (timedelta(seconds=30), timedelta(seconds=60))
        assert await pool.fetchval("select status from uploads") == "validating"
        await pool.execute("update uploads set attempts = 7, deciding_since = now() - interval '61 minutes'")
        await run_job(job, spool)
    row = await pool.fetchrow("select * from uploads")
    assert row is not None
    assert row["status"] == "failed"
    facts = json.loads(await pool.fetchval("select facts from notifications where status = 'failed'"))
    assert facts == {"support_id": row["support_id"]}
    # When ops have mended the bucket and retry the upload, it gets a new outcome and a new e-mail.
    async with pool.acquire() as connection, connection.transaction():
        failed = await fetch_upload(connection, spool.upload_id)
        assert failed is not None
        await retry_upload(connection, failed, actor=Actor("ops"))
    await run_job(make_job(), spool)
    assert await pool.fetchval("select status from uploads") == "accepted"
    rows = await pool.fetch("select outcome, status from notifications order by outcome")
    assert [tuple(row) for row in rows] == [(1, "failed"), (2, "accepted")]


async def test_an_upload_whose_verdict_gets_no_process_is_retried_like_any_other_temporary_trouble(
    make_job: Callable[..., VerdictJob],
    intake: Intake,
    make_spool: MakeSpool,
    pool: Pool,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    spool = make_spool()
    await intake.store(spool)
    with machine_without_processes():
        async with VerdictProcesses(verdict_limits(settings.worker), 1, start_pauses=(0.01,)) as verdicts:
            with pytest.raises(TryAgain, match="didn't start") as again:
                await run_job(make_job(verdicts=verdicts), spool)
    assert again.value.delay == timedelta(seconds=30)
    assert await pool.fetchval("select status from uploads") == "validating"
    assert not [entry for entry in caplog.records if entry.exc_info]


async def test_an_hour_without_a_worker_holds_no_tries(
    make_job: Callable[..., VerdictJob],
    intake: Intake,
    make_spool: MakeSpool,
    pool: Pool,
    settings: Settings,
    own_s3: S3Server,
) -> None:
    spool = make_spool()
    await intake.store(spool)
    endpoint = own_s3.endpoint_url
    own_s3.stop()
    await pool.execute("update uploads set attempts = 1, deciding_since = now() - interval '5 hours'")
    async with open_store(settings.s3.model_copy(update={"endpoint_url": endpoint})) as away:
        with pytest.raises(TryAgain) as again:
            await run_job(make_job(away), spool)
    assert again.value.delay == timedelta(seconds=60)
    assert await pool.fetchval("select status from uploads") == "validating"


async def test_an_upload_that_kills_its_workers_has_failed_after_the_hour(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await pool.execute("update uploads set attempts = 20, deciding_since = now() - interval '61 minutes'")
    await run_job(job, spool)
    assert await pool.fetchval("select status from uploads") == "failed"
    assert await pool.fetchval("select count(*) from notifications where status = 'failed'") == 1
    assert await pool.fetchval("select count(*) from messages") == 0


async def test_an_upload_whose_job_is_given_up_has_failed_untouched(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)
    for _ in range(2):
        await job(RunningJob(spool.upload_id, 0, is_given_up=True))
    assert await pool.fetchval("select status from uploads") == "failed"
    assert await pool.fetchval("select count(*) from notifications where status = 'failed'") == 1
    assert await pool.fetchval("select count(*) from messages") == 0


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("attempts = 20, deciding_since = now() - interval '59 minutes'", id="within-the-hour"),
        pytest.param("attempts = 1, deciding_since = now() - interval '3 hours'", id="all-nodes-were-off"),
    ],
)
async def test_an_upload_that_still_has_a_try_is_judged(
    change: str, job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await pool.execute(f"update uploads set {change}")
    await run_job(job, spool)
    assert await pool.fetchval("select status from uploads") == "accepted"


def test_an_hour_holds_eight_attempts() -> None:
    settings = WorkerSettings()
    assert most_attempts(settings) == 8
    waits = [retry_delay(settings, attempts).total_seconds() for attempts in range(1, 8)]
    assert waits == [30, 60, 120, 240, 480, 960, 1800]


async def test_an_object_cut_short_in_the_bucket_is_not_taken_for_the_upload(
    job: VerdictJob, intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool(GOOD)
    await intake.store(spool)
    key = await pool.fetchval("select object_key from uploads")
    await store.put(key, io.BytesIO(GOOD[: GOOD.rindex(b"65")]), download_name="upload.csv")
    with pytest.raises(TryAgain, match="other bytes"):
        await run_job(job, spool)
    assert await pool.fetchval("select count(*) from messages") == 0
    assert await pool.fetchval("select status from uploads") == "validating"
