"""What the drop box takes, shows and refuses, request by request (2-gateway.md §1)."""

from pathlib import Path

import pytest
from asyncssh import SFTPAttrs
from asyncssh.constants import (
    FX_NO_SUCH_FILE,
    FX_PERMISSION_DENIED,
    FXF_READ,
)
from asyncssh.sftp import SFTPClientHandler

from rules.codes import FindingCode
from tests.sftpd.boxes import ANEW, NOTHING, SMALL, Box, listed, put, refused, running_box


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


@pytest.mark.parametrize("path", [b"a/x.csv", b"../x.csv", b"/..", b"/", b"."])
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


async def test_the_listing_shows_the_newest_uploads_and_no_more_than_is_set(tmp_path: Path) -> None:
    async with running_box(tmp_path / "spool", max_listed_uploads=2) as box:
        client = await box.client()
        for name in (b"c.csv", b"a.csv", b"b.csv"):
            await put(client, name, SMALL)
        assert [name for name, _ in await listed(client)] == [b"a.csv", b"b.csv"]
        # What isn't listed is still there.
        assert (await client.stat(b"c.csv", 0)).size == len(SMALL)


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


async def test_a_refusal_that_cannot_be_reported_is_still_told(box: Box, client: SFTPClientHandler) -> None:
    box.intake.away = True
    async with refused(FX_PERMISSION_DENIED, "only .csv"):
        await client.open(b"x.txt", ANEW, NOTHING)


async def test_a_rename_onto_an_earlier_upload_is_a_new_upload(box: Box, client: SFTPClientHandler) -> None:
    await put(client, b"x.csv", SMALL)
    await put(client, b".x", SMALL + b"\n")
    await client.rename(b".x", b"x.csv", 0)
    await put(client, b".x", SMALL + b"\n")
    await client.posix_rename(b".x", b"x.csv")
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
