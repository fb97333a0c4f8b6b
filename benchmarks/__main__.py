"""`make bench`: every measure in one run, each in a process of its own. Ratios are what counts: machines are noisy.

With `--base REVISION` (`make bench BASE=<revision>`) this tree is measured beside that commit instead.
"""

import argparse
import asyncio
import subprocess
import sys

from benchmarks.comparison import ROUNDS, compare

MEASURES = (
    "validation",
    "pipeline",
    "transfer",
    "crowd",
    "throughput",
    "sending",
    "smpp",
    "api",
    "console",
    "billing",
    "capacity",
    "growth",
)


def main() -> int:
    """Run the measures named, or all; or the comparison. Returns the first exit status that isn't 0."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    options.add_argument("measures", nargs="*", metavar="MEASURE", help=f"of {', '.join(MEASURES)}")
    options.add_argument("--base", metavar="REVISION", help="measure this tree beside that commit")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="of the comparison")
    chosen = options.parse_args()
    if chosen.base:
        return 1 if asyncio.run(compare(chosen.base, chosen.rounds)) else 0
    for name in chosen.measures:
        if name not in MEASURES:
            options.error(f"no such measure: {name}; there are {', '.join(MEASURES)}")
    for name in chosen.measures or MEASURES:
        print(f"\n== {name} ==", flush=True)
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
