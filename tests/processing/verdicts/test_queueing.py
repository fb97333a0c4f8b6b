"""Who waits for a verdict, in which order, and that no upload waits without a job."""

from dataclasses import replace
from datetime import timedelta

from audit.events import Actor
from database.connections import Pool
from processing.intake import Intake, Sender
from processing.object_store import S3ObjectStore
from processing.verdicts.queueing import HourlyBudget, enqueue_verdict, sweep_uploads
from tests.processing.conftest import GOOD, INTAKE_SETTINGS, MakeSpool


async def test_each_undecided_upload_of_a_campaign_lowers_the_next_ones_priority(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    for number in range(3):
        await intake.store(make_spool(GOOD + b"\n" * number))
    assert [row[0] for row in await pool.fetch("select priority from pgqueuer order by id")] == [0, -1, -2]


async def test_an_upload_that_lost_its_job_is_swept_up(
    intake: Intake, make_spool: MakeSpool, pool: Pool
) -> None:
    await intake.store(make_spool())
    await pool.execute("delete from pgqueuer")
    async with pool.acquire() as connection:
        assert await sweep_uploads(connection, timedelta(seconds=-1)) == 1
        assert await sweep_uploads(connection, timedelta(seconds=-1)) == 0
    assert await pool.fetchval("select count(*) from pgqueuer where status = 'queued'") == 1


async def test_a_sweep_looks_at_all_uploads_however_many_wait(campaign: str, pool: Pool) -> None:
    await pool.execute(
        """
        insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at)
        select 'upload_' || number, $1, 'a.csv', 'received', 1, 'r', now() - interval '1 hour'
        from generate_series(1, 1002) number
        """,
        campaign,
    )
    async with pool.acquire() as connection, connection.transaction():
        await enqueue_verdict(connection, "upload_1", campaign)
        assert await sweep_uploads(connection, timedelta(0)) == 1001
    assert await pool.fetchval("select count(distinct payload) from pgqueuer") == 1002


async def test_what_goes_beyond_a_campaigns_budget_waits_and_another_campaigns_does_not(
    pool: Pool, store: S3ObjectStore, make_spool: MakeSpool
) -> None:
    intake = Intake(
        pool, store, replace(INTAKE_SETTINGS, verdict_budget=HourlyBudget(2 * len(GOOD), max_rows=1_000))
    )
    await pool.execute(
        "insert into campaigns (id, name, header, notify_email) values ('other', 'o', 'o', 'o@agency.example')"
    )
    for number in range(4):
        await intake.store(make_spool(GOOD, file_name=f"{number}.csv"))
    await intake.store(make_spool(GOOD, sender=Sender("other", Actor())))
    waits = await pool.fetch(
        "select round(extract(epoch from execute_after - created) / 60)::int from pgqueuer order by id"
    )
    assert [row[0] for row in waits] == [0, 0, 30, 60, 0]
    await pool.execute(
        "update uploads set num_rows = 1500, finished_at = now(), status = 'rejected', bytes = 1"
    )
    await intake.store(make_spool(GOOD, sender=Sender("other", Actor()), file_name="late.csv"))
    wait = await pool.fetchval(
        "select round(extract(epoch from execute_after - created) / 60)::int from pgqueuer order by id desc limit 1"
    )
    assert wait == 30
