"""A gateway that has run for years beside a young one: `python -m benchmarks.growth [--uploads N] [--campaigns N] [--rounds N]`.

One database has 20 million messages, 2 million uploads, 5 million audit events and 200,000 campaigns of a hundred agencies, the
other what the first of these agencies alone would have: a hundredth. So each list has a full page in both, and whoever looks has
as many campaigns in both. Everything that people and programs do is done on both, turn by turn: what takes more than 1.5 times as
long on the large one, by the medians, is too slow, and so is a page that takes more than 100 ms there. A statement is at fault
whose plan reads more than it needs (`plans.py`). PostgreSQL's module auto_explain logs the plans; the embedded PostgreSQL lacks
it, so Debian's is taken.
"""

import argparse
import asyncio
import statistics
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from benchmarks.files import clean
from benchmarks.growth.calls import CALLS, Call
from benchmarks.growth.filling import Sizes
from benchmarks.growth.plans import find_programs
from benchmarks.growth.reading import Faults, look_at_plans
from benchmarks.growth.rig import Place, open_place

UPLOADS: Final = 2_000_000
CAMPAIGNS: Final = 200_000
ROUNDS: Final = 5
TARGET: Final = 1.5
# Seconds that a page may take on the large database, whoever sees it. A search of messages looks on for a quarter of a second
# where it finds few, on either.
PAGE_TARGET: Final = 0.1
SEARCH: Final = "search=9123"
SEARCH_TARGET: Final = 0.3
# A difference of less, in seconds, is the machine's.
_NOISE: Final = 0.01
_SMALLER: Final = 100

Measure = Callable[[Place], Awaitable[float]]


async def measure(uploads: int, campaigns: int, rounds: int) -> bool:
    """Fill, do everything, tell. Whether nothing was too slow, and no plan at fault."""
    async with AsyncExitStack() as stack:
        large = await stack.enter_async_context(open_place(Sizes(uploads, campaigns), _tell))
        small = await stack.enter_async_context(
            open_place(Sizes(max(uploads // _SMALLER, 2_000), max(campaigns // _SMALLER, 200)), _tell)
        )
        file = large.testbed.folder / "ten.csv"
        await asyncio.to_thread(file.write_bytes, clean(10))
        faults = await look_at_plans(large, file)
        slow = await _compare(large, small, _measures(file), rounds)
    _tell_faults(faults)
    print(
        f"\n{slow} things take longer than {TARGET} x, or, as a page, than {PAGE_TARGET} s"
        f" ({SEARCH_TARGET} s where messages are searched)"
    )
    return not faults and not slow


def _measures(file: Path) -> dict[str, Measure]:
    """What is timed, by its name."""

    async def put(place: Place) -> float:
        return (await place.put(file))[0]

    async def mail(place: Place) -> float:
        return (await place.put(file))[1]

    def of(call: Call) -> Measure:
        return lambda place: place.run(call)

    return {
        "login and put of 10 rows": put,
        "login and put, until the e-mail": mail,
        "start of all parts": Place.start,
        "scrape of /metrics": Place.read_metrics,
        **{call.name: of(call) for call in CALLS},
    }


async def _compare(large: Place, small: Place, measures: dict[str, Measure], rounds: int) -> int:
    """Time each on both, turn by turn, and print a line for each. Returns how many are too slow."""
    taken: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        for name, run in measures.items():
            for is_large in (True, False) if number % 2 else (False, True):
                seconds = await run(large if is_large else small)
                # The first one warms up.
                if number:
                    taken[name, is_large].append(seconds)
    print(f"\n{'medians of ' + str(rounds) + ' rounds':78} {'small':>8} {'large':>8} {'ratio':>6}")
    return sum(_tell_line(name, taken[name, True], taken[name, False]) for name in measures)


def _tell_line(name: str, large: Sequence[float], small: Sequence[float]) -> bool:
    """Print a line. Whether it is too slow."""
    many, few = statistics.median(large), statistics.median(small)
    if SEARCH in name:
        is_slow = many > SEARCH_TARGET
    else:
        is_page = name.startswith("/")
        is_slow = (many > TARGET * few and many - few > _NOISE) or (is_page and many > PAGE_TARGET)
    note = "  SLOW" if is_slow else ""
    print(f"{name[:78]:78} {few * 1000:5.0f} ms {many * 1000:5.0f} ms {many / few:6.2f}{note}")
    return is_slow


def _tell_faults(faults: Faults) -> None:
    print(f"\n{len(faults)} faults of plans")
    for fault, times in sorted(faults.items()):
        print(f"{times:5} x {fault}")


def _tell(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """Exit status 1 where something is too slow, or a plan at fault."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    options.add_argument("--uploads", type=int, default=UPLOADS, help="of the large database")
    options.add_argument("--campaigns", type=int, default=CAMPAIGNS, help="of the large database")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="of each call")
    chosen = options.parse_args()
    if find_programs() is None:
        print(
            "growth: no PostgreSQL with auto_explain is installed (Debian: apt-get install postgresql-15); not measured"
        )
        return 0
    return 0 if asyncio.run(measure(chosen.uploads, chosen.campaigns, chosen.rounds)) else 1


if __name__ == "__main__":
    sys.exit(main())
