"""A short run of the packet fuzzer; `make fuzz` has the long one."""

import asyncio
import sys

from tests.sftpd.fronts import run


async def test_five_hundred_streams_of_packets_find_no_fault() -> None:
    async with asyncio.timeout(110):
        ended = await run([sys.executable, "-m", "tests.sftpd.fuzz_packets", "--runs", "500"], timeout=100)
    assert ended.status == 0, ended.stderr[-3000:]
    # Otherwise the streams would never get as far as whole uploads, and test little.
    assert "completed 0 uploads" not in ended.stdout
