"""What tests of this room share: campaigns that exist."""

from collections.abc import AsyncIterator

import pytest

from config.database import Connection, Pool
from keys.audit import Actor
from keys.campaigns import create_campaign
from keys.templates import Language, Template

ADMIN = Actor(name="admin", source_address="192.0.2.9")
TEMPLATE = Template("Clinic", {Language.CHINESE: "您好 {{name}}", Language.ENGLISH: "Dear {{name}}"})


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection to this test's own database."""
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def campaign_id(connection: Connection) -> str:
    """An active campaign without keys."""
    return await create_campaign(
        connection, name="Clinic reminders", template=TEMPLATE, notify_email="ops@clinic.gov.sg", actor=ADMIN
    )


@pytest.fixture
async def other_campaign_id(connection: Connection) -> str:
    """Another one."""
    return await create_campaign(
        connection, name="Library notices", template=TEMPLATE, notify_email="it@library.gov.sg", actor=ADMIN
    )
