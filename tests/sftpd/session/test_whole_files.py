"""Whole files as real programs send them: of every size around the blocks, in two writes, resumed by another program."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import paramiko
import pytest

from tests.sftpd.boxes import CAMPAIGN, Box, csv_of, running_box

BLOCKS = (4_096, 5_000, 8_192, 10_000, 12_288, 16_384, 30_000, 32_768, 65_536, 261_120)
SIZES = sorted({block * count + more for block in BLOCKS for count in (1, 2, 3, 5) for more in (-1, 0, 1)})


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path / "spool") as running:
        yield running


async def put_all(box: Box, folder: Path, sizes: list[int], end: bytes, *options: str) -> set[int]:
    """Put a file of each size in one batch, and return the sizes that were taken."""
    for size in sizes:
        (folder / f"{size}.csv").write_bytes(csv_of(size - len(end) - 1) + b"x" + end)
    batch = "".join(f"-put {folder}/{size}.csv\n" for size in sizes)
    process = await asyncio.create_subprocess_exec(
        *box.raw_command("sftp", "-b", "-", *options),
        f"{CAMPAIGN}@127.0.0.1",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await process.communicate(batch.encode())
    return {len(content) for _, content in box.intake.stored}


@pytest.mark.skipif(shutil.which("sftp") is None, reason="sftp is not installed")
@pytest.mark.parametrize("block", [None, 5_000, 8_192, 10_000, 12_288, 32_768])
async def test_a_whole_file_is_refused_only_at_a_multiple_and_never_with_an_empty_line(
    box: Box, tmp_path: Path, block: int | None
) -> None:
    options = () if block is None else ("-B", str(block))
    taken = await put_all(box, tmp_path, SIZES, b"\n", *options)
    refused = {
        size
        for size in SIZES
        if size % 16_384 == 0
        or size % 261_120 == 0
        or (block is not None and size % block == 0 and size >= 2 * block)
    }
    assert taken == set(SIZES) - refused
    box.intake.stored.clear()
    assert await put_all(box, tmp_path, sorted(refused), b"\n\n", *options) == refused


def write_with_paramiko(box: Box, mode: str, *parts: bytes) -> None:
    """What an agency's script does: each part is one call of `write`."""
    with paramiko.Transport(("127.0.0.1", box.port)) as transport:
        transport.start_client(timeout=10)
        transport.auth_none(CAMPAIGN)
        sftp = paramiko.SFTPClient.from_transport(transport)
        assert sftp is not None
        with sftp.open("x.csv", mode) as file:
            for part in parts:
                file.write(part)


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
async def test_paramiko_may_write_the_header_and_then_the_body(box: Box, end: bytes) -> None:
    header = b"recipient,language,firstName\n"
    body = csv_of(20_472 - len(end)) + end
    await asyncio.to_thread(write_with_paramiko, box, "w", header, body)
    assert box.intake.stored == [("x.csv", header + body)]
    assert box.intake.refused == []


@pytest.mark.skipif(shutil.which("sftp") is None, reason="sftp is not installed")
@pytest.mark.parametrize("size", [98_305, 150_001, 400_000])
async def test_what_one_program_began_another_finishes(box: Box, tmp_path: Path, size: int) -> None:
    content = csv_of(size)
    # paramiko closes what a dying script has sent.
    await asyncio.to_thread(write_with_paramiko, box, "w", content[:98_304])
    assert box.intake.stored == []
    (tmp_path / "x.csv").write_bytes(content)
    process = await asyncio.create_subprocess_exec(
        *box.raw_command("sftp", "-b", "-"), f"{CAMPAIGN}@127.0.0.1", stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(f"reput {tmp_path}/x.csv x.csv\n".encode())
    assert (process.returncode, box.intake.stored) == (0, [("x.csv", content)])


@pytest.mark.skipif(shutil.which("sftp") is None, reason="sftp is not installed")
@pytest.mark.parametrize("rest", [1, 9_999, 60_000])
async def test_paramiko_finishes_what_sftp_began(box: Box, tmp_path: Path, rest: int) -> None:
    content = csv_of(261_120 + rest)
    (tmp_path / "x.csv").write_bytes(content[:261_120])
    process = await asyncio.create_subprocess_exec(
        *box.raw_command("sftp", "-b", "-"), f"{CAMPAIGN}@127.0.0.1", stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(f"put {tmp_path}/x.csv x.csv\n".encode())
    assert (process.returncode, box.intake.stored) == (1, [])
    await asyncio.to_thread(write_with_paramiko, box, "a", content[261_120:])
    assert box.intake.stored == [("x.csv", content)]
