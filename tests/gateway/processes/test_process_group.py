"""The processes of one part: whoever dies is replaced, whatever else fails on the machine at that moment."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.processes.metrics_files import MetricsFiles
from gateway.processes.parts import Part
from gateway.processes.process_group import CannotStart, Crew

PATIENCE = 60.0


async def test_a_crew_that_no_process_can_be_started_for_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = MetricsFiles()
    crew = Crew(Part.WORKER, 2, drain=1, sockets=(), metrics=metrics, on_death=lambda _part: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    try:
        with pytest.raises(CannotStart):
            await crew.start(PATIENCE)
    finally:
        await crew.stop()
        metrics.remove()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():  # noqa: ASYNC110 - other processes' doing
            await asyncio.sleep(0.02)


async def test_a_dead_process_is_replaced_though_its_counts_are_cut_short_and_none_can_be_started_at_first(
    gateway_variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = MetricsFiles()
    deaths: list[Part] = []
    crew = Crew(
        Part.WORKER,
        1,
        drain=10,
        sockets=(),
        metrics=metrics,
        on_death=deaths.append,
        environment={**os.environ, **gateway_variables},
    )
    try:
        await crew.start(PATIENCE)
        [first] = crew.pids
        (metrics.folder / f"counter_{first}.db").write_bytes(b"")
        with capture_logs() as logs, monkeypatch.context() as machine:
            # As where no process can be started for want of memory.
            machine.setattr(sys, "executable", str(tmp_path / "missing"))
            os.kill(first, signal.SIGKILL)
            await until(lambda: any(log["event"] == "process_not_started" for log in logs))
        await until(lambda: crew.ready_count == 1)
        assert deaths == [Part.WORKER]
        assert any(log["event"] == "counts_lost" for log in logs)
        assert crew.pids != [first]
    finally:
        await crew.stop()
        metrics.remove()
