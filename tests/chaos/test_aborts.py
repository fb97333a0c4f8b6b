"""The short form of `python -m tests.chaos --only aborts`: twelve real uploads brought down in the middle."""

from pathlib import Path

import pytest

from tests.chaos.aborts import BLOCK_SIZES, SMALL, run_aborts, run_block_sizes
from tests.clients.gateway_under_test import open_gateway


@pytest.mark.timeout(240)
async def test_nothing_comes_of_twelve_aborted_uploads_and_each_goes_when_sent_again(tmp_path: Path) -> None:
    async with open_gateway(campaigns=3, keep_logs=tmp_path) as gateway:
        report = await run_aborts(gateway, 12, seed=7, sizes=SMALL)
    print(*report.lines(), sep="\n")
    report.check()
    assert report.aborted.total() >= 12


@pytest.mark.timeout(240)
async def test_ctrl_c_is_known_whatever_block_size_sftp_was_given(tmp_path: Path) -> None:
    async with open_gateway(campaigns=3, keep_logs=tmp_path) as gateway:
        report = await run_block_sizes(gateway, 2, seed=7)
    print(*report.lines(), sep="\n")
    report.check()
    assert report.aborted.total() >= len(BLOCK_SIZES)
