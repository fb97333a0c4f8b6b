"""The question at each login gets all that is needed in one answer, and the same answer for all who may not come in."""

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from audit.events import Actor
from campaigns.campaigns import (
    add_keys,
    delete_campaign,
    resume_campaign,
    revoke_key,
    set_allowed_sources,
    suspend_campaign,
)
from campaigns.fields import parse_sources
from database.connections import Connection, Pool
from keys.access import KeyUse, fetch_access, hold_access
from keys.key_files import parse_public_keys

if TYPE_CHECKING:
    from tests.conftest import KeyPair

ADMIN = Actor(name="admin")


async def test_a_campaign_comes_in_by_its_keys_in_force(
    connection: Connection, campaign_id: str, ed25519_key: "KeyPair", rsa_key: "KeyPair"
) -> None:
    keys = parse_public_keys(f"{ed25519_key.public_line}\n{rsa_key.public_line}\n".encode())
    await add_keys(connection, campaign_id, keys, actor=ADMIN)
    await revoke_key(connection, campaign_id, keys[1].fingerprint, actor=ADMIN)
    await set_allowed_sources(connection, campaign_id, parse_sources(["192.0.2.0/24"]), actor=ADMIN)

    access = await fetch_access(connection, campaign_id)

    assert access is not None
    assert access.campaign_id == campaign_id
    assert access.name == "Clinic reminders"
    assert access.fingerprints == {keys[0].fingerprint}
    assert access.allowed_sources == parse_sources(["192.0.2.0/24"])


async def test_unknown_suspended_and_deleted_look_alike(
    connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    await suspend_campaign(connection, campaign_id, actor=ADMIN)
    await delete_campaign(connection, other_campaign_id, actor=ADMIN)

    answers = [await fetch_access(connection, name) for name in ("nobody", campaign_id, other_campaign_id)]

    assert answers == [None, None, None]
    await resume_campaign(connection, campaign_id, actor=ADMIN)
    assert await fetch_access(connection, campaign_id) is not None


@pytest.mark.parametrize("change", ["suspend", "revoke", "allow", "delete"])
async def test_every_loss_of_access_is_announced(
    pool: Pool, connection: Connection, campaign_id: str, ed25519_key: "KeyPair", change: str
) -> None:
    keys = parse_public_keys(ed25519_key.public_line.encode())
    await add_keys(connection, campaign_id, keys, actor=ADMIN)
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with pool.acquire() as listener:
        await listener.add_listener("sftp_gateway_access", lambda *words: heard.put_nowait(words[-1]))
        match change:
            case "suspend":
                await suspend_campaign(connection, campaign_id, actor=ADMIN)
            case "revoke":
                await revoke_key(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)
            case "allow":
                await set_allowed_sources(connection, campaign_id, parse_sources(["192.0.2.1"]), actor=ADMIN)
            case _:
                await delete_campaign(connection, campaign_id, actor=ADMIN)
        assert await asyncio.wait_for(heard.get(), timeout=10) == campaign_id
        await listener.reset()


async def test_access_that_is_held_can_be_taken_away_only_afterwards(
    pool: Pool, connection: Connection, campaign_id: str, ed25519_key: "KeyPair", rsa_key: "KeyPair"
) -> None:
    key, other = parse_public_keys(f"{ed25519_key.public_line}\n{rsa_key.public_line}\n".encode())
    await add_keys(connection, campaign_id, [key, other], actor=ADMIN)
    # By the command line, and by hand, which takes fewer locks.
    changes = (
        "update campaigns set allowed_sources = '{192.0.2.1}' where $1 <> ''",
        "update ssh_keys set revoked_at = now() where fingerprint = $1",
    )
    for change in changes:
        async with pool.acquire() as taking, taking.transaction():
            access = await hold_access(taking, campaign_id, [key.fingerprint])
            assert access is not None
            assert access.fingerprints == {key.fingerprint}
            await connection.execute("set lock_timeout = '100ms'")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await connection.execute(change, key.fingerprint)
            with pytest.raises(asyncpg.LockNotAvailableError):
                await revoke_key(connection, campaign_id, key.fingerprint, actor=ADMIN)
        await connection.execute(change, key.fingerprint)
    async with connection.transaction():
        access = await hold_access(connection, campaign_id, [key.fingerprint, other.fingerprint])
    assert access is not None
    assert access.fingerprints == {other.fingerprint}
    assert not access.lets_in(KeyUse(other.fingerprint, "192.0.2.2"))
    assert access.lets_in(KeyUse(other.fingerprint, "192.0.2.1"))
    assert not access.lets_in(KeyUse(key.fingerprint, "192.0.2.1"))
