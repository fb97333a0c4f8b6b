"""What each kind of work costs: `python -m benchmarks.capacity [--only sftp,web,loadtest,simulator,twilio,cells] [--short]`.

Processor time of each part and of PostgreSQL, write-ahead log, growth of the tables, requests to the bucket, memory, connections.
Such costs hold on a shared machine too; rates and times are measured by the other benchmarks. `--short` does a little of
each: its figures say that the measures work, and nothing else.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.capacity import cells, messages, sftp, web
from benchmarks.capacity.meter import PARTS, Cost, Meter, add_node, open_meter
from benchmarks.capacity.table import print_bytes, print_costs, print_rates, print_yardsticks
from benchmarks.console.__main__ import add_people
from benchmarks.files import clean, some_bad
from gateway.embedded.server_process import free_port

# As many as the pages of the console are made for.
_CAMPAIGNS: Final = 20
_CORES: Final = 4
_MEASURES: Final = ("sftp", "web", "loadtest", "simulator", "twilio", "cells")


async def measure(chosen: Sequence[str], scale: float) -> list[Cost]:
    """The measures named, each to its share of the whole; what they found is printed."""
    costs: list[Cost] = []
    if {"sftp", "web"} & set(chosen):
        costs += await _measure_way_in(chosen, scale)
    rows = round(60_000 * scale)
    if "loadtest" in chosen:
        costs.append(await messages.through_loadtest(rows))
    if "simulator" in chosen:
        cost, kept = await messages.through_simulator(rows)
        costs.append(cost)
        for table in kept.grown:
            print(
                f"  a message keeps in {table:<9}{kept.grown[table]:>6.0f} bytes as it grew,"
                f" {kept.packed[table]:.0f} packed (VACUUM FULL)"
            )
    if "twilio" in chosen:
        costs.append(await messages.through_twilio(round(5_000 * scale)))
    if costs:
        print_costs(costs)
        print_bytes(costs)
        print_rates(
            [cost for cost in costs if "a minute" not in cost.work and "at rest" not in cost.work], _CORES
        )
    if "cells" in chosen:
        print(f"\n  {await cells.two_cells(max(2, round(50 * scale)))}")
    return costs


async def _measure_way_in(chosen: Sequence[str], scale: float) -> list[Cost]:
    """One node with front, worker, API and console, one process each; nothing is sent."""
    api_port, console_port = free_port(), free_port()
    async with open_meter(_CAMPAIGNS) as meter:
        officers, _, requests = await add_people(meter.testbed, max(2, round(100 * scale)))
        keys = await web.make_keys(meter)
        node = await add_node(
            meter,
            # All sessions come from this machine.
            sftp__max_connections_per_address="1000",
            api__processes="1",
            api__port=str(api_port),
            console__processes="1",
            console__port=str(console_port),
            console__secret=secrets.token_urlsafe(32),
        )
        await asyncio.sleep(5 * scale)
        costs = [await meter.rest(12 * scale)]
        _print_memory(meter, "at rest")
        # Pages of a large batch need one.
        large = max(1000, round(100_000 * scale))
        if "sftp" in chosen:
            costs.append(await sftp.logins(meter, node, round(200 * scale)))
            idle, kilobytes = await sftp.idle_sessions(meter, node, round(180 * scale), max(1, 15 * scale))
            costs.append(idle)
            print(f"  an idle session: {kilobytes:.0f} kB of the front's memory", flush=True)
            costs.append(await sftp.uploads(meter, node, "an upload of 10 rows", 10, round(300 * scale)))
        for what, make in (("clean", clean), ("2 % bad", some_bad)):
            work = f"an upload of {large:,} rows, {what}"
            costs.append(await sftp.uploads(meter, node, work, large, max(1, round(4 * scale)), make))
        if "web" in chosen:
            costs += await _measure_web(meter, api_port, console_port, keys, officers, requests, scale)
        _print_memory(meter, "after all this")
    print_yardsticks(meter.yardsticks)
    most = ", ".join(f"{part} {count}" for part, count in meter.connections.items())
    print(f"  connections of one process to PostgreSQL, at most: {most}")
    return costs


async def _measure_web(
    meter: Meter, api_port: int, console_port: int, keys: list[str], officers: list[str],
    requests: list[str], scale: float,
) -> list[Cost]:  # fmt: skip
    def share(count: int) -> int:
        return max(10, round(count * scale))

    costs = [
        await web.single_sends(meter, api_port, keys, "a single send, at 50 a second", share(400), 50),
        await web.single_sends(meter, api_port, keys, "a single send, as many as can be", share(5000)),
        await web.list_pages(meter, api_port, keys, 50, share(1000)),
        await web.list_pages(meter, api_port, keys, 1000, share(150)),
        await web.console_views(meter, console_port, requests, share(1500)),
    ]
    live, kilobytes = await web.live_pages(
        meter, console_port, officers, round(200 * scale), max(1, 20 * scale)
    )
    print(f"  a live page: {kilobytes:.0f} kB of the console's memory", flush=True)
    return [*costs, live]


def _print_memory(meter: Meter, when: str) -> None:
    figures = ", ".join(f"{part} {memory:.0f} MB" for part in PARTS if (memory := meter.memory(part)))
    print(f"  memory {when}, children included: {figures}", flush=True)


def main() -> int:
    """All measures, or those that are named."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    options.add_argument("--only", default=",".join(_MEASURES), help="measures, separated by commas")
    options.add_argument("--short", action="store_true", help="a little of each")
    chosen = options.parse_args()
    began = time.monotonic()
    asyncio.run(measure(chosen.only.split(","), 0.02 if chosen.short else 1.0))
    print(f"\n  measured in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
