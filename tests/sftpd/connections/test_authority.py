"""Whether an upload may be taken is decided by the database in the transaction that takes it, whatever a front has heard.

Here the front's own connection, on which changes of access are announced, goes through a line that swallows everything.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Network

import asyncssh
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from campaigns.campaigns import revoke_key, set_allowed_sources, suspend_campaign
from config.settings import Settings
from database.connections import Pool
from gateway.embedded.postgres import PostgreSQLServer
from tests.clients.relay import Relay, open_relay
from tests.conftest import KeyPair
from tests.sftpd.fronts import (
    GOOD_CSV,
    OPS,
    Front,
    add_campaign,
    change_sftp,
    eventually,
    fingerprint,
    running_front,
)


async def revoke(pool: Pool, campaign_id: str, key: KeyPair) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await revoke_key(connection, campaign_id, fingerprint(key), actor=OPS)


OpenDeafFront = Callable[..., contextlib.AbstractAsyncContextManager[tuple[Front, Relay]]]


@pytest.fixture
def open_deaf_front(
    node: Settings, pool: Pool, postgres: PostgreSQLServer, database_url: str
) -> OpenDeafFront:
    """Opens a front that hears of no change once its relay stalls. Its other connections go to the database as always."""

    @contextlib.asynccontextmanager
    async def opened(recheck_interval: float = 30) -> AsyncIterator[tuple[Front, Relay]]:
        database = database_url.partition("@/")[2].partition("?")[0]
        async with open_relay(postgres.port) as relay:
            url = postgres.tcp_url(database).replace(f":{postgres.port}/", f":{relay.port}/")
            heard = node.database.model_copy(update={"url": SecretStr(url), "connect_timeout": 2})
            settings = change_sftp(
                node.model_copy(update={"database": heard}), recheck_interval=recheck_interval
            )
            async with running_front(settings, pool) as front:
                await eventually(lambda: relay.moved > 200)
                yield front, relay
                relay.flow()

    return opened


async def append(client: asyncssh.SFTPClient, name: str, content: bytes) -> None:
    """Resume an unfinished upload at its end."""
    async with client.open(name, "r+b") as resumed:
        await resumed.seek(0, 2)
        await resumed.write(content)


async def test_no_upload_is_taken_after_its_key_was_revoked_though_the_front_is_deaf(
    open_deaf_front: OpenDeafFront, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with open_deaf_front() as (front, relay):
        connection = await front.connect(campaign, ed25519_key)
        sftp = await connection.start_sftp_client()
        async with sftp.open("before.csv", "wb") as upload:
            await upload.write(GOOD_CSV)
        relay.stall()
        await revoke(pool, campaign, ed25519_key)
        for number in range(5):
            with pytest.raises(asyncssh.SFTPPermissionDenied, match="access has ended"):
                async with sftp.open(f"after{number}.csv", "wb") as upload:
                    await upload.write(GOOD_CSV)
    assert await pool.fetchval("select array_agg(file_name) from uploads") == ["before.csv"]
    assert await pool.fetchval("select count(*) from pgqueuer where entrypoint = 'verdict'") == 1


@pytest.mark.parametrize("what", ["suspended", "source"])
async def test_nor_is_one_of_a_suspended_campaign_or_from_a_source_taken_away(
    open_deaf_front: OpenDeafFront, pool: Pool, campaign: str, ed25519_key: KeyPair, what: str
) -> None:
    async with open_deaf_front() as (front, relay):
        sftp = await (await front.connect(campaign, ed25519_key)).start_sftp_client()
        relay.stall()
        async with pool.acquire() as connection, connection.transaction():
            if what == "suspended":
                await suspend_campaign(connection, campaign, actor=OPS)
            else:
                await set_allowed_sources(connection, campaign, [IPv4Network("192.0.2.0/24")], actor=OPS)
        with pytest.raises(asyncssh.SFTPPermissionDenied, match="access has ended"):
            async with sftp.open("after.csv", "wb") as upload:
                await upload.write(GOOD_CSV)
    assert await pool.fetchval("select count(*) from uploads") == 0


async def test_bytes_of_a_key_revoked_meanwhile_are_not_taken_when_another_key_renames_them(
    open_deaf_front: OpenDeafFront, pool: Pool, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    campaign_id = await add_campaign(pool, ed25519_key, other_key)
    async with open_deaf_front() as (front, relay):
        good = await (await front.connect(campaign_id, ed25519_key)).start_sftp_client()
        stolen = await (await front.connect(campaign_id, other_key)).start_sftp_client()
        async with good.open("list.csv.part", "wb") as upload:
            await upload.write(GOOD_CSV)
        await append(stolen, "list.csv.part", b"6591234569,english,Mallory\n")
        relay.stall()
        await revoke(pool, campaign_id, other_key)
        with pytest.raises(
            asyncssh.SFTPPermissionDenied, match="a key that wrote into this upload was withdrawn"
        ):
            await good.rename("list.csv.part", "list.csv")
        # What can never be taken makes room for the whole upload, which can.
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await good.stat("list.csv.part")
        async with good.open("list.csv.part", "wb") as upload:
            await upload.write(GOOD_CSV)
        await good.rename("list.csv.part", "list.csv")
    assert await pool.fetchval("select array_agg(bytes) from uploads") == [len(GOOD_CSV)]


async def test_when_a_key_is_revoked_whatever_it_wrote_into_is_dropped(
    front: Front, pool: Pool, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    campaign_id = await add_campaign(pool, ed25519_key, other_key)
    good = await (await front.connect(campaign_id, ed25519_key)).start_sftp_client()
    stolen = await (await front.connect(campaign_id, other_key)).start_sftp_client()
    for name in ("touched.csv.part", "untouched.csv.part"):
        async with good.open(name, "wb") as upload:
            await upload.write(GOOD_CSV)
    await append(stolen, "touched.csv.part", b"6591234569,english,Mallory\n")
    await revoke(pool, campaign_id, other_key)
    folder = front.settings.sftp.spool_dir / campaign_id
    await eventually(lambda: len(list(folder.glob("*.bytes"))) == 1)
    await good.rename("untouched.csv.part", "untouched.csv")
    with pytest.raises(asyncssh.SFTPNoSuchFile):
        await good.rename("touched.csv.part", "touched.csv")


async def test_live_sessions_are_judged_anew_though_nothing_was_announced(
    open_deaf_front: OpenDeafFront, pool: Pool, ed25519_key: KeyPair, other_key: KeyPair
) -> None:
    campaign_id = await add_campaign(pool, ed25519_key, other_key)
    async with open_deaf_front(recheck_interval=1) as (front, relay):
        revoked = await front.connect(campaign_id, ed25519_key)
        stays = await front.connect(campaign_id, other_key)
        relay.stall()
        await revoke(pool, campaign_id, ed25519_key)
        async with asyncio.timeout(10):
            await revoked.wait_closed()
        assert not stays.is_closed()


async def test_a_listening_connection_that_has_gone_silent_is_opened_anew(
    open_deaf_front: OpenDeafFront, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    with capture_logs() as logs:
        async with open_deaf_front(recheck_interval=0.5) as (front, relay):
            await eventually(
                lambda: any(line["event"] == "access_watch_connected" for line in logs), timeout=20
            )
            relay.stall()
            # The question goes unanswered for 3 s; then the connection is given up, and the next one is not answered either.
            await eventually(lambda: any(line["event"] == "access_watch_lost" for line in logs), timeout=20)
            await eventually(
                lambda: any(line["event"] == "access_watch_unreachable" for line in logs), timeout=20
            )
            relay.flow()
            connected = [line for line in logs if line["event"] == "access_watch_connected"]
            await eventually(
                lambda: (
                    len([line for line in logs if line["event"] == "access_watch_connected"]) > len(connected)
                ),
                timeout=20,
            )
            connection = await front.connect(campaign, ed25519_key)
            await revoke(pool, campaign, ed25519_key)
            async with asyncio.timeout(30):
                await connection.wait_closed()
