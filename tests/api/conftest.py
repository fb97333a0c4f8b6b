"""A serving API with a key for callbacks in its database, a campaign that may call it, and a batch that is on its way."""

import base64
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from campaigns.api_access import (
    MOST_RATE,
    add_api_key,
    change_api_addresses,
    parse_api_addresses,
    set_api_rate,
)
from campaigns.secret_keys import load_keys, make_first_key
from config.environment import Environment
from config.sending_sections import SecretsSettings
from config.settings import Settings
from database.connections import Connection
from messages.statuses import MessageStatus
from tests.api.client import APIClient
from tests.api.served import ServedAPI, serving
from tests.conftest import ADMIN
from tests.messages.builders import MadeBatch, make_batch

SECRETS = SecretsSettings(key=SecretStr(base64.b64encode(bytes(32)).decode()))


@pytest.fixture
def api_settings(settings: Settings) -> Settings:
    """With a key for secrets."""
    return settings.model_copy(update={"secrets": SECRETS})


@pytest.fixture
async def callback_keys(connection: Connection) -> list[bytes]:
    """The keys that callbacks are signed with, of which there is one."""
    async with connection.transaction():
        await make_first_key(connection, SECRETS)
    return list((await load_keys(connection, SECRETS)).callback_keys)


@pytest.fixture
async def api(api_settings: Settings, callback_keys: list[bytes]) -> AsyncIterator[ServedAPI]:
    async with serving(api_settings) as port:
        yield ServedAPI(port, callback_keys)


@pytest.fixture
async def batch(connection: Connection, campaign_id: str) -> MadeBatch:
    """Three messages that are being handed over."""
    return await make_batch(connection, campaign_id, [MessageStatus.SENDING] * 3)


async def make_api_key(
    connection: Connection, campaign_id: str, environment: Environment = Environment.TEST
) -> str:
    """Let the campaign call the API from this machine, as often as it can, and make it a key, which is returned."""
    async with connection.transaction():
        addresses = parse_api_addresses(["127.0.0.1", "::1"])
        await change_api_addresses(connection, campaign_id, added=addresses, removed=(), actor=ADMIN)
        await set_api_rate(connection, campaign_id, MOST_RATE, actor=ADMIN)
        key = await add_api_key(connection, campaign_id, environment=environment, name="", actor=ADMIN)
    return key.text


@pytest.fixture
async def api_key(connection: Connection, campaign_id: str) -> str:
    """A key of `campaign_id`, which may call from 127.0.0.1 and ::1, 1,000 times a second."""
    return await make_api_key(connection, campaign_id)


@pytest.fixture
def client(api: ServedAPI, campaign_id: str, api_key: str) -> APIClient:
    """Calls for `campaign_id` to the serving API."""
    return APIClient(api.port, campaign_id, api_key)
