"""The budget of a connection, driven by clients that use it up (2-gateway.md §1, "Limits")."""

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import Byte, String, UInt32
from structlog.testing import capture_logs
from structlog.typing import EventDict

from config.settings import Settings
from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import GOOD_CSV, Front, change_sftp, eventually, running_front

PROVE = b"hostkeys-prove-00@openssh.com"
SUCCESS, FAILURE = 81, 82
INIT = UInt32(5) + b"\x01" + UInt32(3)


def budgets_in(logs: Sequence[EventDict]) -> list[str]:
    return [line["budget"] for line in logs if line["event"] == "session_budget_reached"]


async def exchange_keys(connection: asyncssh.SSHClientConnection) -> None:
    connection._kexinit_sent = True
    connection._send_kexinit()
    async with asyncio.timeout(30):
        while not connection._kex_complete:  # noqa: ASYNC110 - asyncssh has no event for it
            await asyncio.sleep(0.005)


async def test_a_host_key_is_proven_once(front: Front, campaign: str, ed25519_key: KeyPair) -> None:
    connection = await front.connect(campaign, ed25519_key, server_host_key_algs=["rsa-sha2-512"])
    host_key = connection.get_server_host_key()
    assert host_key is not None
    named = String(host_key.public_data)
    with capture_logs() as logs:
        for names, expected in ((named * 2, FAILURE), (named, SUCCESS), (named, FAILURE)):
            answer, packet = await connection._make_global_request(PROVE, names)
            assert answer == expected
            if answer == SUCCESS:
                signed = String(PROVE) + String(connection._session_id) + named
                assert host_key.verify(signed, packet.get_string())
    assert budgets_in(logs) == ["host_keys"]


@pytest.mark.parametrize(
    "name", ["tcpip-forward", "streamlocal-forward@openssh.com", "no-more-sessions@openssh.com", "x"]
)
async def test_requests_of_the_connection_that_nobody_needs_are_refused(
    front: Front, campaign: str, ed25519_key: KeyPair, name: str
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    answer, _ = await connection._make_global_request(name.encode(), String("x") + UInt32(0))
    assert answer == FAILURE
    answer, _ = await connection._make_global_request(b"keepalive@openssh.com")
    assert answer == SUCCESS


async def test_a_second_key_exchange_waits_for_its_time(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, key_exchange_interval=1.0), pool) as front:
        connection = await front.connect(campaign, ed25519_key)
        with capture_logs() as logs:
            await exchange_keys(connection)
            began = time.monotonic()
            await exchange_keys(connection)
            assert time.monotonic() - began > 0.9
        assert budgets_in(logs) == ["key_exchange_interval"]
        async with connection.start_sftp_client() as sftp:
            assert await sftp.listdir("/") is not None


