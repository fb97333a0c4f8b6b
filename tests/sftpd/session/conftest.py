"""A drop box with small limits, and a client of it that sends single requests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from asyncssh.sftp import SFTPClientHandler

from tests.sftpd.boxes import LIMIT, Box, running_box


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with running_box(tmp_path / "spool", max_upload_bytes=LIMIT, max_handles=4) as running:
        yield running


@pytest.fixture
async def client(box: Box) -> SFTPClientHandler:
    return await box.client()
