"""Calls made up from the document, a few of each kind; `make fuzz` makes thousands."""

import asyncio

import pytest

from config.settings import Settings
from database.connections import Connection, Pool
from messages.identifiers import message_id
from messages.statuses import MessageStatus
from processing.object_store import open_store
from tests.api.batches.conftest import working
from tests.api.client import APIClient
from tests.api.openapi.fuzz_calls import Target
from tests.messages.builders import make_batch


@pytest.fixture
def api_settings(api_settings: Settings) -> Settings:
    """With all the time for verdicts that a busy machine may take."""
    api = api_settings.api.model_copy(update={"decide_within": 110})
    return api_settings.model_copy(update={"api": api})


# The server, in this very process, draws random numbers of its own meanwhile.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.timeout(180)
async def test_no_answer_is_5xx_or_another_than_the_document_has(
    client: APIClient, connection: Connection, settings: Settings, pool: Pool
) -> None:
    batch = await make_batch(
        connection, client.campaign_id, [MessageStatus.FAILURE, MessageStatus.SUCCESS, MessageStatus.SENDING]
    )
    target = Target(
        base_url=f"http://127.0.0.1:{client.port}/api/v2",
        key=client.key,
        ids={"campaignId": client.campaign_id, "messageId": message_id(batch.id, 2), "batchId": batch.id},
        single={"recipient": "6591234567", "language": "english", "values": {"name": "Emily"}},
        file="recipient,language,name\n6591234567,english,Emily\n",
    )
    async with open_store(settings.s3) as store, working(settings, pool, store):
        await asyncio.to_thread(target.fuzz, seed=1, calls=5)
    # Whatever was made up, these calls were good ones.
    for name in ("send_message", "send_batch", "retry_message"):
        assert target.seen[name, 201] > 0, target.seen
    for name in ("retrieve_message", "show_health", "show_openapi"):
        assert target.seen[name, 200] > 0, target.seen
    assert target.seen["retry_message", 400] > 0, target.seen
