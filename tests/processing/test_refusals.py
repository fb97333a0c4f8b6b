"""Uploads refused before any row was read: each is told, singly or in one e-mail that says how many there were."""

import asyncio
import json
from dataclasses import replace

from audit.events import Actor
from database.connections import Pool
from processing.intake import Intake, Sender
from processing.object_store import S3ObjectStore
from processing.refusals import record_summary, sweep_summaries
from rules.codes import FindingCode
from tests.processing.conftest import INTAKE_SETTINGS, MakeSpool


async def test_the_e_mail_of_a_file_too_large_names_the_limit_in_force(
    pool: Pool, store: S3ObjectStore, campaign: str
) -> None:
    limited = replace(INTAKE_SETTINGS, max_upload_bytes=5 * 1024 * 1024)
    await Intake(pool, store, limited).refuse(
        Sender(campaign, Actor()), "a.csv", FindingCode.FILE_TOO_LARGE, byte_count=6_000_000
    )
    assert "smaller than 5 MB" in await pool.fetchval("select error_reason from uploads")


async def test_beyond_the_hours_single_e_mails_refusals_are_counted_in_one(
    pool: Pool, store: S3ObjectStore, campaign: str
) -> None:
    intake = Intake(pool, store, replace(INTAKE_SETTINGS, max_not_csv_notifications=2))
    sender = Sender(campaign, Actor())
    for number in range(5):
        await intake.refuse(sender, f"{number}.txt", FindingCode.FILE_NOT_CSV, byte_count=0)
    assert await pool.fetchval("select count(*) from notifications") == 2
    assert await pool.fetchval("select count(*) from uploads where untold") == 3
    assert await pool.fetchval("select count(*) from pgqueuer where entrypoint = 'refusal_summary'") == 1


async def test_refusals_at_the_same_moment_are_counted_one_by_one(
    make_spool: MakeSpool, pool: Pool, store: S3ObjectStore
) -> None:
    sender = make_spool().sender
    intake = Intake(pool, store, replace(INTAKE_SETTINGS, max_not_csv_notifications=5))
    await asyncio.gather(
        *(intake.refuse(sender, f"{n}.txt", FindingCode.FILE_NOT_CSV, byte_count=0) for n in range(30))
    )
    assert await pool.fetchval("select count(*) from notifications") == 5
    assert await pool.fetchval("select count(*) from uploads where untold") == 25


async def test_the_summary_of_refusals_says_how_many(
    pool: Pool, intake: Intake, make_spool: MakeSpool
) -> None:
    sender = make_spool().sender
    for number in range(3):
        await intake.refuse(sender, f"{number}.txt", FindingCode.FILE_NOT_CSV, byte_count=0)
    await pool.execute("update uploads set untold = true")
    await pool.execute("delete from notifications")
    async with pool.acquire() as connection, connection.transaction():
        await record_summary(connection, sender.campaign_id)
        await record_summary(connection, sender.campaign_id)
    (row,) = await pool.fetch("select facts from notifications")
    facts = json.loads(row["facts"])
    assert facts["num_errors"] == 3
    assert "3 uploads" in facts["error_reason"]


async def test_a_refusal_that_came_while_the_summary_was_written_is_summed_up_all_the_same(
    pool: Pool, intake: Intake, make_spool: MakeSpool
) -> None:
    await intake.refuse(make_spool().sender, "a.txt", FindingCode.FILE_NOT_CSV, byte_count=0)
    async with pool.acquire() as connection:
        assert await sweep_summaries(connection) == 0
        await connection.execute("update uploads set untold = true")
        assert await sweep_summaries(connection) == 1
        assert await sweep_summaries(connection) == 0
    assert await pool.fetchval("select count(*) from pgqueuer where entrypoint = 'refusal_summary'") == 1
