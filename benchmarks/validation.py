"""How fast validation is, and how much memory it takes: `python -m benchmarks.validation [--files | --shapes]`.

Each kind of file is measured in a process of its own: the best of five runs with report and messages written to disk, and
the peak memory above that of the idle process. The reference is `tests.processing.reference`, which judges row by row in
plain Python; it gets a shorter file of the kind. Seconds of processor time stand beside those of the clock, since only they
mean something on a busy machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import psutil

from benchmarks.files import GOOD_FILES, SHAPES, TEMPLATE, clean
from config.environment import Environment
from processing.verdicts.judge import judge
from processing.verdicts.terms import Rules, Verdict

RUNS: Final = 5
REFERENCE_ROWS: Final = 20_000
_RULES: Final = Rules(TEMPLATE, Environment.PRODUCTION)
_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Measurement:
    """One file's figures: seconds are of the best run, `memory` is the peak above idle in MB over all runs."""

    rows: int
    size: float
    seconds: float
    processor_seconds: float
    memory: float
    verdict: str
    reference_rows_per_second: float


def judge_once(path: Path, folder: Path) -> Verdict:
    """One verdict with all that goes with it, written to disk."""
    with (
        path.open("rb") as source,
        (folder / "messages").open("wb") as messages,
        (folder / "report").open("wb") as report,
    ):
        return judge(source, _RULES, messages=messages, report=report)


class PeakMemory:
    """The most resident memory of this process while it is entered, asked every few milliseconds, in MB above before."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._before = self._peak = 0

    @property
    def megabytes(self) -> float:
        return (self._peak - self._before) / _MEGABYTE

    def __enter__(self) -> "PeakMemory":
        self._before = self._peak = self._process.memory_info().rss
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(0.003):
            self._peak = max(self._peak, self._process.memory_info().rss)


def measure(name: str, *, runs: int, with_reference: bool) -> Measurement:
    """Measures one file in this process."""
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept)
        path = folder / "upload.csv"
        # Another process writes the file: making it takes memory, which would count as an idle worker's.
        subprocess.run(
            [sys.executable, "-m", "benchmarks.validation", "--write", name, str(path)], check=True
        )
        (folder / "small.csv").write_bytes(clean(2000))
        judge_once(folder / "small.csv", folder)  # a worker loads its tables with the first upload
        best = processor = float("inf")
        verdict = Verdict(valid=False)
        with PeakMemory() as memory:
            for _ in range(runs):
                clock, before = time.perf_counter(), time.process_time()
                verdict = judge_once(path, folder)
                best = min(best, time.perf_counter() - clock)
                processor = min(processor, time.process_time() - before)
        size = path.stat().st_size / 1e6
        rows = verdict.total_messages or max(1, path.read_bytes().count(b"\n") - 1)
        reference = reference_speed(name) if with_reference else 0.0
    summary = "valid" if verdict.valid else verdict.error_reason or f"{verdict.num_rows:,} bad rows"
    return Measurement(rows, size, best, processor, memory.megabytes, summary, reference)


def reference_speed(name: str) -> float:
    """Rows a second of the row-by-row reference, on a shorter file of the kind; best of two."""
    from tests.processing.reference.row_by_row import reference_verdict

    data = GOOD_FILES[name](rows=REFERENCE_ROWS)
    best = float("inf")
    for _ in range(2):
        clock = time.perf_counter()
        reference_verdict(data, _RULES)
        best = min(best, time.perf_counter() - clock)
    return REFERENCE_ROWS / best


def in_own_process(name: str, runs: int, *, with_reference: bool) -> Measurement:
    """`measure` in a fresh interpreter."""
    call = [sys.executable, "-m", "benchmarks.validation", "--one", name, "--runs", str(runs)]
    done = subprocess.run(
        call + ["--reference"] * with_reference, check=True, capture_output=True, text=True, timeout=1800
    )
    return Measurement(**json.loads(done.stdout))


def print_good_files(runs: int) -> None:
    """Speed, memory and ratio of the files that agencies send."""
    print(
        f"{'':20} {'rows':>9} {'MB':>5} {'s':>6} {'CPU s':>6} {'rows/s':>10} {'+MB':>5} {'reference':>10} {'ratio':>6}"
    )
    for name in GOOD_FILES:
        one = in_own_process(name, runs, with_reference=True)
        speed = one.rows / one.seconds
        print(
            f"{name:20} {one.rows:9,} {one.size:5.1f} {one.seconds:6.2f} {one.processor_seconds:6.2f} {speed:10,.0f}"
            f" {one.memory:5.0f} {one.reference_rows_per_second:10,.0f} {speed / one.reference_rows_per_second:6.1f}",
            flush=True,
        )


def print_shapes() -> None:
    """Time and memory of the worst shapes, one run each."""
    print(f"{'':32} {'MB':>5} {'s':>6} {'CPU s':>6} {'+MB':>5}  verdict")
    for name in SHAPES:
        one = in_own_process(name, 1, with_reference=False)
        print(
            f"{name:32} {one.size:5.1f} {one.seconds:6.2f} {one.processor_seconds:6.2f} {one.memory:5.0f}"
            f"  {one.verdict[:70]}",
            flush=True,
        )


def main() -> None:
    """The tables, or one of the parts that they are made of."""
    options = argparse.ArgumentParser(description="Measures validation.")
    options.add_argument("--shapes", action="store_true", help="only the worst shapes")
    options.add_argument("--files", action="store_true", help="only the files that agencies send")
    options.add_argument("--runs", type=int, default=RUNS)
    options.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    options.add_argument("--reference", action="store_true", help=argparse.SUPPRESS)
    options.add_argument("--write", nargs=2, metavar=("NAME", "PATH"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.write:
        Path(chosen.write[1]).write_bytes((GOOD_FILES | SHAPES)[chosen.write[0]]())
    elif chosen.one:
        print(json.dumps(asdict(measure(chosen.one, runs=chosen.runs, with_reference=chosen.reference))))
    else:
        if not chosen.shapes:
            print_good_files(chosen.runs)
        if not chosen.files:
            print_shapes()


if __name__ == "__main__":
    main()
