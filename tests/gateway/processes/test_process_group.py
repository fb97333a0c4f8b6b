"""The processes of one part: whoever dies is replaced, whatever else fails on the machine at that moment."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from config.settings import Settings
from gateway.errors import ExitStatus
from gateway.processes.metrics_files import MetricsFiles
from gateway.processes.parts import WORKER, Part
from gateway.processes.process_group import CannotStart, ProcessGroup

PATIENCE = 60.0


async def test_a_group_that_no_process_can_be_started_for_says_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = MetricsFiles()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    async with asyncio.TaskGroup() as tasks:
        group = ProcessGroup(
            WORKER, settings, sockets=(), metrics=metrics, on_death=lambda _part: None, tasks=tasks
        )
        try:
            with pytest.raises(CannotStart):
                await group.start(PATIENCE)
        finally:
            await group.stop()
            metrics.remove()


async def test_a_group_whose_process_ends_before_it_is_ready_tells_its_status_and_replaces_nobody(
    settings: Settings, gateway_variables: dict[str, str]
) -> None:
    metrics = MetricsFiles()
    deaths: list[Part] = []
    environment = {**os.environ, **gateway_variables, "SFTP_GATEWAY_WORKER__PROCESSES": "none"}
    async with asyncio.TaskGroup() as tasks:
        group = ProcessGroup(
            WORKER, settings, sockets=(), metrics=metrics, on_death=deaths.append, tasks=tasks,
            environment=environment,
        )  # fmt: skip
        try:
            with pytest.raises(CannotStart) as caught:
                await group.start(PATIENCE)
            assert caught.value.status == ExitStatus.CONFIGURATION
        finally:
            await group.stop()
            metrics.remove()
    assert (deaths, group.pids) == ([], [])


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - other processes' doing
            await asyncio.sleep(0.02)


async def test_a_dead_process_is_replaced_though_its_counts_are_cut_short_and_none_can_be_started_at_first(
    settings: Settings, gateway_variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = MetricsFiles()
    deaths: list[Part] = []
    async with asyncio.TaskGroup() as tasks:
        group = ProcessGroup(
            WORKER, settings, sockets=(), metrics=metrics, on_death=deaths.append, tasks=tasks,
            environment={**os.environ, **gateway_variables},
        )  # fmt: skip
        try:
            await group.start(PATIENCE)
            [first] = group.pids
            (metrics.folder / f"counter_{first}.db").write_bytes(b"")
            with capture_logs() as logs, monkeypatch.context() as machine:
                # As where no process can be started for want of memory.
                machine.setattr(sys, "executable", str(tmp_path / "missing"))
                os.kill(first, signal.SIGKILL)
                await until(lambda: any(log["event"] == "process_not_started" for log in logs))
            await until(lambda: group.ready_count == 1)
            assert deaths == [WORKER]
            assert any(log["event"] == "counts_lost" for log in logs)
            assert group.pids != [first]
        finally:
            await group.stop()
            metrics.remove()
