"""At a stop, uploads in progress finish and everything else ends at once. And what the audit trail keeps of logins."""

import asyncio
import contextlib
import json

import asyncssh
import pytest
from structlog.testing import capture_logs

from audit.events import Actor, AuditEvent
from config.settings import Settings
from database.connections import Pool
from sftpd.connections.login_audit import LoginAudit, LoginEvent
from sftpd.session.channel import SERVING
from tests.conftest import KeyPair
from tests.sftpd.fronts import (
    GOOD_CSV,
    Front,
    add_campaign,
    change_sftp,
    eventually,
    fingerprint,
    listening_socket,
    running_front,
)


async def test_an_upload_in_progress_finishes_during_a_stop(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, drain_timeout=20), pool) as front:
        connection = await front.connect(campaign, ed25519_key)
        sftp = await connection.start_sftp_client()
        upload = await sftp.open("people.csv", "wb")
        await upload.write(GOOD_CSV[:30])
        idle = await front.connect(campaign, ed25519_key)
        front.stop.set()
        # Whatever has no upload in progress ends meanwhile.
        async with asyncio.timeout(30):
            await idle.wait_closed()
        assert not front.ended.done()
        await upload.write(GOOD_CSV[30:], 30)
        await upload.close()
        assert await pool.fetchval("select array_agg(file_name) from uploads") == ["people.csv"]
        async with asyncio.timeout(30):
            await front.ended


async def test_idle_sessions_and_connections_without_a_login_end_at_once(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    idle = await front.connect(campaign, ed25519_key)
    reader, writer = await front.connect_bare("127.0.0.2")
    await reader.readline()
    front.stop.set()
    # This is far less than the time that an upload would be given.
    async with asyncio.timeout(30):
        await front.ended
        await idle.wait_closed()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_an_upload_that_does_not_finish_is_cut_at_the_deadline(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, drain_timeout=0.5), pool) as front:
        connection = await front.connect(campaign, ed25519_key)
        sftp = await connection.start_sftp_client()
        await sftp.open("people.csv", "wb")
        front.stop.set()
        async with asyncio.timeout(30):
            await front.ended
            await connection.wait_closed()


STORES_WAITING = """
    select count(*) from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.relation = 'uploads'::regclass and not l.granted"""


def tasks_serving_channels() -> list[object]:
    return [task for task in asyncio.all_tasks() if task.get_name() == SERVING]


async def test_the_storing_of_an_upload_whose_client_has_left_does_not_outlive_the_front(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    sftp = await connection.start_sftp_client()
    upload = await sftp.open("people.csv", "wb")
    await upload.write(GOOD_CSV)
    async with pool.acquire() as blocking, blocking.transaction():
        await blocking.execute("lock table uploads in access exclusive mode")
        closing = asyncio.create_task(upload.close())
        async with asyncio.timeout(10):
            while not await blocking.fetchval(STORES_WAITING):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
        connection.abort()
        await asyncio.wait({closing})
        assert closing.exception() is not None
        assert tasks_serving_channels()
        front.stop.set()
        await front.ended
        assert tasks_serving_channels() == []


async def test_a_new_connection_during_a_stop_is_left_to_the_next_process(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    with contextlib.closing(listening_socket()) as listening, contextlib.closing(listening.dup()) as next_one:
        async with running_front(change_sftp(node, drain_timeout=10), pool, listening) as front:
            connection = await front.connect(campaign, ed25519_key)
            sftp = await connection.start_sftp_client()
            upload = await sftp.open("people.csv", "wb")
            with capture_logs() as logs:
                front.stop.set()
                await eventually(lambda: any(line["event"] == "front_draining" for line in logs))
            # The kernel takes it, and keeps it in the queue that all processes share.
            _, writer = await front.connect_bare("127.0.0.2")
            await upload.close()
            async with asyncio.timeout(30):
                await front.ended
            taken, address = next_one.accept()
            taken.close()
            assert address == writer.get_extra_info("sockname")
            writer.close()


async def events(pool: Pool, campaign_id: str) -> list[str]:
    rows = await pool.fetch("select event from audit_events where campaign_id = $1 order by id", campaign_id)
    return [row["event"] for row in rows if row["event"].startswith(("login", "session"))]


async def test_the_trail_keeps_logins_of_known_campaigns_only(
    front: Front, campaign: str, ed25519_key: KeyPair, other_key: KeyPair, pool: Pool
) -> None:
    unknown = "campaign_00000000-0000-4000-8000-000000000000"
    for user in (campaign, unknown):
        with pytest.raises(asyncssh.PermissionDenied):
            await front.connect(user, other_key)
    connection = await front.connect(campaign, ed25519_key)
    connection.close()
    await connection.wait_closed()
    async with asyncio.timeout(30):
        while len(await events(pool, campaign)) < 3:  # noqa: ASYNC110 - written by another task, off the login's path
            await asyncio.sleep(0.02)
    assert await events(pool, campaign) == ["login_refused", "login_accepted", "session_ended"]
    assert await events(pool, unknown) == []
    told = await pool.fetchval("select details from audit_events where event = 'login_refused'")
    assert json.loads(told) == {"reason": "key", "keys_tried": [fingerprint(other_key)]}


async def test_a_flood_of_refused_logins_leaves_a_few_lines_and_a_count(
    pool: Pool, ed25519_key: KeyPair
) -> None:
    campaign_id = await add_campaign(pool, ed25519_key)
    login_audit = LoginAudit(pool)
    actor = Actor(source_address="192.0.2.7")
    for _ in range(1000):
        login_audit.note_refused(campaign_id, actor, "key")
    login_audit.note(LoginEvent(AuditEvent.LOGIN_ACCEPTED, campaign_id, actor))
    await login_audit.finish(timeout=5)
    written = await events(pool, campaign_id)
    assert (written.count("login_refused"), written.count("login_accepted")) == (10, 1)


async def test_a_flood_over_many_names_is_bounded_in_all(pool: Pool) -> None:
    login_audit = LoginAudit(pool)
    for number in range(20_000):
        login_audit.note_refused(f"campaign_{number}", Actor(), "unknown")
    assert len(login_audit._events) <= 120
    assert len(login_audit._refused_of_others) <= 5000
    login_audit._events.clear()


async def test_made_up_names_use_up_nothing_of_a_campaigns_own_budget(
    pool: Pool, ed25519_key: KeyPair
) -> None:
    known_by_key, known_by_login = [await add_campaign(pool, ed25519_key) for _ in range(2)]
    login_audit = LoginAudit(pool)
    login_audit.note_known(known_by_key)
    login_audit.note(LoginEvent(AuditEvent.LOGIN_ACCEPTED, known_by_login, Actor()))
    for number in range(6_000):
        login_audit.note_refused(f"campaign_{number}", Actor(), "unknown")
    for campaign_id in (known_by_key, known_by_login):
        for _ in range(12):
            login_audit.note_refused(campaign_id, Actor(), "key")
    await login_audit.finish(timeout=10)
    assert await events(pool, known_by_key) == ["login_refused"] * 10
    assert await events(pool, known_by_login) == ["login_accepted"] + ["login_refused"] * 10
