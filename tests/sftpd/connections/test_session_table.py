"""Who is connected: told while a client is there and while it puts slowly, by every front, and never in the way of a session."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest

from console.uploads.rows import Connected, list_connected
from console.uploads.scopes import Scope
from database.connections import Connection, Pool
from sftpd.connections import session_table as session_table_module
from sftpd.connections.live_connections import LiveConnection, LiveSessions
from sftpd.connections.session_table import SessionTable
from sftpd.sessions import Session
from tests.conftest import KeyPair
from tests.sftpd.fronts import GOOD_CSV, Front, eventually


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told once a second is told at once, and what is renewed now and then each time."""
    monkeypatch.setattr(session_table_module, "_WRITE_EVERY", 0.02)
    monkeypatch.setattr(session_table_module, "_RENEW_EVERY", 0.1)


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Wait until what is asked of the database is so."""
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.01)


async def connected_when(connection: Connection, holds: Callable[[list[Connected]], bool]) -> list[Connected]:
    """Who is connected, as the console shows it, once that holds."""
    shown: list[Connected] = []

    async def look() -> bool:
        shown[:] = await list_connected(connection, Scope(is_all=True))
        return holds(shown)

    await until(look)
    return shown


async def test_a_client_that_puts_slowly_is_shown_with_what_has_come(
    hasty: None, front: Front, campaign: str, connection: Connection, ed25519_key: KeyPair, tmp_path: Path
) -> None:
    file = tmp_path / "slow.csv"
    file.write_bytes(b"recipient,language,recipient_name\n" + b"6591234567,english,Emily\n" * 80_000)
    command = front.sftp_command(campaign, ed25519_key, "-l", "400")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(b"pwd\n")
        [idle] = await connected_when(connection, bool)
        assert (idle.campaign_id, idle.source_address, idle.receiving_bytes) == (campaign, "127.0.0.1", None)
        process.stdin.write(f"put {file} slow.csv\n".encode())
        [begun] = await connected_when(connection, lambda shown: bool(shown and shown[0].receiving_bytes))
        [grown] = await connected_when(
            connection, lambda shown: (shown[0].receiving_bytes or 0) > (begun.receiving_bytes or 0)
        )
        assert (grown.connection_id, grown.began_at) == (idle.connection_id, idle.began_at)
        assert 0 < (grown.receiving_bytes or 0) <= file.stat().st_size
        # Whoever sees only other campaigns doesn't see it.
        assert not await list_connected(connection, Scope(campaign_ids=("other",)))
    finally:
        process.kill()
        await process.wait()
    await connected_when(connection, lambda shown: not shown)


async def test_after_an_upload_a_client_that_stays_is_shown_as_logged_in(
    hasty: None, front: Front, campaign: str, connection: Connection, ed25519_key: KeyPair
) -> None:
    client = await front.connect(campaign, ed25519_key)
    async with client.start_sftp_client() as sftp:
        file = await sftp.open("a.csv", "wb")
        await file.write(GOOD_CSV)
        [during] = await connected_when(connection, lambda shown: bool(shown and shown[0].receiving_bytes))
        assert during.receiving_bytes == len(GOOD_CSV)
        await file.close()
        await connected_when(connection, lambda shown: bool(shown) and shown[0].receiving_bytes is None)
    # A stop takes out what the front has told.
    front.stop.set()
    await front.ended
    assert await connection.fetchval("select count(*) from sftp_sessions") == 0


def _one_session() -> LiveSessions:
    sessions = LiveSessions()
    live = LiveConnection(ip_address("192.0.2.7"))
    live.session = Session("clinic", live.connection_id, "192.0.2.7", "SHA256:x")
    sessions.add("clinic", live)
    return sessions


async def _rows(connection: Connection) -> list[str]:
    rows = await connection.fetch("select connection_id from sftp_sessions order by began_at")
    return [row["connection_id"] for row in rows]


async def test_what_nobody_renews_is_not_shown_and_is_swept_by_any_front(
    pool: Pool, connection: Connection, campaign_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_table_module, "_RENEW_EVERY", 0.0)
    for name, age in (("gone", 31), ("there", 29)):
        await connection.execute(
            "insert into sftp_sessions (connection_id, campaign_id, seen_at) values ($1, $2, now() - make_interval(secs => $3))",
            name, campaign_id, float(age),
        )  # fmt: skip
    shown = await list_connected(connection, Scope(is_all=True))
    assert [each.connection_id for each in shown] == ["there"]
    sessions = _one_session()
    table = SessionTable(pool, sessions)
    await table.write()
    rows = await _rows(connection)
    assert len(rows) == 2
    assert "gone" not in rows
    # What is there is renewed, whatever somebody else took it for.
    await connection.execute("update sftp_sessions set seen_at = now() - interval '1 minute'")
    await table.write()
    await table.write()
    assert await connection.fetchval(
        "select bool_and(seen_at > now() - interval '30 seconds') from sftp_sessions"
    )


class AwayAtFirst:
    """A pool that can't be used for the first three times."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.tries = pool, 0

    def acquire(self) -> object:
        self.tries += 1
        if self.tries < 4:
            raise ConnectionRefusedError
        return self.pool.acquire()


async def test_a_database_that_is_away_is_told_when_it_is_back(
    pool: Pool, connection: Connection, hasty: None
) -> None:
    away = AwayAtFirst(pool)
    table = SessionTable(cast(Pool, away), _one_session())
    task = asyncio.create_task(table.run())
    await until(lambda: _rows(connection))
    # Nor does any other trouble end the telling.
    await connection.execute("alter table sftp_sessions rename to elsewhere")
    tries = away.tries
    await connection.execute("update elsewhere set seen_at = now() - interval '1 minute'")
    await eventually(lambda: away.tries > tries + 2)
    await connection.execute("alter table elsewhere rename to sftp_sessions")
    await until(
        lambda: connection.fetchval(
            "select bool_and(seen_at > now() - interval '30 seconds') from sftp_sessions"
        )
    )
    task.cancel()
    await table.finish()
    assert not await _rows(connection)
