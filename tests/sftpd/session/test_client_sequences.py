"""What clients that cannot be installed here send around an upload, packet by packet (6-clients.md, the table).

WinSCP, FileZilla, JSch, Camel, Go's pkg/sftp, and the flows of rclone, lftp, curl, paramiko and scp that must not be refused.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from asyncssh import SFTPAttrs
from asyncssh.constants import (
    FX_FAILURE,
    FX_NO_SUCH_FILE,
    FX_PERMISSION_DENIED,
    FXF_APPEND,
    FXF_CREAT,
    FXF_READ,
    FXF_TRUNC,
    FXF_WRITE,
)
from asyncssh.sftp import SFTPClientHandler

from rules.codes import FindingCode
from tests.sftpd.boxes import Box, csv_of, put, refused, running_box, write_blocks

W, C, T, A, R = FXF_WRITE, FXF_CREAT, FXF_TRUNC, FXF_APPEND, FXF_READ
NOTHING = SFTPAttrs()
TIMES = SFTPAttrs(atime=1_700_000_000, mtime=1_700_000_001)
WHOLE = csv_of(150_001)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path / "spool") as running:
        yield running


@pytest.fixture
async def client(box: Box) -> SFTPClientHandler:
    return await box.client()


async def size_of(client: SFTPClientHandler, path: bytes) -> int | None:
    return (await client.stat(path, 0)).size


async def test_winscp_small_upload(box: Box, client: SFTPClientHandler) -> None:
    content = csv_of(5_000)
    assert (await client.realpath(b"."))[0][0].filename == b"/"
    async with refused(FX_NO_SUCH_FILE, "no such file"):
        await client.lstat(b"/x.csv", 0)
    handle = await client.open(b"/x.csv", W | C | T, SFTPAttrs(permissions=0o644))
    await client.write(handle, 0, content)
    await client.close(handle)
    await client.setstat(b"/x.csv", TIMES)
    attributes = await client.stat(b"/x.csv", 0)
    assert (attributes.size, attributes.mtime) == (5_000, TIMES.mtime)
    assert box.intake.stored == [("x.csv", content)]


async def test_winscp_upload_under_a_temporary_name(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"/x.csv.filepart", W | C | T, SFTPAttrs(size=len(WHOLE)))
    await write_blocks(client, handle, WHOLE, 32_768)
    await client.close(handle)
    assert box.intake.stored == []
    await client.rename(b"/x.csv.filepart", b"/x.csv", 0)
    await client.setstat(b"/x.csv", TIMES)
    assert box.intake.stored == [("x.csv", WHOLE)]
    assert box.files == []


async def test_winscp_replaces_an_earlier_upload(box: Box, client: SFTPClientHandler) -> None:
    for content in (WHOLE, WHOLE + b"\n"):
        handle = await client.open(b"/x.csv.filepart", W | C | T, SFTPAttrs(size=len(content)))
        await write_blocks(client, handle, content, 32_768)
        await client.close(handle)
        if box.intake.stored:
            await client.remove(b"/x.csv")
            assert box.intake.listed == {}
        await client.rename(b"/x.csv.filepart", b"/x.csv", 0)
    assert box.intake.stored == [("x.csv", WHOLE), ("x.csv", WHOLE + b"\n")]


async def test_winscp_aborts_and_resumes(box: Box, client: SFTPClientHandler) -> None:
    """WinSCP closes the partial under its temporary name, shorter than it announced."""
    handle = await client.open(b"/x.csv.filepart", W | C | T, SFTPAttrs(size=len(WHOLE)))
    await write_blocks(client, handle, WHOLE[:70_000], 32_768)
    async with refused(FX_FAILURE, "interrupted after 70000 bytes"):
        await client.close(handle)
    async with refused(FX_PERMISSION_DENIED, "interrupted"):
        await client.rename(b"/x.csv.filepart", b"/x.csv", 0)
    assert box.intake.refused == [("x.csv.filepart", FindingCode.UPLOAD_INTERRUPTED, 70_000, WHOLE[:70_000])]
    assert await size_of(client, b"/x.csv.filepart") == 70_000

    handle = await client.open(b"/x.csv.filepart", W | C, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_768, start=70_000)
    await client.close(handle)
    await client.rename(b"/x.csv.filepart", b"/x.csv", 0)
    assert box.intake.stored == [("x.csv", WHOLE)]


async def test_winscp_aborts_a_small_upload(box: Box, client: SFTPClientHandler) -> None:
    """CLOSE, then REMOVE: what was accepted stays accepted."""
    handle = await client.open(b"/x.csv", W | C | T, NOTHING)
    await client.write(handle, 0, csv_of(5_000))
    await client.close(handle)
    async with refused(FX_PERMISSION_DENIED, "cannot be changed"):
        await client.remove(b"/x.csv")
    assert box.intake.names == ["x.csv"]


async def test_filezilla_upload(box: Box, client: SFTPClientHandler) -> None:
    await client.realpath(b".")
    folder = await client.opendir(b"/")
    handle = await client.open(b"/x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_000)
    await client.close(handle)
    await client.close(folder)
    await client.setstat(b"/x.csv", TIMES)
    folder = await client.opendir(b"/")
    names, _ = await client.readdir(folder)
    assert [(name.filename, name.attrs.size, name.attrs.mtime) for name in names] == [
        (b"x.csv", len(WHOLE), TIMES.mtime)
    ]
    assert names[0].longname == b"----------    1 campaign campaign       150001 Nov 14  2023 x.csv"
    assert box.intake.names == ["x.csv"]


@pytest.mark.parametrize("home", [b".", b"/", b"./", b""])
async def test_jsch_and_camel_upload(box: Box, client: SFTPClientHandler, home: bytes) -> None:
    await client.realpath(b"")
    await client.stat(b"/", 0)
    await client.mkdir(home, NOTHING)
    handle = await client.open(b"x.csv.inprogress", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_748)
    await client.close(handle)
    await client.rename(b"x.csv.inprogress", b"x.csv", 0)
    assert box.intake.stored == [("x.csv", WHOLE)]


async def test_go_upload(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", R | W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_768)
    async with refused(FX_PERMISSION_DENIED, "nothing can be downloaded"):
        await client.read(handle, 0, 10)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE)]


async def test_rclone_upload(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"/x.csv.1a2b3c4d.partial", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_768)
    await client.close(handle)
    await client.setstat(b"/x.csv.1a2b3c4d.partial", TIMES)
    assert await size_of(client, b"/x.csv.1a2b3c4d.partial") == len(WHOLE)
    await client.posix_rename(b"/x.csv.1a2b3c4d.partial", b"/x.csv")
    attributes = await client.stat(b"/x.csv", 0)
    assert (attributes.size, attributes.mtime) == (len(WHOLE), TIMES.mtime)
    assert box.intake.stored == [("x.csv", WHOLE)]


async def test_lftp_upload_and_resume(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"/x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_768)
    await client.fsetstat(handle, SFTPAttrs(size=len(WHOLE), atime=1, mtime=TIMES.mtime))
    await client.close(handle)
    assert (await client.stat(b"/x.csv", 0)).mtime == TIMES.mtime

    handle = await client.open(b"/y.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE[:98_304], 32_768)
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    handle = await client.open(b"/y.csv", W | C, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_768, start=98_304)
    await client.fsetstat(handle, SFTPAttrs(size=len(WHOLE)))
    await client.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE), ("y.csv", WHOLE)]


async def test_curl_resumes_an_upload_that_is_whole(box: Box, client: SFTPClientHandler) -> None:
    """Its `-C -` opens the file, finds nothing left to send, and closes it."""
    await put(client, b"/x.csv", WHOLE)
    handle = await client.open(b"/x.csv", W, NOTHING)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE)]
    assert await size_of(client, b"/x.csv") == len(WHOLE)
    assert (box.intake.refused, box.files) == ([], [])


async def test_lftp_resumes_an_upload_that_is_whole(box: Box, client: SFTPClientHandler) -> None:
    """As it does by itself when the connection breaks before its CLOSE is answered."""
    await put(client, b"/x.csv", WHOLE)
    handle = await client.open(b"/x.csv", W | C, NOTHING)
    await client.fsetstat(handle, SFTPAttrs(size=len(WHOLE), atime=1, mtime=TIMES.mtime))
    await client.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE)]
    attributes = await client.stat(b"/x.csv", 0)
    assert (attributes.size, attributes.mtime) == (len(WHOLE), TIMES.mtime)
    assert (box.intake.refused, box.files) == ([], [])


async def test_another_size_without_a_write_is_no_resumption(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"/x.csv", WHOLE)
    handle = await client.open(b"/x.csv", W | C, NOTHING)
    await client.fsetstat(handle, SFTPAttrs(size=len(WHOLE) + 1))
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)


async def test_scp_upload_without_truncation_over_a_longer_partial(
    box: Box, client: SFTPClientHandler
) -> None:
    handle = await client.open(b"/x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE[:98_304], 32_768)
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    content = csv_of(1_000)
    handle = await client.open(b"/x.csv", W | C, NOTHING)
    await client.write(handle, 0, content)
    await client.fsetstat(handle, SFTPAttrs(size=len(content)))
    await client.close(handle)
    assert box.intake.stored == [("x.csv", content)]
    assert box.files == []


@pytest.mark.parametrize("before", ["nothing", "a partial", "an upload", "an empty upload"])
async def test_scp_of_an_empty_file(box: Box, client: SFTPClientHandler, before: str) -> None:
    if before == "an upload":
        await put(client, b"/x.csv", WHOLE)
    if before == "an empty upload":
        await put(client, b"/x.csv", b"")
    if before == "a partial":
        handle = await client.open(b"/x.csv", W | C | T, NOTHING)
        await client.write(handle, 0, csv_of(16_384))
        async with refused(FX_FAILURE, "interrupted"):
            await client.close(handle)
    handle = await client.open(b"/x.csv", W | C, NOTHING)
    await client.fsetstat(handle, SFTPAttrs(size=0))
    stored_before = len(box.intake.stored)
    await client.close(handle)
    assert box.intake.stored[stored_before:] == [("x.csv", b"")]


async def test_curl_interrupted_by_its_own_time_limit(box: Box, client: SFTPClientHandler) -> None:
    content = WHOLE[:131_072]
    handle = await client.open(b"/x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, content, 30_000)
    async with refused(FX_FAILURE, "interrupted after 131072 bytes"):
        await client.close(handle)
    assert box.intake.codes == [FindingCode.UPLOAD_INTERRUPTED]
    handle = await client.open(b"/x.csv", W, NOTHING)
    await write_blocks(client, handle, WHOLE, 30_000, start=131_072)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE)]


async def test_openssh_reput(box: Box, client: SFTPClientHandler) -> None:
    whole = csv_of(600_000)
    handle = await client.open(b"/x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, whole[:522_240], 261_120)
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    assert await size_of(client, b"/x.csv") == 522_240
    handle = await client.open(b"/x.csv", W | C | A, NOTHING)
    await write_blocks(client, handle, whole, 261_120, start=522_240)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", whole)]


async def test_psftp_reput(box: Box, client: SFTPClientHandler) -> None:
    """Cut off without CLOSE; then OPEN without C, and FSTAT for the size."""
    handle = await client.open(b"x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE[:40_960], 4_096)
    box.connections[0].abort()
    await box.wait_cut()
    assert box.intake.refused == []
    again = await box.client()
    handle = await again.open(b"x.csv", W, NOTHING)
    assert (await again.fstat(handle, 0)).size == 40_960
    await write_blocks(again, handle, WHOLE, 4_096, start=40_960)
    await again.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE)]


async def test_paramiko_put_checks_the_size(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", W | C | T, NOTHING)
    await write_blocks(client, handle, WHOLE, 32_768)
    await client.close(handle)
    assert await size_of(client, b"x.csv") == len(WHOLE)
    async with refused(FX_NO_SUCH_FILE, "no such file"):
        await client.open(b"y.csv", W, NOTHING)


async def test_fast_put_out_of_order(box: Box, client: SFTPClientHandler) -> None:
    handle = await client.open(b"x.csv", W | C | T, NOTHING)
    offsets = list(range(0, len(WHOLE), 32_768))
    for offset in [*offsets[::2][::-1], *offsets[1::2]]:
        await client.write(handle, offset, WHOLE[offset : offset + 32_768])
    await client.setstat(b"x.csv", SFTPAttrs(permissions=0o666))
    await client.close(handle)
    assert box.intake.stored == [("x.csv", WHOLE)]
