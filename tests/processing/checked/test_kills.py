"""A worker that is killed at the steps of a file of the console: it is checked, and sent once, and never unasked."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import processing
from audit.events import Actor
from database.connections import Pool
from database.job_queue import RunningJob
from processing.checked.job import CheckJob
from processing.checked.sending import ask_for_sending
from processing.checked.uploads import fetch_checked
from processing.uploads import UploadStatus
from tests.processing.checked.conftest import Take

WORKER = Path(__file__).with_name("dying_worker.py")
Die = Callable[[str, str], Coroutine[Any, Any, None]]


@pytest.fixture
def die(gateway_variables: dict[str, str], tmp_path: Path) -> Die:
    """Have a worker of its own take up an upload, which is killed at that point."""
    points = tmp_path / "points"
    points.mkdir()
    packages = str(Path(processing.__file__).parents[1])
    variables = {
        **os.environ,
        **gateway_variables,
        "GATEWAY_FAULT_POINTS": str(points),
        "PYTHONPATH": packages,
    }

    async def killed(upload_id: str, point: str) -> None:
        (points / point).touch()
        worker = await asyncio.create_subprocess_exec(sys.executable, str(WORKER), upload_id, env=variables)
        async with asyncio.timeout(90):
            assert await worker.wait() == -signal.SIGKILL

    return killed


@pytest.mark.timeout(300)
async def test_killed_at_each_step_a_file_is_checked_and_sent_once_and_never_unasked(
    check_job: CheckJob, take: Take, pool: Pool, user_id: str, die: Die
) -> None:
    async def look() -> tuple[UploadStatus, int]:
        async with pool.acquire() as connection:
            found = await fetch_checked(connection, upload_id)
        assert found is not None
        return found.status, await pool.fetchval("select count(*) from batches")

    async def ask() -> bool:
        async with pool.acquire() as connection, connection.transaction():
            return await ask_for_sending(
                connection, upload_id, timedelta(hours=1), user_id=user_id, actor=Actor(user_id)
            )

    upload_id = await take()
    await die(upload_id, "verdict.committed")
    assert await look() == (UploadStatus.CHECKED, 0)
    # The job that comes again finds nothing to do.
    await check_job(RunningJob(upload_id, 1))
    assert await look() == (UploadStatus.CHECKED, 0)
    assert await ask()
    await die(upload_id, "verdict.copied")
    assert await look() == (UploadStatus.CHECKED, 0)
    assert not await ask()
    await die(upload_id, "verdict.committed")
    assert await look() == (UploadStatus.ACCEPTED, 1)
    await check_job(RunningJob(upload_id, 1))
    assert not await ask()
    assert await look() == (UploadStatus.ACCEPTED, 1)
    assert await pool.fetchval("select count(*) from messages") == 2
