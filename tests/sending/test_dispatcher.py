"""From an accepted batch to the provider and back, through a running dispatcher."""

from config.settings import Settings
from database.connections import Connection, Pool
from tests.sending.sending_node import NotingProvider, add_batch, sending_node, until


async def test_each_message_of_a_batch_leaves_once_with_frame_body_and_values(
    settings: Settings, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch_no = await add_batch(connection, campaign_id, 50, value="Tan\r\nMei")
    async with sending_node(settings, pool, NotingProvider()) as node:
        await until(lambda: len(node.provider.handed_over) == 50, "all 50 at the provider")
        await node.outcomes.flush()
    assert node.provider.rows_of(batch_no) == list(range(2, 52))
    assert {one.message.text for one in node.provider.handed_over} == {"Clinic: Dear Tan\nMei -end"}
    row = await connection.fetchrow("select * from batches where batch_no = $1", batch_no)
    assert row is not None
    assert (row["sent"], row["sending"], row["waiting"], row["cursor_row"]) == (50, 0, False, 51)
    assert node.provider.closed
