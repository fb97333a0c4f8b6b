"""Deletion of what has had its time: nothing that is still needed goes with it."""

import asyncio
import io
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.sections import RetentionSettings
from database.connections import Pool
from gateway.embedded.s3 import S3Server
from processing.errors import ObjectMissing
from processing.intake import Intake
from processing.object_store import S3ObjectStore, original_key
from processing.retention import remove_expired, remove_superseded
from processing.uploads import Reopening, reopen_upload
from rules.codes import FindingCode
from tests.processing.conftest import GOOD, MakeSpool, read_object


async def test_what_has_had_its_time_goes_but_undecided_originals_stay(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    undecided, decided = make_spool(GOOD), make_spool(GOOD + b"\n")
    await intake.store(undecided)
    await intake.store(decided)
    await pool.execute(
        "update uploads set status = 'failed', support_id = 'S', finished_at = now() where id = $1",
        decided.upload_id,
    )
    keys = [original_key(spool.sender.campaign_id, spool.upload_id) for spool in (undecided, decided)]
    await store.put("validation-reports/c/1.csv", io.BytesIO(b"r"), download_name="r.csv")
    await remove_expired(pool, store, RetentionSettings())
    assert await pool.fetchval("select count(*) from uploads where object_key is null") == 0
    await pool.execute("update uploads set received_at = received_at - interval '8 days'")
    await remove_expired(pool, store, RetentionSettings())
    forgotten = await pool.fetch("select id from uploads where object_key is null")
    assert [row["id"] for row in forgotten] == [decided.upload_id]
    assert await read_object(store, keys[1]) == GOOD + b"\n"
    assert await store.delete_older("originals", datetime.now(UTC) + timedelta(days=1), keep={keys[0]}) == 1
    assert await read_object(store, keys[0]) == GOOD
    with pytest.raises(ObjectMissing):
        await read_object(store, keys[1])
    assert await read_object(store, "validation-reports/c/1.csv") == b"r"


async def test_what_is_archived_is_kept_for_ever(pool: Pool, store: S3ObjectStore) -> None:
    key = "archives/messages_to_4000000/1/messages-00001.parquet"
    for name in (key, "originals/c/old.csv", "validation-reports/c/old.csv"):
        await store.put(name, io.BytesIO(b"x"), download_name="x")
    await remove_expired(
        pool,
        store,
        RetentionSettings.model_construct(originals_days=-1, reports_days=-1, log_exports_days=-1),
    )
    assert await read_object(store, key) == b"x"
    with pytest.raises(ObjectMissing):
        await read_object(store, "originals/c/old.csv")


async def test_an_original_that_its_upload_still_names_stays_though_the_clocks_differ(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()
    await intake.store(spool)
    await pool.execute(
        "update uploads set status = 'failed', support_id = 'S', finished_at = now(),"
        " received_at = now() + interval '1 minute'"
    )
    await remove_expired(pool, store, RetentionSettings.model_construct(originals_days=0, reports_days=14))
    assert await read_object(store, original_key(spool.sender.campaign_id, spool.upload_id)) == GOOD


async def test_of_an_interrupted_name_only_the_newest_copy_is_kept(
    intake: Intake, make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    spool = make_spool()

    async def refuse(name: str, path: Path | None = spool.path) -> str:
        upload_id = await intake.refuse(
            spool.sender, name, FindingCode.UPLOAD_INTERRUPTED, byte_count=5, path=path
        )
        assert upload_id is not None
        return upload_id

    ids = [await refuse("a.csv") for _ in range(3)]
    other, hole = await refuse("b.csv"), await refuse("a.csv", None)
    await remove_superseded(pool, store)
    kept = {row["id"] for row in await pool.fetch("select id from uploads where object_key is not null")}
    assert kept == {ids[2], other}
    for upload_id in (ids[0], ids[1], hole):
        with pytest.raises(ObjectMissing):
            await read_object(store, original_key(spool.sender.campaign_id, upload_id))
    assert await read_object(store, original_key(spool.sender.campaign_id, ids[2])) == GOOD
    # One that was released isn't taken from under its verdict.
    async with pool.acquire() as connection:
        assert await reopen_upload(connection, ids[2], Reopening.RELEASE)
    await refuse("a.csv")
    await remove_superseded(pool, store)
    assert await read_object(store, original_key(spool.sender.campaign_id, ids[2])) == GOOD


async def test_the_queues_own_log_and_statistics_have_their_time_too(
    pool: Pool, store: S3ObjectStore
) -> None:
    for age in (1, 8):
        await pool.execute(
            "insert into pgqueuer_log (created, job_id, status, priority, entrypoint, aggregated)"
            " values (now() - $1 * interval '1 day', 1, 'successful', 0, 'verdict', true)",
            age,
        )
        await pool.execute(
            "insert into pgqueuer_statistics (created, count, priority, status, entrypoint)"
            " values (now() - $1 * interval '1 day', 1, 0, 'successful', 'verdict')",
            age,
        )
    await remove_expired(pool, store, RetentionSettings())
    for table in ("pgqueuer_log", "pgqueuer_statistics"):
        assert await pool.fetchval(f"select count(*) from {table}") == 1


async def has_object(store: S3ObjectStore, key: str) -> bool:
    try:
        await read_object(store, key)
    except ObjectMissing:
        return False
    return True


async def test_what_check_left_in_the_bucket_goes_after_a_day(
    pool: Pool, store: S3ObjectStore, s3: S3Server, bucket: str
) -> None:
    for name in ("old", "new"):
        await store.put(f"probes/{name}", io.BytesIO(b"probe"), download_name="probe")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(s3.folder / "buckets" / bucket / "probes" / "old", (two_days_ago, two_days_ago))
    async with asyncio.timeout(30):
        # The server sees what changed behind its back a second later.
        while await has_object(store, "probes/old"):
            await asyncio.sleep(0.1)
            await remove_expired(pool, store, RetentionSettings())
    assert await read_object(store, "probes/new") == b"probe"


async def test_answers_for_repeated_calls_go_after_a_day(pool: Pool, store: S3ObjectStore) -> None:
    await pool.execute(
        "insert into idempotency_keys (campaign_id, key, made_at, fingerprint, status, answer)"
        " select 'campaign_1', 'hours ' || h, now() - make_interval(hours => h), '', 201, '' from unnest(array[23, 25]) h"
    )
    await remove_expired(pool, store, RetentionSettings())
    assert await pool.fetchval("select string_agg(key, ',') from idempotency_keys") == "hours 23"


async def test_one_worker_at_a_time_removes_what_has_expired(pool: Pool, store: S3ObjectStore) -> None:
    await store.put("validation-reports/c/1.csv", io.BytesIO(b"r"), download_name="r.csv")
    at_once = RetentionSettings.model_construct(originals_days=0, reports_days=0)
    async with pool.acquire() as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock(7367470017)")
        await remove_expired(pool, store, at_once)
        assert await read_object(store, "validation-reports/c/1.csv") == b"r"
    await remove_expired(pool, store, at_once)
    with pytest.raises(ObjectMissing):
        await read_object(store, "validation-reports/c/1.csv")
