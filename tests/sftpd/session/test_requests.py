"""How much a channel may send, in which pieces, and before what."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from asyncssh.packet import Boolean, Byte, SSHPacket, String, UInt32, UInt64

from tests.sftpd.boxes import ANEW, NOTHING, Box, csv_of, running_box

MAX_REQUEST = 34 * 1024
MAX_WRITE = 4 * 1024 * 1024
INIT = UInt32(5) + b"\x01" + UInt32(3)
STAT, WRITE = 17, 6


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path / "spool") as running:
        yield running


class RawChannel(asyncssh.SSHClientSession[bytes]):
    """All that came, and whether the front has ended the channel."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def open_raw(box: Box) -> tuple[asyncssh.SSHClientChannel[bytes], RawChannel]:
    connection = await box.connect()
    channel, session = await connection.create_session(RawChannel, subsystem="sftp", encoding=None)
    assert isinstance(session, RawChannel)
    return channel, session


def request(kind: int, body: bytes) -> bytes:
    return UInt32(1 + len(body)) + Byte(kind) + body


@pytest.mark.parametrize("length", [0, MAX_REQUEST + 1, 2**32 - 1])
async def test_a_request_of_a_wrong_length_ends_the_channel_before_its_bytes_have_come(
    box: Box, length: int
) -> None:
    channel, session = await open_raw(box)
    channel.write(INIT + UInt32(length) + Byte(STAT))
    async with asyncio.timeout(10):
        await session.ended.wait()
    assert channel.get_exit_status() == 1


async def test_a_write_too_large_ends_the_channel(box: Box) -> None:
    channel, session = await open_raw(box)
    channel.write(INIT + UInt32(MAX_WRITE + 1025) + Byte(WRITE))
    async with asyncio.timeout(10):
        await session.ended.wait()


async def test_a_request_as_large_as_may_be_is_answered(box: Box) -> None:
    client = await box.client()
    with pytest.raises(asyncssh.SFTPNoSuchFile):
        await client.stat(b"\xff" * (MAX_REQUEST - 9), 0)


async def test_clients_are_told_what_to_send(box: Box) -> None:
    client = await box.client()
    answer = await client._make_request(b"limits@openssh.com")
    assert isinstance(answer, SSHPacket)
    limits = asyncssh.SFTPLimits.decode(answer)
    assert (limits.max_packet_len, limits.max_write_len, limits.max_open_handles) == (262_144, 261_120, 16)


async def test_a_write_of_4_mb_is_taken_though_a_window_is_half_of_it(box: Box) -> None:
    client = await box.client()
    content = csv_of(MAX_WRITE + 5)
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, content[:MAX_WRITE])
    await client.write(handle, MAX_WRITE, content[MAX_WRITE:])
    await client.close(handle)
    assert box.intake.stored == [("x.csv", content)]


async def test_halves_of_large_writes_on_all_channels_do_not_hold_each_other_up(tmp_path: Path) -> None:
    """Each half is more than a channel's window, and all of them more than a session may have unserved."""
    async with running_box(tmp_path / "spool", max_unserved_bytes=4 * 1024 * 1024) as box:
        connection = await box.connect()
        content = csv_of(3_500_001)
        clients = [(await connection.start_sftp_client())._handler for _ in range(3)]

        async def put(number: int) -> None:
            client = clients[number]
            handle = await client.open(b"%d.csv" % number, ANEW, NOTHING)
            await client.write(handle, 0, content)
            await client.close(handle)

        async with asyncio.timeout(60):
            await asyncio.gather(*map(put, range(len(clients))))
        assert sorted(box.intake.stored) == [(f"{number}.csv", content) for number in range(3)]


async def test_a_request_may_come_byte_by_byte(box: Box) -> None:
    channel, session = await open_raw(box)
    for byte in INIT + request(STAT, UInt32(7) + String("/")):
        channel.write(bytes([byte]))
    async with asyncio.timeout(10):
        while b"i" + UInt32(7) not in session.received:  # noqa: ASYNC110 - the answer, an ATTRS, has no event
            await asyncio.sleep(0.01)


async def test_what_came_before_the_end_of_input_is_served(box: Box) -> None:
    channel, session = await open_raw(box)
    requests = [
        request(3, UInt32(0) + String("x.csv") + UInt32(ANEW) + UInt32(0)),
        request(WRITE, UInt32(1) + String(UInt32(0)) + UInt64(0) + String(csv_of(1000))),
        request(4, UInt32(2) + String(UInt32(0))),
    ]
    channel.write(INIT + b"".join(requests))
    channel.write_eof()
    async with asyncio.timeout(10):
        await session.ended.wait()
    assert box.intake.names == ["x.csv"]
    assert channel.get_exit_status() == 0


async def test_data_before_any_request_of_the_channel_is_malformed(box: Box) -> None:
    connection = await box.connect()
    channel = asyncssh.SSHClientChannel[bytes](
        connection, asyncio.get_running_loop(), "strict", None, "strict", 1 << 20, 32768
    )
    await channel._open(b"session")
    channel.send_packet(94, String(INIT))
    async with asyncio.timeout(10):
        await connection.wait_closed()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("env", String("LANG") + String("C")),
        ("auth-agent-req@openssh.com", b""),
        ("x11-req", Boolean(False) + String("p") + String("aa") + UInt32(0)),
        ("signal", String("INT")),
        ("unheard-of", b"anything"),
    ],
)
async def test_requests_that_nobody_needs_are_refused(box: Box, kind: str, body: bytes) -> None:
    connection = await box.connect()
    channel, _ = await connection.create_session(RawChannel, subsystem="sftp", encoding=None)
    assert not await channel._make_request(kind.encode(), body)
    assert not channel.is_closing()
