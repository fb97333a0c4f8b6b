"""A serving API with a key for callbacks in its database, and a batch whose messages are on their way."""

import base64
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from campaigns.secret_keys import load_keys, make_first_key
from config.sending_sections import SecretsSettings
from config.settings import Settings
from database.connections import Connection
from messages.statuses import MessageStatus
from tests.api.served import ServedAPI, serving
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
