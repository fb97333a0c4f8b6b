"""`make steady`: the tests again and again beside two busy loops on two cores, where what only hopes to be quick enough fails.

    python -m tests.steady --runs 5 [what else pytest shall be told]

It says for each run how many passed and names what failed, and exits with status 1 if anything did in any of them.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

CORES: Final = 2
LOOPS: Final = 2
# As in the Makefile's `test`. What is named on the command line comes after these, and so prevails.
OPTIONS: Final = ("-n", "4", "--dist", "worksteal")
# It ends by itself when the process that started it does, however that ends.
BUSY: Final = (
    "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(100_000):\n        pass"
)
# Seconds, ten times what a run takes where nothing else runs.
RUN_SECONDS: Final = 7200


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run of the tests; `status` is pytest's."""

    status: int
    passed: int
    skipped: int
    failed: list[str]
    seconds: float

    @property
    def is_green(self) -> bool:
        return self.status == 0 and not self.failed

    def __str__(self) -> str:
        told = (
            f"{self.passed} passed, {len(self.failed)} failed, {self.skipped} skipped in {self.seconds:.0f} s"
        )
        return (
            told if self.failed or not self.status else f"{told}, and pytest ended with status {self.status}"
        )


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that use all the processor they get."""
    with contextlib.ExitStack() as stack:
        loops = []
        for _ in range(count):
            loop = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY, str(os.getpid())]))
            stack.callback(loop.kill)
            loops.append(loop)
        yield loops


def run_tests(folder: Path, number: int, arguments: list[str]) -> Run:
    """Run the tests once. Their output stays in `folder`, as what failed is wanted in full."""
    results = folder / f"run-{number}.xml"
    command = [sys.executable, "-m", "pytest", *OPTIONS, *arguments]
    began = time.monotonic()
    with (folder / f"run-{number}.log").open("wb") as log:
        status = subprocess.run(
            [*command, f"--junitxml={results}", "-o", "junit_family=xunit1"],
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=RUN_SECONDS,
        ).returncode
    return read_results(results, status, time.monotonic() - began)


def read_results(results: Path, status: int, seconds: float) -> Run:
    """Read the file of results; a run that broke off has written none."""
    passed, skipped, failed = 0, 0, set()
    for test in ET.parse(results).iter("testcase") if results.exists() else ():
        outcomes = {outcome.tag for outcome in test}
        if outcomes & {"failure", "error"}:
            failed.add(f"{test.get('file')}::{test.get('name')}")
        elif "skipped" in outcomes:
            skipped += 1
        else:
            passed += 1
    return Run(status, passed, skipped, sorted(failed), seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.steady")
    parser.add_argument("--runs", type=int, default=5)
    options, arguments = parser.parse_known_args()
    # Whatever is started from here on has these cores only.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    folder = Path(tempfile.mkdtemp(prefix="steady-"))
    runs = []
    with busy_loops(LOOPS):
        for number in range(1, options.runs + 1):
            runs.append(run_tests(folder, number, arguments))
            print(f"run {number} of {options.runs}: {runs[-1]}", *runs[-1].failed, sep="\n    ", flush=True)
    green = sum(run.is_green for run in runs)
    print(f"{green} of {options.runs} runs are green; their output is in {folder}")
    return 0 if green == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