async def test_after_many_bytes_keys_may_be_exchanged_sooner(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    async with running_front(change_sftp(node, key_exchange_bytes=20_000), pool) as front:
        connection = await front.connect(campaign, ed25519_key, rekey_bytes=40_000)
        with capture_logs() as logs:
            async with connection.start_sftp_client() as sftp, sftp.open("many.csv", "wb") as upload:
                await upload.write(GOOD_CSV + b"6591234567,english,A\n" * 8000)
        assert budgets_in(logs) == []


async def test_a_connection_that_ends_while_its_key_exchange_waits_leaves_nothing(
    front: Front, campaign: str, ed25519_key: KeyPair
) -> None:
    connection = await front.connect(campaign, ed25519_key)
    with capture_logs() as logs:
        connection._kexinit_sent = True
        connection._send_kexinit()
        await eventually(lambda: bool(budgets_in(logs)))
        connection.abort()
        await eventually(lambda: any(line["event"] == "connection_ended" for line in logs))
    # The fixture then stops the front, which waits for no key exchange.


async def begin(front: Front) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has said its version, and heard the front's and its algorithms."""
    reader, writer = await front.connect_bare()
    writer.write(b"SSH-2.0-Test\r\n")
    await reader.readline()
    length = int.from_bytes(await reader.readexactly(4), "big")
    await reader.readexactly(length)
    return reader, writer


def packet(payload: bytes) -> bytes:
    """A packet before any keys are exchanged (RFC 4253 §6)."""
    padding = 16 - (5 + len(payload)) % 8
    return UInt32(1 + len(payload) + padding) + Byte(padding) + payload + bytes(padding)


async def test_a_key_exchange_begins_with_no_more_than_some_algorithms(front: Front) -> None:
    reader, writer = await begin(front)
    lists = [b"curve25519-sha256" + b"," * 8192, *[b""] * 9]
    writer.write(packet(b"\x14" + bytes(16) + b"".join(map(String, lists)) + bytes(5)))
    async with asyncio.timeout(10):
        assert b"these are too many algorithms" in await reader.read()
    writer.close()


async def test_before_a_login_64_kb_are_enough(front: Front) -> None:
    reader, writer = await begin(front)
    ignored = packet(b"\x02" + String(bytes(1000)))
    writer.write(ignored * 70)
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("reads_its_socket", [True, False], ids=["window of 0", "nothing read"])
async def test_a_session_that_reads_no_answers_waits_and_is_ended_when_it_is_idle(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair, reads_its_socket: bool
) -> None:
    settings = change_sftp(node, max_unread_bytes=100_000, idle_timeout=2)
    async with running_front(settings, pool) as front:
        sock = socket.socket()
        # So that the kernel keeps little for the client.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.connect(("127.0.0.1", front.port))
        connection = await front.connect(campaign, ed25519_key, sock=sock)
        channel, _ = await connection.create_session(
            asyncssh.SSHClientSession,
            subsystem="sftp",
            encoding=None,
            window=0 if reads_its_socket else 1 << 30,
        )
        transport = connection._transport
        assert transport is not None
        if not reads_its_socket:
            transport.pause_reading()
        with capture_logs() as logs:
            # REALPATH of /, which is answered with 26 bytes.
            channel.write(INIT + (UInt32(10) + b"\x10" + UInt32(1) + String("/")) * 100_000)
            await eventually(lambda: any(line["event"] == "connection_ended" for line in logs), timeout=60)
        assert budgets_in(logs) == ["max_unread_bytes"]
        assert [line["ended_by"] for line in logs if line["event"] == "connection_ended"] == ["idle"]
        transport.abort()


async def test_a_session_that_reads_its_answers_at_last_is_served_to_the_end(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    class Reader(asyncssh.SSHClientSession[bytes]):
        received = 0

        def data_received(self, data: bytes, datatype: int | None) -> None:
            self.received += len(data)

    settings = change_sftp(node, max_unread_bytes=100_000)
    async with running_front(settings, pool) as front:
        connection = await front.connect(campaign, ed25519_key)
        reader = Reader()
        channel, _ = await connection.create_session(
            lambda: reader, subsystem="sftp", encoding=None, window=0
        )
        with capture_logs() as logs:
            channel.write(INIT + (UInt32(10) + b"\x10" + UInt32(1) + String("/")) * 5000)
            await eventually(lambda: bool(budgets_in(logs)), timeout=20)
            channel._recv_window = channel._init_recv_window = 1 << 30
            channel.send_packet(93, UInt32(1 << 30))
            await eventually(lambda: reader.received >= 5000 * 26, timeout=60)


async def test_requests_unserved_are_not_read_on(
    node: Settings, pool: Pool, campaign: str, ed25519_key: KeyPair
) -> None:
    settings = change_sftp(node, max_unread_bytes=10_000, max_unserved_bytes=200_000, idle_timeout=3)
    async with running_front(settings, pool) as front:
        connection = await front.connect(campaign, ed25519_key)
        channel, _ = await connection.create_session(
            asyncssh.SSHClientSession, subsystem="sftp", encoding=None, window=0
        )
        with capture_logs() as logs:
            channel.write(INIT + (UInt32(10) + b"\x10" + UInt32(1) + String("/")) * 50_000)
            await eventually(lambda: "max_unserved_bytes" in budgets_in(logs), timeout=20)
            async with asyncio.timeout(20):
                await connection.wait_closed()
        assert sorted(budgets_in(logs)) == ["max_unread_bytes", "max_unserved_bytes"]


async def test_openssh_lists_2000_uploads_and_puts_30_mb_within_its_budgets(
    front: Front, pool: Pool, campaign: str, ed25519_key: KeyPair, tmp_path: Path
) -> None:
    await pool.execute(
        "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at)"
        " select 'upload_' || n, $1, 'list-' || n || '.csv', 'received', n, n::text, now() - n * interval '1 second'"
        " from generate_series(1, 2000) n",
        campaign,
    )
    path = tmp_path / "people.csv"
    path.write_bytes(GOOD_CSV + b"6591234567,english,Somebody\n" * 1_000_000)
    with capture_logs() as logs:
        ended = await front.sftp(campaign, ed25519_key, f"ls -1\nput {path}\nls -l\n")
    assert ended.status == 0, ended.stderr
    names = [line for line in ended.stdout.splitlines() if line.startswith("list-")]
    assert sorted(names) == sorted(f"list-{number}.csv" for number in range(1, 1001))
    assert budgets_in(logs) == []
