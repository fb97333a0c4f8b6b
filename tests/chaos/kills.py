"""SIGKILLs while several campaigns send with the real client: at each named step in turn, and of fronts, workers and whole
nodes at random. Every upload must have exactly one outcome in the end."""

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from config.fault_points import POINTS
from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import any_file
from tests.chaos.testbed.invariants import (
    Inspection,
    clean_spools,
    inspect,
    quiet,
)
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, until

_PROGRESS_TIMEOUT: Final = 120.0
# The fault points that are set together, in turn. Those of a group lie in different processes, so that deaths coincide too.
_STEPS: Final = (
    ("spool.closed", "verdict.begun"),
    ("intake.object_stored", "verdict.fetched", "notification.fetched"),
    ("intake.before_commit", "verdict.judged"),
    ("intake.committed", "verdict.copied", "notification.sent"),
    ("verdict.report_stored",),
    ("verdict.committed", "notification.recorded"),
)
UPLOAD_POINTS: Final = frozenset(point for together in _STEPS for point in together)
# No upload passes those of the way out, which have kills of their own (`tests/chaos/sending/`), nor those of other ways.
assert set(POINTS) - UPLOAD_POINTS == {
    point
    for point in POINTS
    if point.startswith(("sending.", "api.", "billing.", "reconcile.", "export.", "archive.", "restore."))
}


@dataclass
class KillReport:
    """What a run of kills did and found."""

    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    quiet_after: float = 0
    inspection: Inspection = field(default_factory=Inspection)

    @property
    def total(self) -> int:
        return self.kills.total()


class Killer:
    """Kills processes, and starts nodes again that were killed whole, as systemd would."""

    def __init__(self, testbed: Testbed, chance: random.Random) -> None:
        self.kills: Counter[str] = Counter()
        self._rig = testbed
        self._chance = chance
        self._restarts: dict[asyncio.Task[None], Node] = {}

    async def kill_at(self, point: str) -> None:
        """Let the next process that reaches this step die there."""
        fault_file = self._rig.fault_points / point
        fault_file.touch()

        async def reached() -> bool:
            self._check_restarts()
            return not fault_file.exists()

        await until(reached, f"a process reached {point}", _PROGRESS_TIMEOUT)
        self.kills[point] += 1

    async def kill_something(self) -> None:
        """SIGKILL a front, a worker or a whole node, at a random moment within half a second."""
        await asyncio.sleep(self._chance.random() / 2)
        while True:
            self._check_restarts()
            starting = list(self._restarts.values())
            running = [node for node in self._rig.nodes if node.is_running and node not in starting]
            what = self._chance.choice(("front", "worker", "node"))
            # After many deaths a supervisor waits up to 30 s before it replaces a process. A restart of the node ends that wait.
            incomplete = [node for node in running if not (node.parts("worker") and node.parts("front"))]
            if incomplete:
                what, running = "node", incomplete
            victim = self._chance.choice(running) if running else None
            if victim is not None and what == "node":
                await victim.kill()
                task = asyncio.create_task(victim.start_as_systemd(), name=f"start {victim.name}")
                self._restarts[task] = victim
            elif victim is None or not victim.kill_part("front" if what == "front" else "worker"):
                await asyncio.sleep(0.1)
                continue
            self.kills[what] += 1
            return

    async def end(self) -> None:
        """Wait until all nodes are started again."""
        await asyncio.gather(*self._restarts)

    def _check_restarts(self) -> None:
        for task in [task for task in self._restarts if task.done()]:
            del self._restarts[task]
            task.result()


async def run_kills(
    testbed: Testbed,
    kills: int,
    *,
    seed: int,
    clients: int = 4,
    largest: int = 4000,
    share_of_steps: float = 0.5,
    rest: float = 0,
) -> KillReport:
    """Kill `kills` times while `clients` clients send, each `rest` seconds after its last upload; then, when all is quiet,
    inspect everything."""
    chance = random.Random(seed)
    sending = Clients(testbed)
    killer = Killer(testbed, chance)
    report = KillReport(kills=killer.kills)
    enough = asyncio.Event()

    async def send(number: int) -> None:
        own = random.Random(seed * 1000 + number)
        while not enough.is_set():
            campaign = own.choice(testbed.campaigns)
            nodes = own.sample(testbed.fronts, len(testbed.fronts))
            await sending.put_with_retries(campaign, any_file(own, largest=largest), nodes)
            await asyncio.sleep(rest)

    async def progress() -> int:
        decided = await testbed.fetch_value("select count(*) from uploads where finished_at is not null")
        return int(decided)

    async def kill() -> None:
        steps = itertools.cycle(_STEPS)
        first_round = len(_STEPS)
        try:
            while (left := kills - killer.kills.total()) > 0:
                before = await progress()
                # The first round goes through all the steps.
                if first_round > 0 or chance.random() < share_of_steps:
                    first_round -= 1
                    await asyncio.gather(*(killer.kill_at(point) for point in next(steps)[:left]))
                else:
                    await killer.kill_something()

                async def went_on(before: int = before) -> bool:
                    return await progress() > before

                await until(went_on, "an outcome after the kill", _PROGRESS_TIMEOUT)
            await killer.end()
        finally:
            enough.set()

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(kill())
        for number in range(clients):
            tasks.create_task(send(number))
    report.quiet_after = await quiet(testbed)
    await restart_all(testbed.nodes)
    await clean_spools(testbed)
    report.inspection = await inspect(testbed, sending.ledger)
    report.seconds = time.monotonic() - began
    return report


async def restart_all(nodes: list[Node]) -> None:
    """Stop and start all nodes: a front removes at its start what killed ones have left in the spool."""
    statuses = await asyncio.gather(*(node.stop() for node in nodes if node.is_running))
    assert not any(statuses), f"the nodes ended with {statuses}"
    await asyncio.gather(*(node.start() for node in nodes))
