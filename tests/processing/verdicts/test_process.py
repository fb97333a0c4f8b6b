"""A verdict in a process of its own: an upload that takes too much fails itself and no other."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import pytest

from config.environment import Environment
from processing.errors import ChildUnavailable, VerdictExceeded
from processing.verdicts.process import Judging, VerdictLimits, VerdictProcesses
from processing.verdicts.requests import ANSWER, READY, request_line
from processing.verdicts.terms import Rules, Verdict
from rules.templates import Language, Template
from tests.processing.conftest import machine_without_processes

RULES = Rules(Template("H", {Language.ENGLISH: "{{a}}"}), Environment.PRODUCTION)
HEADER = b"recipient,language,a\n"
GOOD = HEADER + b"6591234567,english,Tan\n"
# Takes seconds of processor, some hundred megabytes, and a report of several.
HEAVY = HEADER + b"1,english,[x] \n" * 600_000
# Takes nearly twice the second of processor that is allowed: whoever looks sees it, though the kernel counts whole seconds.
LONG = HEADER + (b',""x' * 5 + b"\n") * 1_350_000


@asynccontextmanager
async def processes(
    *, memory: int = 600, output: int = 2048, processor: int = 120, seconds: float = 600
) -> AsyncIterator[VerdictProcesses]:
    limits = VerdictLimits(memory, output, processor, seconds)
    async with VerdictProcesses(limits, 1, start_pauses=(0.01, 0.02)) as opened:
        yield opened


async def judge(judging: Judging, data: bytes) -> Verdict:
    judging.source.write(data)
    return await judging.judge(RULES)


def the_child() -> psutil.Process:
    """The one child of this process that judges."""
    (child,) = (
        child for child in psutil.Process().children() if "processing.verdicts.child" in child.cmdline()
    )
    return child


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        pytest.param({"memory": 30}, "memory", id="memory"),
        pytest.param({"output": 1}, "output", id="output"),
        pytest.param({"processor": 1}, "processor", id="processor"),
        pytest.param({"seconds": 0.2}, "time", id="time"),
    ],
)
async def test_an_upload_over_a_limit_fails_and_the_next_one_is_judged(
    limits: dict[str, int], told: str
) -> None:
    async with processes(**limits) as verdicts:
        with pytest.raises(VerdictExceeded) as excess:
            async with verdicts.turn() as judging:
                await judge(judging, LONG if told == "processor" else HEAVY)
        assert excess.value.limit == told
        async with verdicts.turn() as judging:
            assert (await judge(judging, GOOD)).valid


async def test_children_that_are_warmed_up_are_ready_and_each_place_has_one() -> None:
    async with VerdictProcesses(VerdictLimits(600, 2048, 120, 600), 2) as verdicts:
        await verdicts.warm_up(120)
        async with verdicts.turn() as one, verdicts.turn() as another:
            assert one.child.warmed.is_set()
            assert another.child.warmed.is_set()
            assert (await judge(another, GOOD)).valid


async def test_a_child_that_ends_instead_of_getting_warm_is_replaced_by_the_upload_that_gets_its_place() -> (
    None
):
    async with processes() as verdicts:
        the_child().kill()
        await verdicts.warm_up(120)
        await _judge_when_possible(verdicts)


async def test_who_waits_for_warm_children_waits_no_longer_than_told_and_loses_none() -> None:
    async with processes() as verdicts:
        await verdicts.warm_up(0)
        async with verdicts.turn() as judging:
            assert (await judge(judging, GOOD)).valid


async def _judge_when_possible(verdicts: VerdictProcesses) -> None:
    """As a job does, which is put back where it meets a place whose child has just died."""
    for _ in range(2):
        with contextlib.suppress(ChildUnavailable):
            async with verdicts.turn() as judging:
                assert (await judge(judging, GOOD)).valid
                return
    raise AssertionError


async def test_a_child_goes_on_to_the_next_upload_and_mixes_none() -> None:
    async with processes() as verdicts:
        children = []
        for name in (b"Tan", b"Lee", b"Ng"):
            async with verdicts.turn() as judging:
                assert (await judge(judging, HEADER + b"6591234567,english," + name + b"\n")).valid
                judging.messages.seek(0)
                lines = judging.messages.read()
                assert lines.count(b"\n") == 1
                assert name in lines
                children.append(the_child().pid)
        assert len(set(children)) == 1


async def test_an_upload_whose_process_somebody_kills_is_judged_once_more() -> None:
    async with processes() as verdicts, verdicts.turn() as judging:
        verdict = asyncio.create_task(judge(judging, HEADER + b"1,english,x\n" * 300_000))
        await judging.child.warmed.wait()
        os.kill(the_child().pid, signal.SIGKILL)
        assert (await verdict).num_rows == 300_000


async def test_a_place_whose_child_could_not_be_replaced_gets_one_when_the_machine_can_again() -> None:
    async with processes() as verdicts:
        with machine_without_processes():
            with pytest.raises(RuntimeError, match="anything"):
                async with verdicts.turn():
                    raise RuntimeError("anything")
            for _ in range(2):
                with pytest.raises(ChildUnavailable):
                    async with verdicts.turn():
                        pass
        async with asyncio.timeout(60), verdicts.turn() as judging:
            assert (await judge(judging, GOOD)).valid


async def test_a_worker_starts_on_a_machine_that_can_start_no_child_yet() -> None:
    async with AsyncExitStack() as stack:
        with machine_without_processes():
            verdicts = await stack.enter_async_context(processes())
        async with asyncio.timeout(60), verdicts.turn() as judging:
            assert (await judge(judging, GOOD)).valid


async def test_a_child_killed_while_it_waited_costs_the_next_upload_nothing() -> None:
    async with processes() as verdicts:
        async with verdicts.turn() as judging:
            await judge(judging, GOOD)
        child = the_child()
        child.kill()
        while judging.child.lives:  # noqa: ASYNC110 - asyncio's watcher tells nobody
            await asyncio.sleep(0.01)
        async with verdicts.turn() as judging:
            assert judging.child.lives
            assert (await judge(judging, GOOD)).valid


async def test_a_child_that_dies_when_no_other_can_be_started_is_no_excess_of_the_upload() -> None:
    async with processes() as verdicts:
        async with verdicts.turn() as judging:
            verdict = asyncio.create_task(judge(judging, HEADER + b"1,english,x\n" * 300_000))
            await judging.child.warmed.wait()
            with machine_without_processes():
                os.kill(the_child().pid, signal.SIGKILL)
                with pytest.raises(ChildUnavailable):
                    await verdict
        async with asyncio.timeout(60), verdicts.turn() as judging:
            assert (await judge(judging, GOOD)).valid


async def test_a_child_has_no_secret_in_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFTP_GATEWAY_DATABASE__URL", "postgresql://secret")
    async with processes() as verdicts, verdicts.turn() as judging:
        await judge(judging, GOOD)
        environment = await asyncio.to_thread(Path(f"/proc/{the_child().pid}/environ").read_bytes)
        assert {name.partition(b"=")[0] for name in environment.split(b"\0")} <= {b"", b"PYTHONPATH", b"LANG"}


async def test_a_machine_without_memory_ends_the_child_before_the_worker() -> None:
    async with processes() as verdicts, verdicts.turn() as judging:
        await judge(judging, GOOD)
        score = await asyncio.to_thread(Path(f"/proc/{the_child().pid}/oom_score_adj").read_text)
        assert int(score) == 1000


def test_a_full_disk_is_no_excess_of_the_upload() -> None:
    with (
        tempfile.TemporaryFile() as source,
        tempfile.TemporaryFile() as report,
        Path("/dev/full").open("wb") as full,
    ):
        source.write(GOOD)
        source.flush()
        files = {"source": source.fileno(), "messages": full.fileno(), "report": report.fileno()}
        limits = {"parent": os.getpid(), "memory": 600, "output": 2048, "processor": 120}
        done = subprocess.run(
            [sys.executable, "-m", "processing.verdicts.child",
             *(f"--{name}={number}" for name, number in {**files, **limits}.items())],
            input=request_line(RULES), stdout=subprocess.PIPE, pass_fds=list(files.values()), timeout=60,
            check=True,
        )  # fmt: skip
    answer = ANSWER.validate_json(done.stdout.removeprefix(READY))
    assert answer.excess is None
    assert answer.crash is not None
    assert answer.crash.startswith("OSError")
