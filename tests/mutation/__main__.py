"""`make mutate`: changes the code in thousands of small ways, one at a time, and tells which changes no test notices.

    python -m tests.mutation [--processes N] [GROUP [MUTANT...]]

Python is mutated by mutmut, the database's functions by sql.py. The groups stand in groups.py. What survives is written into
.mutation/GROUP/survivors.txt. With a group, only that one is tried; with mutants too, only these, in the folder as the last run
has left it. The exit status is 1 where a group is below 85 %.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from tests.mutation.groups import GROUPS, SQL_GROUPS, Group, SQLGroup
from tests.mutation.sql import try_functions
from tests.mutation.work_folder import Score, WorkFolder

_LEAST_PERCENT: Final = 85.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("group", nargs="?", choices=[group.name for group in (*GROUPS, *SQL_GROUPS)])
    parser.add_argument("mutants", nargs="*")
    chosen = parser.parse_args()
    scores: list[tuple[Score, float]] = []
    for group in (*GROUPS, *SQL_GROUPS):
        if chosen.group not in (None, group.name):
            continue
        print(f"\n{group.name}", flush=True)
        began = time.monotonic()
        if isinstance(group, SQLGroup):
            score = try_functions(group, chosen.mutants)
        else:
            score = _try_modules(group, chosen.mutants, chosen.processes)
        scores.append((score, time.monotonic() - began))
    print("\ngroup          made  tried  killed  timed out  survived  untested  unclear  killed %  minutes")
    for score, seconds in scores:
        print(
            f"{score.group:<13}{score.made:>6}{score.tried:>7}{score.killed:>8}{score.timed_out:>11}{len(score.survived):>10}"
            f"{len(score.untested):>10}{len(score.unclear):>9}{score.percent:>10.1f}{seconds / 60:>9.1f}"
        )
    return int(any(score.percent < _LEAST_PERCENT for score, _ in scores))


def _try_modules(group: Group, only: Sequence[str], processes: int) -> Score:
    folder = WorkFolder(group)
    if not only:
        folder.prepare()
    score = folder.try_mutants(folder.mutants(), only, processes)
    left = [*score.survived, *score.untested, *score.unclear]
    (folder.path / "survivors.txt").write_text(folder.show(left), encoding="utf-8")
    return score


if __name__ == "__main__":
    sys.exit(main())
