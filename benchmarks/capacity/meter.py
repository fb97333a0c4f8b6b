"""What work has taken by now: processor time of each part and of PostgreSQL, write-ahead log, tables, requests to the bucket.

A cost is the difference of two readings, by the units of work done in between. Processor time is the kernel's own count, so that
other work on the machine isn't counted. It makes ours slower all the same where two cores are threads of one; so a yardstick is
laid on at each reading. What is taken without any work is measured first and left out of the costs.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import psutil

from benchmarks.capacity.s3_requests import RequestCounter, counting_requests
from tests.chaos.testbed.node import Command, Node, PartName
from tests.chaos.testbed.testbed import DATABASE, Testbed, open_testbed

PARTS: Final[tuple[PartName, ...]] = ("front", "worker", "sender", "api", "console")
POSTGRESQL: Final = "postgresql"
PARENT: Final = "parent"
VERDICTS: Final = "verdicts"
"""The children of worker processes, which judge uploads."""
# The tables, each with its indexes and whatever is kept out of its rows, and all parts of one that is divided.
_SIZES: Final = """
select coalesce(pg_partition_root(c.oid), c.oid)::regclass::text as name, sum(pg_total_relation_size(c.oid))::bigint as bytes
from pg_class c where c.relkind in ('r', 'm') and c.relnamespace = 'public'::regnamespace group by 1
"""
# Nothing that comes at its own times may fall into one measure and not into the next. Durability is as in production.
_STEADY: Final = ("checkpoint_timeout = '1h'", "max_wal_size = '16GB'")
# The testbed's nodes are quick to sweep, which costs more than production's pace.
_AS_IN_PRODUCTION: Final = {"worker__sweep_interval": "60", "worker__heartbeat_timeout": "15"}


@dataclass(frozen=True, slots=True)
class Reading:
    """All counts at one moment; `at` is of `time.monotonic`, in seconds as is `processor`, by part."""

    at: float
    processor: Mapping[str, float]
    wal_bytes: int
    table_bytes: Mapping[str, int]
    s3_requests: Counter[str]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a unit of work takes. `milliseconds`: of a processor, by part; the others are in bytes and in requests by method."""

    work: str
    milliseconds: Mapping[str, float]
    wal_bytes: float
    table_bytes: Mapping[str, float]
    s3_requests: Mapping[str, float]

    @property
    def kept_bytes(self) -> float:
        """By which all tables and indexes grew."""
        return sum(self.table_bytes.values())


def cost_between(
    work: str, before: Reading, after: Reading, units: float, at_rest: Cost | None = None
) -> Cost:
    """The cost of each of so many units. `at_rest`: what a second takes anyway."""
    rest = at_rest or Cost("", {}, 0, {}, {})
    seconds = after.at - before.at

    def each(grown: float, anyway: float) -> float:
        return max(0.0, grown - anyway * seconds) / units

    return Cost(
        work,
        {
            part: 1000 * each(used - before.processor.get(part, 0), rest.milliseconds.get(part, 0) / 1000)
            for part, used in after.processor.items()
        },
        each(after.wal_bytes - before.wal_bytes, rest.wal_bytes),
        {name: (size - before.table_bytes.get(name, 0)) / units for name, size in after.table_bytes.items()},
        {
            method: each(count - before.s3_requests[method], rest.s3_requests.get(method, 0))
            for method, count in after.s3_requests.items()
        },
    )


