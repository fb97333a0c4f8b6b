"""The limits, tried with real connections: which are refused before key exchange, with which words, and which are not."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable

import asyncssh
import pytest
from asyncssh.packet import UInt32
from structlog.testing import capture_logs

from config.settings import Settings
from database.connections import Pool
from tests.conftest import KeyPair
from tests.sftpd.fronts import GOOD_CSV, Front, add_campaign, change_sftp, eventually, running_front

Started = Callable[..., contextlib.AbstractAsyncContextManager[Front]]


@pytest.fixture
def started(node: Settings, pool: Pool) -> Started:
    """Start a front with some settings of the section `sftp` changed."""
    return lambda **changes: running_front(change_sftp(node, **changes), pool)


@contextlib.asynccontextmanager
async def bare_connections(
    front: Front, source: str, count: int = 1
) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Bare TCP connections that have read the version line, and say nothing."""
    opened = [await front.connect_bare(source) for _ in range(count)]
    try:
        for reader, _ in opened:
            assert await reader.readline() == b"SSH-2.0-SFTP\r\n"
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def test_a_connection_too_many_is_told_why_before_key_exchange(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with started(max_connections=2) as front, bare_connections(front, "127.0.0.2", 2):
        ended = await front.ssh(campaign, ed25519_key, "x")
        assert ended.status == 255
        assert "too many connections: please try again in a minute" in ended.stderr


async def test_one_address_may_not_take_all_connections(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with (
        started(max_connections_per_address=3) as front,
        bare_connections(front, "127.0.0.2", 3),
    ):
        with pytest.raises(asyncssh.DisconnectError, match="too many connections from this address"):
            await front.connect(campaign, ed25519_key, source="127.0.0.2")
        await front.connect(campaign, ed25519_key, source="127.0.0.3")


async def test_a_place_that_is_left_is_free_again(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with started(max_connections=1) as front:
        async with bare_connections(front, "127.0.0.2"):
            with pytest.raises(asyncssh.DisconnectError):
                await front.connect(campaign, ed25519_key)
        for _ in range(100):
            with contextlib.suppress(asyncssh.DisconnectError):
                await front.connect(campaign, ed25519_key)
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("the place never became free")


async def test_a_crowd_that_says_nothing_makes_room_for_a_customer(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with (
        started(max_unauthenticated=5) as front,
        bare_connections(front, "127.0.0.2", 1) as (bystander,),
        bare_connections(front, "127.0.0.3", 4) as crowd,
    ):
        connection = await front.connect(campaign, ed25519_key, source="127.0.0.4")
        # The oldest of the busiest address had to go, and nobody else.
        async with asyncio.timeout(30):
            assert await crowd[0].read() == b""
        assert not any(reader.at_eof() for reader in (bystander, *crowd[1:]))
        assert not connection.is_closed()


async def test_sessions_beyond_the_campaigns_number_are_told_so_after_the_login(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with started(max_sessions_per_campaign=2) as front:
        first = await front.connect(campaign, ed25519_key)
        await front.connect(campaign, ed25519_key)
        ended = await front.ssh(campaign, ed25519_key, "x")
        assert ended.status == 255
        assert "this campaign has as many sessions as it may" in ended.stderr
        first.close()
        await first.wait_closed()
        assert (await front.sftp(campaign, ed25519_key, "pwd\n")).status == 0


async def test_channels_beyond_the_limit_are_refused_and_the_others_go_on(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with started(max_channels=2) as front:
        connection = await front.connect(campaign, ed25519_key)
        first = await connection.start_sftp_client()
        await connection.start_sftp_client()
        with pytest.raises(asyncssh.ChannelOpenError, match="at most 2 channels"):
            await connection.start_sftp_client()
        first.exit()
        await first.wait_closed()
        third = await connection.start_sftp_client()
        assert await third.realpath(".") == "/"


async def test_a_channel_can_follow_one_that_is_closed_in_the_same_breath(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    """The CLOSE of the one and the OPEN of the other come in one piece."""
    async with started(max_channels=2) as front:
        connection = await front.connect(campaign, ed25519_key)
        await connection.start_sftp_client()
        for _ in range(5):
            channel, _ = await connection.create_session(
                asyncssh.SSHClientSession, subsystem="sftp", encoding=None
            )
            channel.close()
        last = await connection.start_sftp_client()
        assert await last.realpath(".") == "/"


async def test_keys_beyond_the_limit_end_the_connection_with_advice(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    wrong = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(3)]
    right = asyncssh.read_private_key(str(ed25519_key.private_file))
    async with started(max_keys_tried=3) as front:
        with pytest.raises(asyncssh.DisconnectError, match="more than 3 keys were tried"):
            await front.connect(campaign, None, client_keys=[*wrong, right])
        await front.connect(campaign, None, client_keys=[*wrong[:2], right])


async def test_who_does_not_log_in_in_time_is_cut(started: Started) -> None:
    async with started(login_timeout=0.3) as front, bare_connections(front, "127.0.0.2") as (reader,):
        async with asyncio.timeout(30):
            assert await reader.read() == b""


async def test_garbage_is_cut_at_once(front: Front) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-1.5-old\r\n", os.urandom(20_000), b"\xff" * 5 + b"\n"):
        reader, writer = await front.connect_bare()
        writer.write(garbage)
        # Far less than the time to log in.
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(front.settings.sftp.login_timeout / 2):
                await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_no_more_bytes_are_read_before_a_login_than_a_login_needs(front: Front) -> None:
    reader, writer = await front.connect_bare()
    ignore = b"\x02" + (30_000).to_bytes(4, "big") + bytes(30_000)
    packet = (1 + len(ignore) + 10).to_bytes(4, "big") + b"\x0a" + ignore + bytes(10)
    writer.write(b"SSH-2.0-flood\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(30):
            for sent in range(1000):  # noqa: B007 - it is told below how far this came
                writer.write(packet)
                await writer.drain()
    # What the sockets' buffers hold may have left by then, and far from 30 MB.
    assert sent < 500
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(30):
            await reader.read()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_an_idle_session_ends_with_a_word(
    started: Started, campaign: str, ed25519_key: KeyPair, caplog: pytest.LogCaptureFixture
) -> None:
    # asyncssh keeps the words of such an end for its log.
    caplog.set_level(logging.DEBUG, "asyncssh")
    async with started(idle_timeout=0.4) as front:
        connection = await front.connect(campaign, ed25519_key)
        async with asyncio.timeout(30):
            await connection.wait_closed()
    ends = [line for line in caplog.messages if "Received disconnect" in line]
    assert len(ends) == 1
    assert "this session was idle for too long" in ends[0]


async def test_a_slow_upload_is_not_idle(
    started: Started, campaign: str, ed25519_key: KeyPair, pool: Pool
) -> None:
    async with started(idle_timeout=3) as front:
        connection = await front.connect(campaign, ed25519_key)
        sftp = await connection.start_sftp_client()
        upload = await sftp.open("slow.csv", "wb")
        for byte in range(0, len(GOOD_CSV), 10):
            await upload.write(GOOD_CSV[byte : byte + 10])
            # Far from the limit each, and beyond it together.
            await asyncio.sleep(0.4)
        await upload.close()
        assert await pool.fetchval("select count(*) from uploads") == 1


async def test_keep_alive_probes_cut_a_client_that_is_gone(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with started(keepalive_interval=0.2, keepalive_count=2) as front:
        alive = await front.connect(campaign, ed25519_key)
        gone = await front.connect(campaign, ed25519_key, source="127.0.0.2")
        transport = gone._transport
        assert transport is not None
        transport.pause_reading()
        with capture_logs() as logs:
            await eventually(
                lambda: any(
                    line["event"] == "connection_ended" and line["source_address"] == "127.0.0.2"
                    for line in logs
                )
            )
        assert not alive.is_closed()
        transport.resume_reading()


async def test_reaching_a_limit_is_logged_once(started: Started) -> None:
    async with started(max_connections=1) as front, bare_connections(front, "127.0.0.2"):
        with capture_logs() as logs:
            for _ in range(60):
                reader, writer = await front.connect_bare("127.0.0.3")
                await reader.read()
                writer.close()
                await writer.wait_closed()
        assert sum(line["event"] == "connection_refused" for line in logs) == 1


async def test_one_big_write_over_a_slow_line_is_not_idle(
    started: Started, campaign: str, ed25519_key: KeyPair
) -> None:
    async with started(idle_timeout=3) as front:
        connection = await front.connect(campaign, ed25519_key)
        channel, _ = await connection.create_session(
            asyncssh.SSHClientSession, subsystem="sftp", encoding=None
        )
        channel.write(UInt32(5) + b"\x01" + UInt32(3))
        # The packet is never whole while we look: it is no request yet, but a sign of life.
        channel.write(UInt32(200_000) + b"\x06")
        for _ in range(10):
            channel.write(b"x")
            await asyncio.sleep(0.4)
        assert not connection.is_closed()


async def test_an_ipv4_client_of_a_dual_stack_socket_is_known_by_its_ipv4_address(
    node: Settings, pool: Pool, ed25519_key: KeyPair
) -> None:
    allowed = await add_campaign(pool, ed25519_key, sources=["127.0.0.1/32"])
    with contextlib.closing(
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    ) as listening:
        async with running_front(node, pool, listening) as front:
            await front.connect(allowed, ed25519_key)
            with pytest.raises(asyncssh.PermissionDenied):
                await front.connect(allowed, ed25519_key, source="127.0.0.2")
