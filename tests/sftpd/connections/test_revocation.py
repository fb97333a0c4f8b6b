"""Whoever loses access loses it at once, on every process, whatever PostgreSQL goes through meanwhile."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from ipaddress import IPv4Network
from pathlib import Path

import asyncssh
import pytest
from structlog.testing import capture_logs

from campaigns.campaigns import delete_campaign, revoke_key, set_allowed_sources, suspend_campaign
from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from tests.conftest import KeyPair
from tests.sftpd.fronts import (
    GOOD_CSV,
    OPS,
    Front,
    add_campaign,
    change_sftp,
    eventually,
    fingerprint,
    install_host_keys,
    listening_socket,
    running_front,
)

# Seconds. A second is what is promised; here other tests may run beside it, and without a word it would be for ever.
AT_ONCE = 20.0
Change = Callable[[Connection, str, KeyPair], Coroutine[None, None, object]]


async def suspend(connection: Connection, campaign_id: str, _key: KeyPair) -> None:
    await suspend_campaign(connection, campaign_id, actor=OPS)


async def delete(connection: Connection, campaign_id: str, _key: KeyPair) -> None:
    await delete_campaign(connection, campaign_id, actor=OPS)


async def revoke(connection: Connection, campaign_id: str, key: KeyPair) -> None:
    await revoke_key(connection, campaign_id, fingerprint(key), actor=OPS)


async def allow_elsewhere(connection: Connection, campaign_id: str, _key: KeyPair) -> None:
    await set_allowed_sources(connection, campaign_id, [IPv4Network("192.0.2.0/24")], actor=OPS)


CHANGES: dict[str, Change] = {
    "suspended": suspend,
    "deleted": delete,
    "key revoked": revoke,
    "source taken away": allow_elsewhere,
}


async def change(pool: Pool, what: Change, campaign_id: str, key: KeyPair) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await what(connection, campaign_id, key)


@pytest.mark.parametrize("what", CHANGES.values(), ids=CHANGES)
async def test_a_live_session_ends_at_once(
    front: Front, campaign: str, ed25519_key: KeyPair, other_key: KeyPair, pool: Pool, what: Change
) -> None:
    bystander = await front.connect(await add_campaign(pool, other_key), other_key)
    connection = await front.connect(campaign, ed25519_key)
    sftp = await connection.start_sftp_client()
    await change(pool, what, campaign, ed25519_key)
    async with asyncio.timeout(AT_ONCE):
        await connection.wait_closed()
    with pytest.raises(asyncssh.PermissionDenied):
        await front.connect(campaign, ed25519_key)
    assert not bystander.is_closed()
    sftp.exit()


async def test_another_key_of_the_same_campaign_stays(
    front: Front, ed25519_key: KeyPair, other_key: KeyPair, pool: Pool
) -> None:
    campaign_id = await add_campaign(pool, ed25519_key, other_key)
    revoked = await front.connect(campaign_id, ed25519_key)
    stays = await front.connect(campaign_id, other_key)
    await change(pool, revoke, campaign_id, ed25519_key)
    async with asyncio.timeout(AT_ONCE):
        await revoked.wait_closed()
    async with stays.start_sftp_client() as sftp:
        assert await sftp.listdir("/") is not None


async def test_an_unfinished_upload_is_dropped_and_a_finished_one_stays(
    front: Front, campaign: str, ed25519_key: KeyPair, pool: Pool, node: Settings
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    sftp = await connection.start_sftp_client()
    async with sftp.open("whole.csv", "wb") as whole:
        await whole.write(GOOD_CSV)
    half = await sftp.open("half.csv", "wb")
    await half.write(GOOD_CSV)
    await change(pool, suspend, campaign, ed25519_key)
    async with asyncio.timeout(AT_ONCE):
        await connection.wait_closed()
    folder = node.sftp.spool_dir / campaign
    await eventually(lambda: not list(folder.glob("*.bytes")))
    assert await pool.fetchval("select array_agg(file_name) from uploads") == ["whole.csv"]


@contextlib.asynccontextmanager
async def processes_on_one_port(variables: dict[str, str], count: int) -> AsyncIterator[int]:
    """Front processes that inherited one listening socket. Yields its port."""
    with contextlib.closing(listening_socket()) as listening:
        listening.set_inheritable(True)
        begun = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.sftpd.serve_front", str(listening.fileno())),
                pass_fds=[listening.fileno()],
                env={**os.environ, **variables},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            for _ in range(count)
        ]
        try:
            for process in begun:
                assert process.stdout is not None
                async with asyncio.timeout(30):
                    assert await process.stdout.readline() == b"ready\n"
            yield listening.getsockname()[1]
        finally:
            for process in begun:
                process.terminate()
            async with asyncio.timeout(15):
                statuses = [await process.wait() for process in begun]
    assert statuses == [0] * count


@pytest.mark.usefixtures("node")
async def test_with_two_processes_on_the_port_all_sessions_end_within_a_second(
    gateway_variables: dict[str, str], campaign: str, ed25519_key: KeyPair, pool: Pool
) -> None:
    variables = gateway_variables | {
        "SFTP_GATEWAY_SFTP__PROCESSES": "2",
        "SFTP_GATEWAY_SFTP__MAX_SESSIONS_PER_CAMPAIGN": "40",
    }
    async with processes_on_one_port(variables, 2) as port:
        connections = [
            await asyncssh.connect(
                *("127.0.0.1", port),
                username=campaign,
                client_keys=[str(ed25519_key.private_file)],
                known_hosts=None,
                config=None,
                agent_path=None,
            )
            for _ in range(12)
        ]
        await change(pool, revoke, campaign, ed25519_key)
        async with asyncio.timeout(AT_ONCE):
            await asyncio.gather(*(connection.wait_closed() for connection in connections))


async def test_after_postgresql_restarts_what_was_not_heard_is_found(
    own_postgres: PostgreSQLServer,
    settings: Settings,
    made_host_keys: Path,
    ed25519_key: KeyPair,
    other_key: KeyPair,
) -> None:
    database = settings.database.model_copy(
        update={"url": type(settings.database.url)(own_postgres.socket_url("postgres"))}
    )
    own = settings.model_copy(update={"database": database})
    async with open_pool(database, name="test") as pool:
        await install_host_keys(own, pool, made_host_keys)
        suspended = await add_campaign(pool, ed25519_key)
        stays = await add_campaign(pool, other_key)
        async with running_front(change_sftp(own, drain_timeout=3), pool) as front:
            first = await front.connect(suspended, ed25519_key)
            second = await front.connect(stays, other_key)
            await asyncio.to_thread(own_postgres.stop)
            # Sessions go on without the database; only new logins wait.
            with pytest.raises(asyncssh.DisconnectError, match="not possible at the moment"):
                await front.connect(stays, other_key)
            assert not first.is_closed()
            await asyncio.to_thread(own_postgres.start)
            # The table is changed with its triggers off, as if another node had announced it while we didn't listen.
            own_postgres.run_sql(
                "alter table campaigns disable trigger all; "
                f"update campaigns set status = 'suspended' where id = '{suspended}'"
            )
            async with asyncio.timeout(10):
                await first.wait_closed()
            assert not second.is_closed()


async def test_failed_logins_do_not_count_while_postgresql_is_away(
    own_postgres: PostgreSQLServer, settings: Settings, made_host_keys: Path, ed25519_key: KeyPair
) -> None:
    database = settings.database.model_copy(
        update={"url": type(settings.database.url)(own_postgres.socket_url("postgres"))}
    )
    own = settings.model_copy(update={"database": database})
    async with open_pool(database, name="test") as pool:
        await install_host_keys(own, pool, made_host_keys)
        campaign_id = await add_campaign(pool, ed25519_key)
        async with running_front(change_sftp(own, drain_timeout=3, shutout_failures=2), pool) as front:
            await asyncio.to_thread(own_postgres.stop)
            for _ in range(4):
                with pytest.raises(asyncssh.DisconnectError, match="not possible at the moment"):
                    await front.connect(campaign_id, ed25519_key)
                with pytest.raises(asyncssh.PermissionDenied):
                    await front.connect("no campaign", ed25519_key)
            await asyncio.to_thread(own_postgres.start)
            await front.connect(campaign_id, ed25519_key)


QUESTIONS_WAITING = """
    select count(*) from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.relation = 'campaigns'::regclass and not l.granted"""


def ended_logins(logs: Sequence[Mapping[str, object]]) -> list[object]:
    """What became of the logins that were not let in."""
    return [line["event"] for line in logs if "keys_tried" in line]


async def test_who_leaves_while_postgresql_owes_an_answer_has_not_failed(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, shutout_failures=1), pool) as front:
        with capture_logs() as logs:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute("lock table campaigns in access exclusive mode")
                leaving = asyncio.create_task(front.connect(campaign, ed25519_key))
                async with asyncio.timeout(10):
                    while not await connection.fetchval(QUESTIONS_WAITING):  # noqa: ASYNC110 - PostgreSQL tells nobody
                        await asyncio.sleep(0.01)
                leaving.cancel()
                await asyncio.wait({leaving})
                await eventually(lambda: ended_logins(logs) == ["login_unavailable"])
        await front.connect(campaign, ed25519_key)
