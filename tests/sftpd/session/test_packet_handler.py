"""The packet handler's own part: handles, malformed requests, internal errors, revocation, fairness."""

import asyncio
import time

import asyncssh
import pytest
from asyncssh.constants import (
    FX_BAD_MESSAGE,
    FX_FAILURE,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
)
from asyncssh.packet import Byte, String, UInt32, UInt64
from asyncssh.sftp import SFTPClientHandler

from tests.sftpd.boxes import (
    ANEW,
    NOTHING,
    SMALL,
    Box,
    refused,
)


@pytest.mark.parametrize("name", [b"hardlink@openssh.com", b"copy-data", b"ranges@asyncssh.com", b"x@y"])
async def test_extensions_not_offered_are_unsupported(client: SFTPClientHandler, name: bytes) -> None:
    expected = FX_PERMISSION_DENIED if name.startswith(b"hardlink") else FX_OP_UNSUPPORTED
    with pytest.raises(asyncssh.SFTPError) as caught:
        await client._make_request(name, String("a"), String("b"))
    assert caught.value.code == expected


async def test_nothing_tells_the_software(box: Box) -> None:
    connection = await box.connect()
    writer, reader, _ = await connection.open_session(subsystem="sftp", encoding=None)
    writer.write(b"\0\0\0\x05\x01\0\0\0\x03")
    length = int.from_bytes(await reader.readexactly(4), "big")
    version = await reader.readexactly(length)
    assert b"syncSSH" not in version
    assert b"asyncssh" not in version
    assert b"posix-rename@openssh.com" in version


async def test_handles_are_limited_over_all_channels_of_a_session(box: Box) -> None:
    connection = await box.connect()
    first = (await connection.start_sftp_client())._handler
    second = (await connection.start_sftp_client())._handler
    handles = [await first.open(b"%d.csv" % number, ANEW, NOTHING) for number in range(3)]
    folder = await second.opendir(b"/")
    async with refused(FX_FAILURE, "too many files are open"):
        await second.open(b"y.csv", ANEW, NOTHING)
    await second.close(folder)
    await first.close(handles[0])
    await second.open(b"y.csv", ANEW, NOTHING)
    assert box.sessions[0].open_handles == 3
    assert box.sessions[0].active_uploads == 3


async def test_a_closed_or_made_up_handle_is_refused(client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.close(handle)
    for made_up in (handle, b"", b"\xff" * 300):
        async with refused(FX_FAILURE, "invalid handle"):
            await client.write(made_up, 0, b"x")
        async with refused(FX_FAILURE, "invalid handle"):
            await client.close(made_up)


async def test_a_malformed_request_is_answered_in_our_words(client: SFTPClientHandler) -> None:
    async with refused(FX_BAD_MESSAGE, "malformed request"):
        await client._make_request(b"fsync@openssh.com", UInt32(1000))
    async with refused(FX_BAD_MESSAGE, "malformed request"):
        await client._make_request(6, String("0"), UInt64(0), UInt32(99))


async def test_a_revoked_session_is_served_nothing_and_keeps_nothing(
    box: Box, client: SFTPClientHandler
) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, SMALL)
    box.sessions[0].revoke()
    async with refused(FX_PERMISSION_DENIED, "access has ended"):
        await client.close(handle)
    box.connections[0].abort()
    await box.wait_cut()
    assert (box.intake.stored, box.files) == ([], [])


async def test_an_upload_being_stored_is_in_progress(box: Box, client: SFTPClientHandler) -> None:
    box.intake.may_store.clear()
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, SMALL)
    waiter, _ = client._loop.create_future(), None
    client._send_request(4, [String(handle)], waiter)
    await box.intake.storing.wait()
    assert box.sessions[0].active_uploads == 1
    # A SIGKILL now must leave nothing that could be resumed, because the upload may have been accepted.
    assert [path.suffix for path in box.files] == [".bytes"]
    # The client leaves while its CLOSE is being served. The upload is complete all the same.
    box.connections[0].abort()
    with pytest.raises(asyncssh.Error):
        await waiter
    box.intake.may_store.set()
    await box.wait_cut()
    assert box.intake.names == ["x.csv"]


async def test_a_crowd_of_tiny_requests_leaves_others_their_turn(box: Box) -> None:
    """They arrive at once, so that serving them never waits: the handler itself must pause."""
    requests = [
        Byte(1) + UInt32(3),
        Byte(3) + UInt32(0) + String("x.csv") + UInt32(ANEW) + UInt32(0),
        *(
            Byte(6) + UInt32(offset) + String(b"\0\0\0\0") + UInt64(offset) + String(b"6")
            for offset in range(10_000)
        ),
        Byte(4) + UInt32(0) + String(b"\0\0\0\0"),
    ]
    connection = await box.connect()
    writer, _, _ = await connection.open_session(subsystem="sftp", encoding=None)
    writer.write(b"".join(UInt32(len(request)) + request for request in requests))
    longest = 0.0
    while not box.intake.stored:
        # This is the processor time of this process alone, whatever else the machine does.
        began = time.process_time()
        await asyncio.sleep(0)
        longest = max(longest, time.process_time() - began)
    assert box.intake.stored == [("x.csv", b"6" * 10_000)]
    assert longest < 0.15


async def test_a_signal_on_the_channel_changes_nothing(box: Box) -> None:
    connection = await box.connect()
    sftp = await connection.start_sftp_client()
    client = sftp._handler
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    assert client._writer is not None
    channel = client._writer.channel
    assert isinstance(channel, asyncssh.SSHClientChannel)
    channel.send_signal("INT")
    channel.change_terminal_size(80, 24)
    await client.write(handle, 0, SMALL)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", SMALL)]


async def test_an_unexpected_fault_shows_a_reference_and_no_text_of_its_own(
    box: Box, client: SFTPClientHandler
) -> None:
    box.intake.listed = None  # type: ignore[assignment]
    async with refused(FX_FAILURE, "internal error, reference "):
        await client.opendir(b"/")
    with pytest.raises(asyncssh.SFTPError) as caught:
        await client.stat(b"x.csv", 0)
    assert "NoneType" not in caught.value.reason
