"""Costs as a table, and what a core carries by them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from benchmarks.capacity.meter import PARENT, POSTGRESQL, VERDICTS, Cost

COLUMNS: Final = (PARENT, "front", "worker", VERDICTS, "sender", "api", "console", POSTGRESQL)
# Which of them are one process that can't use more than one core, so that it ends first. Verdicts have children, PostgreSQL a
# process for each connection.
ONE_CORE: Final = (PARENT, "front", "worker", "sender", "api", "console")


def units_a_second(milliseconds: float) -> float:
    """How much of such work one core does in a second."""
    return 1000 / milliseconds


def first_to_end(cost: Cost, cores: float) -> tuple[str, float]:
    """What ends first on a node with one process of each part, beside a PostgreSQL with so many cores; and at which rate.

    A part of one process has one core. Verdicts have as many as there are.
    """
    rates = {
        part: units_a_second(cost.milliseconds[part]) * (1 if part in ONE_CORE else cores)
        for part in COLUMNS
        if cost.milliseconds.get(part, 0) > 0
    }
    return min(rates.items(), key=lambda each: each[1])


def print_costs(costs: Iterable[Cost]) -> None:
    """A line for each: milliseconds of a processor by part, bytes of write-ahead log and of tables, requests to the bucket."""
    print(f"\n  {'milliseconds of a processor':<56}" + "".join(f"{name:>11}" for name in COLUMNS))
    for cost in costs:
        figures = "".join(f"{_short(cost.milliseconds.get(name, 0)):>11}" for name in COLUMNS)
        print(f"  {cost.work:<56}{figures}", flush=True)


def print_bytes(costs: Iterable[Cost]) -> None:
    """A line for each: kilobytes, and requests to the bucket by their method."""
    print(f"\n  {'kilobytes':<56}{'WAL':>11}{'tables':>11}   requests to the bucket; where the tables grew")
    for cost in costs:
        requests = ", ".join(f"{count:.2f} {name}" for name, count in _largest(cost.s3_requests, 0.005))
        grown = ", ".join(f"{name} {size / 1000:.2f}" for name, size in _largest(cost.table_bytes, 20))
        figures = f"{_short(cost.wal_bytes / 1000):>11}{_short(cost.kept_bytes / 1000):>11}"
        print(f"  {cost.work:<56}{figures}   {requests or 'none'}; {grown or 'nowhere'}", flush=True)


def print_rates(costs: Sequence[Cost], cores: float) -> None:
    """A line for each: what ends first."""
    print(f"\n  What ends first, with one process of each part beside a PostgreSQL of {cores:g} cores")
    for cost in costs:
        part, rate = first_to_end(cost, cores)
        print(f"  {cost.work:<56}{rate:>11,.0f}/s   {part}", flush=True)


def print_yardsticks(found: Sequence[float]) -> None:
    """What the yardstick took, for comparing machines and hours."""
    print(
        f"  the yardstick: {statistics.median(found):.0f} ms of a processor, {min(found):.0f} to {max(found):.0f}"
    )


def _largest(figures: Mapping[str, float], least: float) -> list[tuple[str, float]]:
    return sorted(
        ((name, figure) for name, figure in figures.items() if figure >= least), key=lambda each: -each[1]
    )


def _short(figure: float) -> str:
    """Three digits that say something."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}" if figure >= 0.0005 else "-"
