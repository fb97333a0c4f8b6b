"""`make steady` counts what passes, names what fails, and leaves no loop behind."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.steady import Run, busy_loops, read_results

TESTS = """
import pytest

def test_good(): pass

def test_bad(): assert False

@pytest.fixture
def broken(): raise OSError

def test_of_a_broken_fixture(broken): pass

@pytest.mark.skip(reason="none")
def test_skipped(): pass
"""


@pytest.mark.parametrize(
    ("selected", "says", "status"),
    [
        ("bad or good or fixture or skipped", "run 1 of 1: 1 passed, 2 failed, 1 skipped in ", 1),
        ("good", "run 1 of 1: 1 passed, 0 failed, 0 skipped in ", 0),
    ],
)
def test_a_run_is_counted_and_what_failed_is_named(
    tmp_path: Path, selected: str, says: str, status: int
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    ended = subprocess.run(
        [*(sys.executable, "-m", "tests.steady", "--runs", "1", "-n", "0", "-c", "/dev/null"),
         *("-p", "no:schemathesis", "-p", "no:hypothesispytest", "--rootdir", tmp_path, "-k", selected, tmp_path)],
        capture_output=True, text=True, timeout=100, env={"TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    assert says in ended.stdout
    named = {line.strip() for line in ended.stdout.splitlines() if "::" in line}
    assert named == (
        {"test_some.py::test_bad", "test_some.py::test_of_a_broken_fixture"} if "bad" in selected else set()
    )
    assert f"{1 - status} of 1 runs are green" in ended.stdout


def test_a_run_that_broke_off_is_not_green(tmp_path: Path) -> None:
    run = read_results(tmp_path / "never-written.xml", 3, 1.0)
    assert run == Run(3, 0, 0, [], 1.0)
    assert not run.is_green
    assert str(run) == "0 passed, 0 failed, 0 skipped in 1 s, and pytest ended with status 3"


def test_the_loops_end_with_what_they_were_for() -> None:
    with busy_loops(2) as loops:
        assert all(loop.poll() is None for loop in loops)
    assert all(loop.poll() is not None for loop in loops)


def test_the_loops_end_also_where_their_parent_was_killed() -> None:
    script = "import tests.steady\nwith tests.steady.busy_loops(1) as [loop]:\n    print(loop.pid, flush=True)\n    input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        loop = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    loop.wait(60)
