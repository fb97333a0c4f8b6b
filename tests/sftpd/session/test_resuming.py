"""Opening, resuming and closing: what becomes complete and what stays a partial (2-gateway.md §1)."""

from pathlib import Path

import pytest
from asyncssh import SFTPAttrs
from asyncssh.constants import (
    FX_FAILURE,
    FX_PERMISSION_DENIED,
    FXF_CREAT,
    FXF_WRITE,
)
from asyncssh.sftp import SFTPClientHandler

from rules.codes import FindingCode
from tests.sftpd.boxes import (
    ANEW,
    LIMIT,
    NOTHING,
    SMALL,
    Box,
    csv_of,
    listed,
    put,
    refused,
    running_box,
    write_blocks,
)


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
    # It is told, but nobody can want it released.
    assert box.intake.refused == [("x.csv", FindingCode.UPLOAD_INTERRUPTED, 2_000, None)]


async def test_a_byte_at_the_far_end_stores_nothing(box: Box, client: SFTPClientHandler) -> None:
    for number in range(3):
        handle = await client.open(f"{number}.csv".encode(), ANEW, NOTHING)
        await client.write(handle, LIMIT - 2, b"x")
        async with refused(FX_FAILURE, "interrupted"):
            await client.close(handle)
    assert [kept for *_, kept in box.intake.refused] == [None] * 3


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_script_that_writes_its_header_and_then_its_body_is_whole(
    box: Box, client: SFTPClientHandler, end: bytes
) -> None:
    header = b"recipient,language,firstName\n"
    body = csv_of(20_472 - len(end)) + end
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(handle, 0, header)
    await client.write(handle, len(header), body)
    await client.close(handle)
    assert box.intake.stored == [("x.csv", header + body)]


async def test_a_partial_of_one_program_is_finished_by_another_in_one_long_write(
    box: Box, client: SFTPClientHandler
) -> None:
    content = csv_of(70_000)
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await write_blocks(client, handle, content[:32_768], 8_192)
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(handle)
    other = await box.client()
    handle = await other.open(b"x.csv", FXF_WRITE | FXF_CREAT, NOTHING)
    await other.write(handle, 32_768, content[32_768:])
    await other.close(handle)
    assert box.intake.stored == [("x.csv", content)]


async def test_a_resume_in_blocks_that_is_interrupted_again_is_refused_again(
    box: Box, client: SFTPClientHandler
) -> None:
    content = csv_of(90_000)
    handle = await client.open(b"x.csv", ANEW, NOTHING)
    await write_blocks(client, handle, content[:20_000], 10_000)
    async with refused(FX_FAILURE, "interrupted after 20000 bytes"):
        await client.close(handle)
    handle = await client.open(b"x.csv", FXF_WRITE | FXF_CREAT, NOTHING)
    await write_blocks(client, handle, content[:50_000], 10_000, start=20_000)
    async with refused(FX_FAILURE, "interrupted after 50000 bytes"):
        await client.close(handle)
    assert box.intake.stored == []


async def test_a_file_with_an_empty_line_after_each_row_isnt_whole_because_it_ends_in_one(
    box: Box, client: SFTPClientHandler
) -> None:
    async with refused(FX_FAILURE, "interrupted"):
        await put(client, b"x.csv", csv_of(16_382)[:-2] + b"\n\n\n\n")
    content = csv_of(16_380) + b"\r\n\r\n"
    await put(client, b"x.csv", content)
    assert box.intake.stored == [("x.csv", content)]


async def test_a_partial_truncated_to_the_size_of_an_earlier_upload_is_not_taken_for_it(
    box: Box, client: SFTPClientHandler
) -> None:
    await put(client, b"x.csv", SMALL)
    async with refused(FX_FAILURE, "interrupted"):
        await put(client, b"x.csv", b"b" * 16_384)
    handle = await client.open(b"x.csv", FXF_WRITE, NOTHING)
    await client.fsetstat(handle, SFTPAttrs(size=len(SMALL)))
    await client.close(handle)
    assert box.intake.stored == [("x.csv", SMALL), ("x.csv", b"b" * len(SMALL))]


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


async def test_a_whole_upload_makes_its_partial_obsolete(box: Box, client: SFTPClientHandler) -> None:
    whole = await client.open(b"x.csv", ANEW, NOTHING)
    other = await client.open(b"x.csv", ANEW, NOTHING)
    await client.write(other, 0, csv_of(16_384))
    async with refused(FX_FAILURE, "interrupted"):
        await client.close(other)
    await client.write(whole, 0, SMALL)
    await client.close(whole)
    assert (await listed(client), box.files) == ([(b"x.csv", len(SMALL))], [])


async def test_looking_at_a_file_that_waits_for_its_rename_leaves_it_waiting(
    box: Box, client: SFTPClientHandler
) -> None:
    await put(client, b"x.csv.part", SMALL)
    handle = await client.open(b"x.csv.part", FXF_WRITE, NOTHING)
    await client.close(handle)
    assert box.intake.refused == []
    await client.rename(b"x.csv.part", b"x.csv", 0)
    assert box.intake.stored == [("x.csv", SMALL)]


async def test_the_oldest_partials_make_room_for_more_and_that_is_told(tmp_path: Path) -> None:
    """A night job that is cut each time under another name still gets its next upload in."""
    async with running_box(tmp_path / "spool", max_partials_per_campaign=3) as box:
        client = await box.client()
        async with refused(FX_FAILURE, "interrupted"):
            await put(client, b"told.csv", csv_of(16_384))
        for number in range(2):
            await put(client, f"{number}.csv.part".encode(), SMALL)
        await put(client, b"2.csv.part", SMALL)
        # What was interrupted went first, and was told at its CLOSE.
        assert box.intake.codes == [FindingCode.UPLOAD_INTERRUPTED]
        await put(client, b"3.csv.part", SMALL)
        assert box.intake.refused[1:] == [("0.csv.part", FindingCode.FILE_NOT_CSV, 1_000, None)]
        assert [name for name, _ in await listed(client)] == [b"1.csv.part", b"2.csv.part", b"3.csv.part"]
        handle = await client.open(b"cut.csv", ANEW, NOTHING)
        await client.write(handle, 0, SMALL)
        box.connections[0].abort()
        await box.wait_cut()
        client = await box.client()
        await put(client, b"4.csv.part", SMALL)
        assert box.intake.refused[2:] == [
            ("1.csv.part", FindingCode.FILE_NOT_CSV, 1_000, None),
            ("cut.csv", FindingCode.UPLOAD_INTERRUPTED, 1_000, None),
        ]
