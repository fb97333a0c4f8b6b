"""Uploads refused before any row was read: each is told, singly or in one e-mail that says how many there were."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from audit.events import Actor
from database.connections import Pool
from processing.intake import Intake, Sender
from processing.object_store import ORIGINALS, S3ObjectStore
from processing.refusals import RefusalBudgets, record_summary, sweep_summaries
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


NOT_CSV, TOO_LARGE, INTERRUPTED = (
    FindingCode.FILE_NOT_CSV,
    FindingCode.FILE_TOO_LARGE,
    FindingCode.UPLOAD_INTERRUPTED,
)
WRITTEN = """
    select (select count(*) from uploads) as uploads, (select count(*) from notifications) as notifications,
           (select count(*) from audit_events) as audit_events,
           (select count(*) from pgqueuer where entrypoint = 'notification') as jobs,
           (select count(*) from pgqueuer where entrypoint = 'refusal_summary') as summaries"""


def with_budgets(pool: Pool, store: S3ObjectStore, names_and_sizes: int, interrupted: int) -> Intake:
    budgets = RefusalBudgets(names_and_sizes=names_and_sizes, interrupted=interrupted)
    return Intake(pool, store, replace(INTAKE_SETTINGS, refusal_budgets=budgets))


async def sum_up(pool: Pool, campaign_id: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await record_summary(connection, campaign_id)


async def test_beyond_the_hours_budget_refusals_leave_only_counts(
    pool: Pool, store: S3ObjectStore, campaign: str
) -> None:
    intake, sender = with_budgets(pool, store, 3, 2), Sender(campaign, Actor())
    told = [
        await intake.refuse(sender, f"{number}.x", code, byte_count=1)
        for number in range(4)
        for code in (NOT_CSV, TOO_LARGE, INTERRUPTED)
    ]
    # Names and sizes share one budget, and interrupted uploads have another.
    assert [upload_id is not None for upload_id in told] == [True] * 4 + [False, True] + [False] * 6
    row = await pool.fetchrow(WRITTEN)
    assert row is not None
    assert dict(row) == {"uploads": 5, "notifications": 5, "audit_events": 5, "jobs": 5, "summaries": 1}
    counts = await pool.fetch("select code, refusals from refusal_counts order by code")
    assert [tuple(count) for count in counts] == [
        ("file_not_csv", 2),
        ("file_too_large", 3),
        ("upload_interrupted", 2),
    ]


async def test_the_bytes_of_interrupted_uploads_beyond_the_budget_are_not_stored(
    pool: Pool, store: S3ObjectStore, campaign: str, make_spool: MakeSpool
) -> None:
    intake, spool = with_budgets(pool, store, 1, 1), make_spool()
    for name in ("a.csv", "b.csv", "c.csv"):
        await intake.refuse(spool.sender, name, INTERRUPTED, byte_count=spool.byte_count, path=spool.path)
    assert await store.delete_older(ORIGINALS, datetime.now(UTC) + timedelta(days=1)) == 1


async def test_refusals_at_the_same_moment_are_counted_one_by_one(
    pool: Pool, store: S3ObjectStore, campaign: str
) -> None:
    intake, sender = with_budgets(pool, store, 5, 1), Sender(campaign, Actor())
    await asyncio.gather(*(intake.refuse(sender, f"{n}.txt", NOT_CSV, byte_count=0) for n in range(30)))
    assert await pool.fetchval("select count(*) from notifications") == 5
    assert await pool.fetchval("select sum(refusals) from refusal_counts") == 25


async def test_an_hour_later_there_is_room_again(pool: Pool, store: S3ObjectStore, campaign: str) -> None:
    intake, sender = with_budgets(pool, store, 1, 1), Sender(campaign, Actor())
    assert await intake.refuse(sender, "a.txt", NOT_CSV, byte_count=0)
    assert await intake.refuse(sender, "b.txt", NOT_CSV, byte_count=0) is None
    await pool.execute("update uploads set received_at = received_at - interval '61 minutes'")
    assert await intake.refuse(sender, "c.txt", NOT_CSV, byte_count=0)


async def test_one_e_mail_sums_up_what_was_counted_by_code(
    pool: Pool, store: S3ObjectStore, campaign: str
) -> None:
    intake, sender = with_budgets(pool, store, 1, 1), Sender(campaign, Actor())
    for number in range(4):
        await intake.refuse(sender, f"{number}.txt", NOT_CSV, byte_count=0)
    for number in range(3):
        await intake.refuse(sender, f"{number}.csv", INTERRUPTED, byte_count=0)
    # A row that a program of the release before has marked, to be summed up.
    await pool.execute(
        "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at, "
        "refusal_code, untold) "
        "values ('upload_old', $1, 'o.txt', 'rejected', 0, '', now() - interval '1 day', now(), 'file_not_csv', true)",
        campaign,
    )
    await sum_up(pool, campaign)
    await sum_up(pool, campaign)
    (row,) = await pool.fetch("select upload_id, facts from notifications where outcome = 0")
    facts = json.loads(row["facts"])
    assert facts["num_errors"] == 6
    assert facts["error_reason"].startswith("this e-mail stands for 6 more uploads")
    assert facts["error_reason"].endswith(": 4 file_not_csv, 2 upload_interrupted")
    # The next one hangs on another upload, where two on the same would be one.
    await intake.refuse(sender, "again.txt", NOT_CSV, byte_count=0)
    await sum_up(pool, campaign)
    assert await pool.fetchval("select count(*) from notifications where outcome = 0") == 2


async def test_counts_whose_job_was_lost_are_summed_up_all_the_same(
    pool: Pool, store: S3ObjectStore, campaign: str
) -> None:
    intake, sender = with_budgets(pool, store, 1, 1), Sender(campaign, Actor())
    for number in range(2):
        await intake.refuse(sender, f"{number}.txt", NOT_CSV, byte_count=0)
    async with pool.acquire() as connection:
        assert await sweep_summaries(connection) == 0
        await connection.execute("delete from pgqueuer where entrypoint = 'refusal_summary'")
        assert await sweep_summaries(connection) == 1
        assert await sweep_summaries(connection) == 0
