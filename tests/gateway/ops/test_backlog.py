"""What waits, as Prometheus is told: a gauge that never goes down again would be an alert for ever."""

from datetime import UTC, datetime, timedelta

from audit.events import Actor
from config.settings import Settings
from database.connections import Connection, Pool
from gateway.ops.backlog import fetch_backlogs
from gateway.ops.dependencies import Backlog
from gateway.processes.front import intake_settings
from messages.statuses import MessageStatus
from processing.intake import Intake, Sender
from processing.object_store import open_store
from processing.refusals import record_summary
from rules.codes import FindingCode
from tests.messages.builders import make_batch

CAMPAIGN = "campaign_backlog"
UNPROVIDED = "sftp_gateway_batches_without_provider"


async def count_waiting(pool: Pool) -> float:
    families = await fetch_backlogs(pool, [Backlog.UPLOADS])
    return {family.name: family.samples[0].value for family in families if family.samples}[
        "sftp_gateway_notifications_waiting"
    ]


async def gauges_of_messages(pool: Pool) -> dict[str, float]:
    """Each gauge's value by the value of its label, or by its name where it has none."""
    families = await fetch_backlogs(pool, [Backlog.MESSAGES])
    return {
        next(iter(sample.labels.values()), sample.name): sample.value
        for family in families
        for sample in family.samples
    }


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
    assert await count_waiting(pool) == 1
    async with pool.acquire() as connection, connection.transaction():
        await record_summary(connection, CAMPAIGN)
    assert await count_waiting(pool) == 2
    await pool.execute("update notifications set done_at = now()")
    assert await count_waiting(pool) == 0


async def test_messages_that_wait_are_told_by_class_with_what_keeps_them(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    quiet = {
        "otp": 0,
        "single": 0,
        "batch": 0,
        "later": 0,
        "resumed": 0,
        "upgrade": 0,
        "stale": 0,
        "restored": 0,
        UNPROVIDED: 0,
    }
    assert await gauges_of_messages(pool) == quiet
    now = datetime.now(UTC)
    waiting = await make_batch(connection, campaign_id, [], unclaimed=2, at=now - timedelta(seconds=100))
    # One that goes again, of a class of its own.
    retried = [MessageStatus.ENQUEUED]
    await make_batch(connection, campaign_id, retried, priority=0, at=now - timedelta(seconds=50))
    held = await make_batch(connection, campaign_id, [], unclaimed=1, taken=False)
    await connection.execute(
        "update batches set held_since = now(), held_because = 'stale' where batch_no = $1", held.batch_no
    )
    await connection.execute(
        "insert into senders (name, provider, rate, paused_since, paused_until) values"
        " ('MG1', 'twilio', 1, now(), null), ('MG2', 'twilio', 1, now(), now() + interval '1 minute'),"
        " ('MG3', 'twilio', 1, now(), now() - interval '1 minute')"
    )
    told = await gauges_of_messages(pool)
    assert 100 <= told.pop("batch") < 140
    assert 50 <= told.pop("otp") < 90
    assert told == {
        "single": 0,
        "later": 1,
        "resumed": 1,
        "upgrade": 0,
        "stale": 1,
        "restored": 0,
        UNPROVIDED: 0,
    }
    # Of a suspended campaign, messages wait because somebody wants them to.
    await connection.execute("update campaigns set status = 'suspended'")
    assert (await gauges_of_messages(pool))["batch"] == 0
    await connection.execute("update campaigns set status = 'active'")
    await connection.execute("update batches set waiting = false where batch_no = $1", waiting.batch_no)
    await connection.execute("delete from due")
    assert (await gauges_of_messages(pool))["batch"] == 0


async def test_batches_wait_for_a_provider_that_their_channel_or_campaign_lacks(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await make_batch(connection, campaign_id, [], unclaimed=1)
    await make_batch(connection, campaign_id, [], unclaimed=1, taken=False)
    assert (await gauges_of_messages(pool))[UNPROVIDED] == 0
    await connection.execute("update senders set provider = 'none'")
    assert (await gauges_of_messages(pool))[UNPROVIDED] == 1
    await connection.execute("update campaigns set channel = 'internal'")
    assert (await gauges_of_messages(pool))[UNPROVIDED] == 2
    await connection.execute("update campaigns set status = 'suspended'")
    assert (await gauges_of_messages(pool))[UNPROVIDED] == 0
