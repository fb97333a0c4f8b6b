"""Whole files of every size around the blocks, sent by the real `sftp`: which of them are refused wrongly."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

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
