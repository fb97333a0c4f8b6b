"""A campaign's keys are added and revoked under its lock: none is added to a campaign that is deleted or being deleted."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from audit.events import Actor
from campaigns.campaigns import add_keys, delete_campaign, revoke_key
from campaigns.errors import CampaignNotFound, CampaignRefused
from database.connections import Connection, Pool
from keys.key_files import parse_public_keys
from keys.public_keys import PublicKey
from keys.ssh_keys import list_keys

if TYPE_CHECKING:
    from tests.conftest import KeyPair

ADMIN = Actor(name="admin")
# Whether somebody waits for a lock that the asking connection holds.
SOMEBODY_WAITS = "select exists (select from pg_locks where pg_backend_pid() = any(pg_blocking_pids(pid)))"


@pytest.fixture
def keys(ed25519_key: "KeyPair", other_key: "KeyPair") -> list[PublicKey]:
    return parse_public_keys(f"{ed25519_key.public_line}\n{other_key.public_line}\n".encode())


async def test_a_key_is_added_with_its_label_and_revoked(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    added = await add_keys(connection, campaign_id, keys, label="batch server", actor=ADMIN)
    await revoke_key(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)

    assert added.added == tuple(keys)
    listed = await list_keys(connection, campaign_id)
    assert [(key.label, key.revoked_at is None) for key in listed] == [
        ("batch server", False),
        ("batch server", True),
    ]


async def test_deleting_a_campaign_revokes_its_keys(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    await add_keys(connection, campaign_id, keys, actor=ADMIN)
    await delete_campaign(connection, campaign_id, actor=ADMIN)

    assert [key.revoked_at is None for key in await list_keys(connection, campaign_id)] == [False, False]
    with pytest.raises(CampaignRefused, match="deleted"):
        await add_keys(connection, campaign_id, keys, actor=ADMIN)


async def test_an_unknown_campaign_takes_and_revokes_no_keys(
    connection: Connection, keys: list[PublicKey]
) -> None:
    with pytest.raises(CampaignNotFound):
        await add_keys(connection, "nobody", keys, actor=ADMIN)
    with pytest.raises(CampaignNotFound):
        await revoke_key(connection, "nobody", keys[0].fingerprint, actor=ADMIN)
    assert await connection.fetchval("select count(*) from ssh_keys") == 0


async def test_a_key_waits_for_a_deletion_under_way_and_is_then_refused(
    pool: Pool, connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    async def add() -> None:
        async with pool.acquire() as other, other.transaction():
            with pytest.raises(CampaignRefused, match="deleted"):
                await add_keys(other, campaign_id, keys, actor=ADMIN)

    async with asyncio.TaskGroup() as tasks, connection.transaction():
        await delete_campaign(connection, campaign_id, actor=ADMIN)
        tasks.create_task(add())
        while not await connection.fetchval(SOMEBODY_WAITS):  # noqa: ASYNC110 - only the database knows
            await asyncio.sleep(0.01)

    assert await list_keys(connection, campaign_id) == []
