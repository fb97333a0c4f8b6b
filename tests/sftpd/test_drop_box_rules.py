"""What the drop box takes, shows and refuses, request by request (2-gateway.md §1)."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from asyncssh import SFTPAttrs
from asyncssh.constants import (
    FX_BAD_MESSAGE,
    FX_FAILURE,
    FX_NO_SUCH_FILE,
    FX_OP_UNSUPPORTED,
    FX_PERMISSION_DENIED,
    FXF_CREAT,
    FXF_READ,
    FXF_TRUNC,
    FXF_WRITE,
)
from asyncssh.packet import Byte, String, UInt32, UInt64
from asyncssh.sftp import SFTPClientHandler

from processing.rules.codes import FindingCode
from tests.sftpd.boxes import Box, csv_of, refused, running_box, write_blocks

ANEW = FXF_WRITE | FXF_CREAT | FXF_TRUNC
NOTHING = SFTPAttrs()
LIMIT = 100_000
SMALL = csv_of(1_000)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path / "spool", max_upload_bytes=LIMIT, max_handles=4) as running:
        yield running


@pytest.fixture
async def client(box: Box) -> SFTPClientHandler:
    return await box.client()


async def put(client: SFTPClientHandler, path: bytes, content: bytes) -> None:
    handle = await client.open(path, ANEW, NOTHING)
    await write_blocks(client, handle, content, 32_768)
    await client.close(handle)


async def listed(client: SFTPClientHandler) -> list[tuple[bytes, int]]:
    folder = await client.opendir(b"/")
    names: list[tuple[bytes, int]] = []
    try:
        while True:
            found, _ = await client.readdir(folder)
            names += [(name.filename, name.attrs.size) for name in found]
    except asyncssh.SFTPEOFError:
        await client.close(folder)
        return names


async def test_three_spellings_of_a_name_are_one_file(box: Box, client: SFTPClientHandler) -> None:
    for path in (b"x.csv", b"/x.csv", b"./x.csv"):
        await put(client, path, SMALL)
        assert (await client.stat(b"x.csv", 0)).size == len(SMALL)
    assert box.intake.names == ["x.csv"] * 3
    assert (await client.realpath(b"./x.csv"))[0][0].filename == b"/x.csv"


async def test_another_name_is_refused_at_open_and_reported(box: Box, client: SFTPClientHandler) -> None:
    async with refused(FX_PERMISSION_DENIED, "only .csv files are accepted"):
        await client.open(b"x.xlsx", ANEW, NOTHING)
    assert box.intake.refused == [("x.xlsx", FindingCode.FILE_NOT_CSV, 0, None)]


@pytest.mark.parametrize("path", [b"a\n.csv", b"\xff.csv", "a\u202e.csv".encode(), b"a" * 252 + b".csv"])
async def test_a_name_against_the_rule_is_refused_and_not_reported(
    box: Box, client: SFTPClientHandler, path: bytes
) -> None:
    async with refused(FX_PERMISSION_DENIED, "this name is not accepted"):
        await client.open(path, ANEW, NOTHING)
    assert box.intake.refused == []
    async with refused(FX_NO_SUCH_FILE, "no such file"):
        await client.stat(path, 0)


@pytest.mark.parametrize("path", [b"a/x.csv", b"../x.csv", b"/..", b"//x.csv", b"/", b"."])
async def test_a_folder_is_refused(box: Box, client: SFTPClientHandler, path: bytes) -> None:
    async with refused(FX_PERMISSION_DENIED, "no folders"):
        await client.open(path, ANEW, NOTHING)
    async with refused(FX_PERMISSION_DENIED, "no folders"):
        await client.rename(b"x.csv", path, 0)
    assert box.files == []


async def test_folders_and_links_are_neither_made_nor_removed(client: SFTPClientHandler) -> None:
    await client.mkdir(b"/", NOTHING)
    async with refused(FX_PERMISSION_DENIED, "no folders"):
        await client.mkdir(b"/out", NOTHING)
    async with refused(FX_PERMISSION_DENIED, "no folders"):
        await client.rmdir(b"/")
    async with refused(FX_PERMISSION_DENIED, "links"):
        await client.symlink(b"/etc/passwd", b"x.csv")
    async with refused(FX_PERMISSION_DENIED, "links"):
        await client.readlink(b"x.csv")
    async with refused(FX_NO_SUCH_FILE, "no such file"):
        await client.opendir(b"/etc")


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


async def test_reading_is_refused(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"x.csv", SMALL)
    async with refused(FX_PERMISSION_DENIED, "nothing can be downloaded"):
        await client.open(b"x.csv", FXF_READ, NOTHING)


async def test_what_was_accepted_cannot_be_changed(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"x.csv", SMALL)
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await client.rename(b"x.csv", b"y.csv", 0)
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await client.remove(b"x.csv")
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await client.setstat(b"x.csv", SFTPAttrs(size=10))
    await client.setstat(b"x.csv", SFTPAttrs(size=len(SMALL), permissions=0o777, uid=0, gid=0))
    assert await listed(client) == [(b"x.csv", len(SMALL))]


async def test_remove_makes_room_only_right_after_the_temporary_file_was_closed(
    box: Box, client: SFTPClientHandler
) -> None:
    await put(client, b"x.csv", SMALL)
    await put(client, b"y.csv", SMALL)
    await put(client, b"x.csv.part", SMALL)
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await client.remove(b"y.csv")
    other = await box.client()
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await other.remove(b"x.csv")
    await client.remove(b"x.csv")
    assert [name for name, _ in await listed(client)] == [b"x.csv.part", b"y.csv"]
    await client.rename(b"x.csv.part", b"x.csv", 0)
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await client.remove(b"x.csv")
    assert box.intake.names == ["x.csv", "y.csv", "x.csv"]


async def test_a_temporary_file_needs_a_csv_name_in_the_end(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b".x.csv", SMALL)
    async with refused(FX_PERMISSION_DENIED, "only .csv"):
        await client.rename(b".x.csv", b"x.txt", 0)
    assert box.intake.codes == [FindingCode.FILE_NOT_CSV]
    await client.rename(b".x.csv", b"x.csv.tmp", 0)
    assert await listed(client) == [(b"x.csv.tmp", len(SMALL))]
    await client.rename(b"x.csv.tmp", b"X.CSV", 0)
    assert box.intake.stored == [("X.CSV", SMALL)]
    async with refused(FX_NO_SUCH_FILE, "no such file"):
        await client.rename(b"x.csv.tmp", b"X.CSV", 0)


async def test_a_file_still_open_is_not_renamed(box: Box, client: SFTPClientHandler) -> None:
    await client.open(b"x.csv.tmp", ANEW, NOTHING)
    async with refused(FX_PERMISSION_DENIED, "still being uploaded"):
        await client.rename(b"x.csv.tmp", b"x.csv", 0)


async def test_every_open_has_its_own_copy(box: Box, client: SFTPClientHandler) -> None:
    first = await client.open(b"x.csv", ANEW, NOTHING)
    second = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(first, 0, b"a" * 1_000)
    await client.write(second, 0, b"b" * 500)
    await client.close(first)
    await client.close(second)
    assert box.intake.stored == [("x.csv", b"a" * 1_000), ("x.csv", b"b" * 500)]
    assert box.files == []


@pytest.mark.parametrize("how", ["write", "truncate", "announce"])
async def test_too_large_is_refused_and_completes_nothing(
    box: Box, client: SFTPClientHandler, how: str
) -> None:
    if how == "announce":
        async with refused(FX_PERMISSION_DENIED, "too large"):
            await client.open(b"x.csv", ANEW, SFTPAttrs(size=LIMIT))
    else:
        handle = await client.open(b"x.csv", ANEW, NOTHING)
        await client.write(handle, 0, SMALL)
        async with refused(FX_PERMISSION_DENIED, "too large"):
            if how == "write":
                await client.write(handle, LIMIT - 1, b"x")
            else:
                await client.fsetstat(handle, SFTPAttrs(size=LIMIT))
        async with refused(FX_PERMISSION_DENIED, "too large"):
            await client.write(handle, 1_000, SMALL)
        async with refused(FX_PERMISSION_DENIED, "too large"):
            await client.close(handle)
    assert box.intake.refused == [("x.csv", FindingCode.FILE_TOO_LARGE, LIMIT, None)]
    assert (box.intake.stored, box.files) == ([], [])


async def test_one_byte_below_the_limit_is_taken(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"x.csv", csv_of(LIMIT - 1))
    assert box.intake.names == ["x.csv"]


async def test_a_hole_is_suspicious(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, SMALL)
    await client.fsetstat(handle, SFTPAttrs(size=2_000))
    async with refused(FX_FAILURE, "interrupted after 2000 bytes"):
        await client.close(handle)


async def test_truncation_takes_back_what_was_written(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, SMALL)
    await client.write(handle, 5_000, SMALL)
    await client.fsetstat(handle, SFTPAttrs(size=500))
    await client.close(handle)
    assert box.intake.stored == [("x.csv", SMALL[:500])]


@pytest.mark.parametrize("offset", [1, 15_000, 16_385])
async def test_a_resume_elsewhere_than_at_the_end_is_refused(
    box: Box, client: SFTPClientHandler, offset: int
) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, csv_of(16_384))
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    handle = await client.open(b"x.csv", FXF_WRITE | FXF_CREAT, NOTHING)
    assert (await client.fstat(handle, 0)).size == 16_384
    async with refused(FX_FAILURE, "resumed at its end"):
        await client.write(handle, offset, SMALL)
    async with refused(FX_FAILURE, "resumed at its end"):
        await client.close(handle)
    assert await listed(client) == [(b"x.csv", 16_384)]


async def test_two_resumes_of_one_partial_do_not_mix(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, csv_of(16_384))
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    first = await client.open(b"x.csv", FXF_WRITE, NOTHING)
    second = await client.open(b"x.csv", FXF_WRITE, NOTHING)
    await client.write(first, 16_384, b"a")
    async with refused(FX_FAILURE, "no longer there"):
        await client.write(second, 16_384, b"b")
    await client.close(first)
    assert box.intake.stored == [("x.csv", csv_of(16_384) + b"a")]


async def test_a_resume_without_a_write_completes_nothing(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, csv_of(16_384))
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    handle = await client.open(b"x.csv", FXF_WRITE | FXF_CREAT, NOTHING)
    async with refused(FX_FAILURE, "interrupted after 16384 bytes"):
        await client.close(handle)
    assert box.intake.stored == []


async def test_an_interrupted_upload_passes_with_one_empty_line_added(
    box: Box, client: SFTPClientHandler
) -> None:
    content = csv_of(32_768)
    async with refused(FX_FAILURE, "add one empty line"):
        await put(client, b"x.csv", content)
    await put(client, b"x.csv", content + b"\n")
    assert box.intake.stored == [("x.csv", content + b"\n")]
    assert box.files == []


async def test_a_partial_may_be_removed(box: Box, client: SFTPClientHandler) -> None:
    async with refused(FX_FAILURE, "interrupted"):
        await put(client, b"x.csv", csv_of(16_384))
    await client.remove(b"x.csv")
    assert (await listed(client), box.files) == ([], [])


async def test_a_close_that_cannot_be_stored_fails_and_accepts_nothing(
    box: Box, client: SFTPClientHandler
) -> None:
    box.intake.away = True
    async with refused(FX_FAILURE, "could not be stored"):
        await put(client, b"x.csv", SMALL)
    assert box.files == []
    async with refused(FX_FAILURE, "not available"):
        await client.stat(b"x.csv", 0)
    box.intake.away = False
    await put(client, b"x.csv", SMALL)
    assert box.intake.names == ["x.csv"]


async def test_a_rename_that_cannot_be_stored_may_be_tried_again(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"x.csv.tmp", SMALL)
    box.intake.away = True
    async with refused(FX_FAILURE, "could not be stored"):
        await client.rename(b"x.csv.tmp", b"x.csv", 0)
    box.intake.away = False
    await client.rename(b"x.csv.tmp", b"x.csv", 0)
    assert box.intake.stored == [("x.csv", SMALL)]
    assert box.files == []


async def test_a_refusal_that_cannot_be_reported_is_still_told(box: Box, client: SFTPClientHandler) -> None:
    box.intake.away = True
    async with refused(FX_PERMISSION_DENIED, "only .csv"):
        await client.open(b"x.txt", ANEW, NOTHING)


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
    # The client goes while its CLOSE is being served: it was its own CLOSE all the same.
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
        # Time of this process alone, whatever else the machine does.
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
    client._writer.channel.send_signal("INT")
    client._writer.channel.change_terminal_size(80, 24)
    await client.write(handle, 0, SMALL)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", SMALL)]


async def test_a_rename_onto_an_earlier_upload_is_a_new_upload(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"x.csv", SMALL)
    for rename in (lambda: client.rename(b".x", b"x.csv", 0), lambda: client.posix_rename(b".x", b"x.csv")):
        await put(client, b".x", SMALL + b"\n")
        await rename()
    assert box.intake.names == ["x.csv"] * 3


async def test_harmless_requests_succeed(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, SMALL)
    await client.fsync(handle)
    await client.fsetstat(handle, SFTPAttrs(permissions=0o600, atime=2**32 - 1, mtime=2**32 - 1))
    assert (await client.fstatvfs(handle)).namemax == 255
    assert (await client.statvfs(b"/")).bavail > 0
    assert (await client.stat(b"x.csv", 0)).size == len(SMALL)
    await client.setstat(b"/", SFTPAttrs(permissions=0o755))
    await client.close(handle)
    assert box.intake.names == ["x.csv"]


async def test_an_unexpected_fault_shows_a_reference_and_no_text_of_its_own(
    box: Box, client: SFTPClientHandler
) -> None:
    box.intake.listed = None  # type: ignore[assignment]
    async with refused(FX_FAILURE, "internal error, reference "):
        await client.opendir(b"/")
    with pytest.raises(asyncssh.SFTPError) as caught:
        await client.stat(b"x.csv", 0)
    assert "NoneType" not in caught.value.reason