@dataclass
class Meter:
    """Reads the nodes of a testbed and its servers. `connection` is the measures' own: what it takes isn't counted."""

    testbed: Testbed
    s3: RequestCounter
    connection: "asyncpg.Connection[asyncpg.Record]"
    own_backend: int
    processes: dict[int, str] = field(default_factory=dict)
    """The processes of the nodes, without the children of workers, each with its part."""
    at_rest: Cost | None = None
    connections: Counter[str] = field(default_factory=Counter)
    """The most connections to PostgreSQL that one process of each part was seen with."""
    yardsticks: list[float] = field(default_factory=list)

    async def read(self) -> Reading:
        """All counts as they stand."""
        self.note_connections()
        self.yardsticks.append(yardstick())
        sizes = await self.connection.fetch(_SIZES)
        wal = await self.connection.fetchval("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        return Reading(
            time.monotonic(),
            self._processors(),
            int(wal),
            {row["name"]: row["bytes"] for row in sizes},
            Counter(self.s3.requests),
        )

    async def rest(self, seconds: float, windows: int = 3) -> Cost:
        """Measure what a second takes while nothing is asked for; later costs leave that out.

        Of the windows, of so many seconds each, the quietest counts: what a start has left to do ends meanwhile.
        """
        found = []
        for _ in range(windows):
            before = await self.read()
            await asyncio.sleep(seconds)
            after = await self.read()
            found.append(cost_between("a second at rest", before, after, after.at - before.at))
        self.at_rest = min(found, key=lambda cost: sum(cost.milliseconds.values()))
        return self.at_rest

    @contextlib.asynccontextmanager
    async def measuring(self, work: str, units: Callable[[], float]) -> AsyncIterator[list[Cost]]:
        """The cost of what the block does is in the list once it has ended; `units` is asked then."""
        found: list[Cost] = []
        before = await self.read()
        yield found
        found.append(cost_between(work, before, await self.read(), units(), self.at_rest))

    def memory(self, part: PartName) -> float:
        """Megabytes of the part's processes and their children; what they share with others is divided among these."""
        pids = [pid for pid, of in self.processes.items() if of == part]
        return sum(process.memory_full_info().pss for pid in pids for process in _tree(pid)) / 1_000_000

    def note_connections(self) -> None:
        """See how many connections to PostgreSQL each process has now."""
        for pid, part in self.processes.items():
            opened = [
                each
                for each in psutil.Process(pid).net_connections("tcp")
                if each.status == psutil.CONN_ESTABLISHED and each.raddr[1] == self.testbed.postgres.port
            ]
            self.connections[part] = max(self.connections[part], len(opened))

    def _processors(self) -> dict[str, float]:
        used = dict.fromkeys((PARENT, VERDICTS, *PARTS), 0.0)
        for pid, part in self.processes.items():
            own = _seconds_of(psutil.Process(pid))
            used[part] += own
            if part == "worker":
                used[VERDICTS] += _seconds_of_tree(pid) - own
        server = self.testbed.postgres.pid
        assert server is not None
        used[POSTGRESQL] = _seconds_of_tree(server, without=self.own_backend)
        return used


def yardstick() -> float:
    """Milliseconds of a processor that a fixed piece of plain Python takes just now."""
    began = time.process_time()
    strings: dict[int, str] = {}
    length = 0
    for number in range(200_000):
        strings[number % 5000] = str(number)
        length += len(strings[number % 5000])
    return (time.process_time() - began) * 1000


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _seconds_of_tree(pid: int, without: int | None = None) -> float:
    """Of the process and all below it, those that have ended included, as their parents have waited for them."""
    total = 0.0
    for process in _tree(pid):
        if process.pid != without:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def _seconds_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.asynccontextmanager
async def open_meter(campaigns: int) -> AsyncIterator[Meter]:
    """A testbed without nodes, whose bucket is reached through a counter of requests, and a meter of it."""
    async with (
        open_testbed(campaigns=campaigns, proxied=False) as testbed,
        counting_requests(testbed.s3.port) as counter,
    ):
        testbed.s3_url = counter.endpoint_url
        connection = await asyncpg.connect(testbed.postgres.socket_url(DATABASE))
        try:
            for setting in _STEADY:
                await connection.execute(f"alter system set {setting}")
            await connection.execute("select pg_reload_conf()")
            yield Meter(testbed, counter, connection, connection.get_server_pid())
        finally:
            await connection.close()
            # Before the way to the bucket ends, as nodes use it until they end.
            await asyncio.gather(*(node.kill() for node in testbed.nodes))


async def add_node(meter: Meter, command: Command = "run", **settings: str) -> Node:
    """One node with these settings, that works at production's pace. Its processes must live until the measures end."""
    [node] = await meter.testbed.add_nodes(1, command, **(_AS_IN_PRODUCTION | settings))
    meter.processes |= {node.pid: PARENT} | {pid: part for part in PARTS for pid in node.parts(part)}
    return node
