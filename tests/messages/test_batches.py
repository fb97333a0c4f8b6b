"""How an accepted upload's batch gets into its table, and where it stands among the campaign's messages."""

import io
from datetime import datetime

from database.connections import Connection, Pool
from messages.batches import create_batch
from messages.pages import Scope, Towards, fetch_page
from tests.messages.builders import fill_campaign

BATCH = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"


async def clock(connection: Connection) -> datetime:
    """The database's clock, in milliseconds, once it is past all that was asked before."""
    # Two milliseconds, in which the database does nothing else.
    moment: datetime = await connection.fetchval(
        "select date_trunc('milliseconds', clock_timestamp()) from pg_sleep(0.002)"
    )
    return moment


async def test_a_batch_that_took_long_to_write_is_newer_than_what_was_committed_meanwhile(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    """Else whoever has seen the newest message, and asks for what is newer still, would never see the batch."""
    await connection.execute(
        "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at)"
        " values ('upload_1', $1, 'a.csv', 'validating', 1, 'r', now())",
        campaign_id,
    )
    async with pool.acquire() as other, other.transaction():
        assert await other.fetchval("select now()")
        await fill_campaign(connection, campaign_id, [1], at=await clock(connection))
        await clock(connection)
        seen = await fetch_page(connection, Scope(campaign_id), limit=5)
        await create_batch(
            other,
            batch_id=BATCH,
            campaign_id=campaign_id,
            upload_id="upload_1",
            file_name="a.csv",
            frame={"before": "", "after": {"english": ""}},
            messages=io.BytesIO(b'6591234567\tenglish\t{"name": "Tan"}\t1\tGSM-7\t2\n'),
            columns=["recipient", "language", "values", "segments", "encoding", "row_number"],
            total_messages=1,
        )
    newer = await fetch_page(connection, Scope(campaign_id), limit=5, place=seen.first, towards=Towards.NEWER)
    assert [message.batch.id for message in newer.messages] == [BATCH]
    assert newer.messages[0].created_at.microsecond % 1000 == 0
