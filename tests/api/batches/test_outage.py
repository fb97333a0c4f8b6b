"""PostgreSQL is away at the moment at which a batch send must be answered."""

import asyncio

from pydantic import SecretStr

from campaigns.creation import create_campaign
from config.sections import DatabaseSettings
from config.settings import Settings
from database.connections import connect, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from rules.characters.unsupported import UnsupportedRule
from tests.api.batches.bodies import GOOD, HEADERS, form
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import serving, until_awaited
from tests.conftest import ADMIN, CAMPAIGN_TEMPLATE


async def test_nothing_is_answered_before_it_is_certain(
    api_settings: Settings, own_postgres: PostgreSQLServer
) -> None:
    database = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    api = api_settings.api.model_copy(update={"decide_within": 3.0})
    settings = api_settings.model_copy(update={"database": database, "api": api})
    connection = await connect(database)
    campaign = await create_campaign(
        connection, name="Clinic", template=CAMPAIGN_TEMPLATE, notify_email="a@b.sg", unsupported=UnsupportedRule(), actor=ADMIN
    )  # fmt: skip
    key = await make_api_key(connection, campaign.id)
    async with serving(settings) as port:
        client = APIClient(port, campaign.id, key)
        waiting = asyncio.create_task(client.post("/batch/messages", content=form(GOOD), headers=HEADERS))

        async def is_taken() -> bool:
            return waiting.done() or await connection.fetchval("select count(*) from uploads") == 1

        await until_awaited(is_taken, True)
        await asyncio.to_thread(own_postgres.stop)
        if not waiting.done():
            # The time for a verdict is over, and still nobody knows whether there was one.
            done, _ = await asyncio.wait({waiting}, timeout=4)
            assert not done
        await asyncio.to_thread(own_postgres.start)
        try:
            status = (await waiting).status
        except (OSError, IndexError, ValueError):
            # A machine so busy that PostgreSQL took 20 s to come back: the connection was cut, which says nothing.
            return
    assert status == 503
    async with open_pool(database, name="test") as pool:
        assert await pool.fetchval("select count(*) from uploads where withdrawn_at is null") == 0
