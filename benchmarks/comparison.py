"""`make bench BASE=<revision>`: this source tree beside an earlier commit, turn by turn in one run, as ratios.

Each round measures both programs, and every other round in the opposite order (A B B A), so that a machine that slows down
or warms up does so for both. A figure counts as worse where the ratio of the medians is beyond `TOLERANCE`.
"""

import asyncio
import contextlib
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.files import clean
from benchmarks.program import Installation, Program, installed

ROUNDS: Final = 6
TOLERANCE: Final = 1.05
_KINDS: Final = ("clean", "2 % bad", "every row bad")
_RUNS: Final = 3
_UPLOADS: Final = 150


@dataclass(frozen=True, slots=True)
class Figure:
    """What is compared. `more_is_better` for rates; seconds and megabytes are better when there are fewer."""

    name: str
    unit: str
    more_is_better: bool = False

    def is_worse(self, ratio: float) -> bool:
        """Whether this ratio of new to old is beyond the tolerance in the bad direction."""
        return 1 / ratio > TOLERANCE if self.more_is_better else ratio > TOLERANCE


Samples = dict[Figure, list[float]]


async def compare(base: str, rounds: int) -> int:
    """Print each figure's medians and their ratio. Returns how many are worse."""
    with source_tree(base) as (commit, tree):
        programs = (Program("base", tree), Program("this", Path(__file__).parent.parent))
        for program in programs:
            program.check_origin()
        samples: dict[str, Samples] = {program.name: defaultdict(list) for program in programs}
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gw-")))
            large, small = folder / "large.csv", folder / "small.csv"
            await asyncio.to_thread(large.write_bytes, clean())
            await asyncio.to_thread(small.write_bytes, clean(10))
            installations = [
                await stack.enter_async_context(installed(program, folder / program.name))
                for program in programs
            ]
            for number in range(rounds):
                order = installations if number % 2 == 0 else installations[::-1]
                for installation in order:
                    name = installation.program.name
                    print(f"round {number + 1} of {rounds}: {name}", flush=True)
                    async for figure, value in _measure_all(installation, large, small):
                        samples[name][figure].append(value)
    print(f"\nthis tree beside {base} ({commit}), medians of {rounds} rounds\n")
    return print_table(samples["base"], samples["this"])


async def _measure_all(
    installation: Installation, large: Path, small: Path
) -> AsyncIterator[tuple[Figure, float]]:
    for kind in _KINDS:
        measured = await asyncio.to_thread(installation.program.measure_validation, kind, _RUNS)
        yield Figure(f"validation, {kind}", "s"), measured["seconds"]
        yield Figure(f"validation, {kind}: processor", "s"), measured["processor_seconds"]
        yield Figure(f"validation, {kind}: memory", "MB"), measured["memory"]
    put, verdict = await installation.measure_large_upload(large, small)
    yield Figure("put of 29 MB by sftp", "s"), put
    yield Figure("CLOSE to the stored verdict", "s"), verdict
    yield Figure("COPY of a batch of 474,611", "s"), await installation.measure_copy(474_611)
    rate = await installation.measure_uploads_per_second(small, _UPLOADS)
    yield Figure("uploads of 10 rows", "1/s", more_is_better=True), rate


def print_table(old: Samples, new: Samples) -> int:
    """Print a line for each figure. Returns how many are worse."""
    worse = 0
    print(f"{'':36} {'base':>9} {'this':>9} {'':4} {'this/base':>9}")
    for figure, values in old.items():
        before, after = statistics.median(values), statistics.median(new[figure])
        ratio = after / before
        worse += figure.is_worse(ratio)
        note = "  worse" if figure.is_worse(ratio) else ""
        print(f"{figure.name:36} {before:9.2f} {after:9.2f} {figure.unit:4} {ratio:9.2f}{note}")
    print(f"\n{worse} of {len(old)} figures are worse by more than {TOLERANCE - 1:.0%}")
    return worse


@contextlib.contextmanager
def source_tree(revision: str) -> Iterator[tuple[str, Path]]:
    """The short hash of that revision, and its files in a temporary folder. Raises CalledProcessError if it is unknown."""
    here = Path(__file__).parent.parent
    resolved = subprocess.run(
        ["git", "rev-parse", "--short", "--verify", f"{revision}^{{commit}}"],
        cwd=here,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tempfile.TemporaryDirectory(prefix="gw-base-") as folder:
        archive = Path(folder) / "base.tar"
        subprocess.run(["git", "archive", f"--output={archive}", revision], cwd=here, check=True)
        tree = Path(folder) / "tree"
        tree.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", tree], check=True)
        yield resolved.stdout.strip(), tree
