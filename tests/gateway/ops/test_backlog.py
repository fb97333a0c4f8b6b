"""What waits, as Prometheus is told: a gauge that never goes down again would be an alert for ever."""

from audit.events import Actor
from config.settings import Settings
from database.connections import Pool
from gateway.ops.backlog import fetch_backlog
from gateway.processes.front import intake_settings
from processing.intake import Intake, Sender
from processing.object_store import open_store
from processing.refusals import record_summary
from rules.codes import FindingCode

CAMPAIGN = "campaign_backlog"


async def count_untold(pool: Pool) -> float:
    gauges = {family.name: family.samples[0].value for family in await fetch_backlog(pool) if family.samples}
    return gauges["sftp_gateway_uploads_untold"]


async def test_refusals_told_by_one_summary_do_not_wait_for_ever(pool: Pool, settings: Settings) -> None:
    await pool.execute(
        "insert into campaigns (id, name, header, notify_email) values ($1, 'c', 'c', 'a@b.c')", CAMPAIGN
    )
    sftp = settings.sftp.model_copy(update={"max_not_csv_notifications": 1})
    async with open_store(settings.s3) as store:
        intake = Intake(pool, store, intake_settings(sftp))
        for number in range(4):
            sender = Sender(CAMPAIGN, Actor())
            await intake.refuse(sender, f"{number}.txt", FindingCode.FILE_NOT_CSV, byte_count=0)
    assert await count_untold(pool) == 1
    async with pool.acquire() as connection, connection.transaction():
        await record_summary(connection, CAMPAIGN)
    assert await count_untold(pool) == 2
    await pool.execute("update notifications set done_at = now()")
    assert await count_untold(pool) == 0
