"""A single send goes the way of every message: its lane by the campaign's purpose, and the text that its answer told."""

from dataclasses import replace

from config.settings import Settings
from database.connections import Connection, Pool
from rules.segments import segment
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import until
from tests.sending.sending_node import NotingProvider, sending_node


async def test_what_is_handed_over_is_what_was_answered_and_passwords_have_their_own_lane(
    settings: Settings, pool: Pool, connection: Connection, client: APIClient, other_campaign_id: str
) -> None:
    await connection.execute("update campaigns set otp = true where id = $1", other_campaign_id)
    other = replace(
        client, campaign_id=other_campaign_id, key=await make_api_key(connection, other_campaign_id)
    )
    bodies: list[dict[str, object]] = [
        {"recipient": "6591234567", "language": "english", "values": {"name": "Aisha"}},
        {"recipient": "6591234568", "language": "chinese", "values": {"name": "一\r\n二"}},
    ]
    answers = {
        (caller is other, document["recipient"]): document
        for caller in (client, other)
        for document in [(await caller.post("/messages", json=body)).json for body in bodies]
    }
    provider = NotingProvider()
    async with sending_node(settings, pool, provider):
        await until(lambda: len(provider.handed_over) == 4)
    for one in provider.handed_over:
        answer = answers[one.message.is_otp, one.message.recipient]
        # Line ends are told as they were sent, and go out as LF.
        assert one.message.text == answer["fullMessage"]
        counted = segment(one.message.text)
        assert (one.message.segments, one.message.encoding) == (counted.segments, counted.encoding)
    lanes = await connection.fetch("select campaign_id, priority from lanes order by priority")
    assert [tuple(lane) for lane in lanes] == [(other_campaign_id, 0), (client.campaign_id, 1)]
