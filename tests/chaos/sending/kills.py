"""Kills while batches go out through Twilio's call or SMPP: of senders at each named step, of senders, what takes callbacks, and
whole nodes at random, of PostgreSQL, and of the provider's connections. No attempt may be sent twice."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from config.fault_points import POINTS
from gateway.errors import EmbeddedError
from tests.chaos.billing.totals import Books
from tests.chaos.sending.aggregator_record import inspect_aggregator
from tests.chaos.sending.outgoing import AWAY, Outgoing
from tests.chaos.sending.provider_record import Inspection, all_finished, inspect
from tests.chaos.sending.smsc import SMSC
from tests.chaos.testbed.node import Node, PartName
from tests.chaos.testbed.testbed import until

SENDING_POINTS: Final = tuple(point for point in POINTS if point.startswith("sending."))
# On a machine that others use too, a whole node takes a minute to start.
_PROGRESS_TIMEOUT: Final = 180.0
# A sender that got nothing but unknown outcomes for long tries with one message at a time, and pauses for ever longer in between.
_TROUBLE_TIMEOUT: Final = 240.0
# Creations that hang are cut after so many seconds, where others must come before the trouble is over.
_LONGEST_HANG: Final = 10.0
_PARTS: Final[tuple[PartName, ...]] = ("sender", "api")
# How many creations one trouble of the provider meets.
_TROUBLED: Final = 6


@dataclass
class KillReport:
    """What a run of kills did and found."""

    kills: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    seconds: float = 0
    finished_after: float = 0
    inspection: Inspection = field(default_factory=Inspection)

    def lines(self) -> list[str]:
        """The totals, in sentences without their ends."""
        found = self.inspection
        kinds = ", ".join(f"{count} × {what}" for what, count in sorted(self.kills.items()))
        return [
            f"{self.kills.total()} kills ({kinds}) in {self.seconds:.0f} s",
            (
                f"{found.messages:,} messages, {found.attempts:,} attempts ({self.retries} retries), {found.created:,} taken by "
                f"the provider, {found.twice} twice, {found.without_record} without a record"
            ),
            (
                f"{found.delivered:,} delivered, {found.failed:,} refused by their phones, {found.never_created} proved never "
                f"created, {found.unknown} told as unknown, {found.adopted} resolved by receipts alone; all terminal "
                f"{self.finished_after:.0f} s after the last kill; {found.callbacks:,} callbacks or receipts"
            ),
        ]


class Killer:
    """Kills what sends and what it depends on, and starts nodes again that were killed whole, as systemd would."""

    def __init__(self, outgoing: Outgoing, chance: random.Random) -> None:
        self.kills: Counter[str] = Counter()
        self._outgoing = outgoing
        self._chance = chance
        self._restarts: dict[asyncio.Task[None], Node] = {}

    async def kill(self, way: str) -> None:
        """Kill in this way once, at a random moment, and count it."""
        await asyncio.sleep(self._chance.random() / 4)
        self._check_restarts()
        if way in SENDING_POINTS:
            await self._kill_at(way)
        else:
            await _WAYS[way](self)
        self.kills[way] += 1

    async def end(self) -> None:
        """Wait until all nodes are started again, and let the provider behave."""
        await asyncio.gather(*self._restarts)
        await self._outgoing.tell("faults", [])
        await self._outgoing.tell("cut")

    # Processes.

    async def _kill_at(self, point: str) -> None:
        """Let the next process that reaches this step die there."""
        fault_file = self._outgoing.testbed.fault_points / point
        fault_file.touch()

        async def reached() -> bool:
            await self._restart_the_incomplete()
            return not fault_file.exists()

        await until(reached, f"a process reached {point}", _PROGRESS_TIMEOUT)

    async def _kill_sender(self) -> None:
        await self._kill_part("sender")

    async def _kill_api(self) -> None:
        await self._kill_part("api")

    async def _kill_sender_while_slow(self) -> None:
        """What it had handed over is created after its death."""
        await self._troubles({"then": "answer", "seconds": 0.7, "count": _TROUBLED})
        await self._kill_part("sender")

    async def _kill_part(self, part: PartName) -> None:
        async def killed() -> bool:
            await self._restart_the_incomplete()
            living = [node for node in self._outgoing.nodes if node.parts(part)]
            return bool(living) and self._chance.choice(living).kill_part(part)

        await until(killed, f"a {part} to be killed", _PROGRESS_TIMEOUT)

    async def _kill_node(self) -> None:
        async def killed() -> bool:
            running = [node for node in self._outgoing.nodes if self._is_running(node)]
            if not running:
                return False
            await self._kill_whole(self._chance.choice(running))
            return True

        await until(killed, "a node to be killed", _PROGRESS_TIMEOUT)

    async def _kill_whole(self, node: Node) -> None:
        await node.kill()
        self._restarts[asyncio.create_task(node.start_as_systemd(), name=f"start {node.name}")] = node

    async def _restart_the_incomplete(self) -> None:
        """After many deaths a supervisor waits up to 30 s before it replaces a process. A restart of the node ends that wait."""
        self._check_restarts()
        for node in self._outgoing.nodes:
            if self._is_running(node) and not any(node.parts(part) for part in _PARTS):
                await self._kill_whole(node)

    def _is_running(self, node: Node) -> bool:
        return node.is_running and node not in self._restarts.values()

    def _check_restarts(self) -> None:
        for task in [task for task in self._restarts if task.done()]:
            del self._restarts[task]
            task.result()

    # PostgreSQL.

    async def _restart_database(self) -> None:
        await asyncio.to_thread(self._outgoing.testbed.postgres.restart)

    async def _kill_database(self) -> None:
        postgres = self._outgoing.testbed.postgres
        await asyncio.to_thread(postgres.kill)

        async def started() -> bool:
            # It refuses to start while processes of the killed server still live.
            try:
                await asyncio.to_thread(postgres.start)
            except EmbeddedError:
                return False
            return True

        await until(started, "PostgreSQL again", _PROGRESS_TIMEOUT)

    # The provider's link.

    async def _cut_link(self) -> None:
        """Connections are cut, of some creations after they were done and of others before."""
        await self._troubles(
            {"then": "cut", "creates": True, "count": _TROUBLED}, {"then": "cut", "count": _TROUBLED}
        )
        await self._outgoing.tell("cut")

    async def _hang_link(self) -> None:
        """Creations get no answer, whether or not they were done; those of an earlier trouble are cut now."""
        await self._outgoing.tell("cut")
        await self._troubles(
            {"then": "hang", "creates": True, "count": _TROUBLED}, {"then": "hang", "count": _TROUBLED}
        )

    async def _answer_500(self) -> None:
        await self._troubles(
            {"then": "error", "status": 500, "code": 20500, "creates": True, "count": _TROUBLED},
            {"then": "unreadable", "creates": True, "count": _TROUBLED},
            {"then": "error", "status": 503, "code": 20503, "count": _TROUBLED},
        )

    async def _throttle(self) -> None:
        """The aggregator says that it is too much, or that its queue is full."""
        await self._troubles({"status": 0x58}, {"status": 0x14})

    async def _refuse_link(self) -> None:
        """The provider refuses connections until a sender has found out."""
        await self._outgoing.tell("stop")

        async def paused() -> bool:
            self._check_restarts()
            return await self._outgoing.testbed.holds(
                "select exists (select from senders where paused_because = 'provider unreachable' and paused_until > now())"
            )

        try:
            await until(paused, "a sender paused, the provider unreachable", _PROGRESS_TIMEOUT)
        finally:
            await self._outgoing.tell("listen")

    async def _troubles(self, *faults: dict[str, object]) -> None:
        """Let the next creations meet these faults, and wait until all of them were met."""
        await self._outgoing.tell("faults", list(faults))
        cut_at = time.monotonic() + _LONGEST_HANG

        async def met() -> bool:
            nonlocal cut_at
            self._check_restarts()
            record = await self._outgoing.tell("record")
            if time.monotonic() > cut_at:
                cut_at = time.monotonic() + _LONGEST_HANG
                await self._outgoing.tell("cut")
            return bool(record["faults_left"] == 0)

        await until(met, "creations that meet the provider's trouble", _TROUBLE_TIMEOUT)


_WAYS: Final[dict[str, Callable[[Killer], Awaitable[None]]]] = {
    "sender": Killer._kill_sender,
    "sender, the provider slow": Killer._kill_sender_while_slow,
    "api": Killer._kill_api,
    "node": Killer._kill_node,
    "PostgreSQL restarted": Killer._restart_database,
    "PostgreSQL killed": Killer._kill_database,
    "link cut": Killer._cut_link,
    "link hanging": Killer._hang_link,
    "500 after accepting": Killer._answer_500,
    "link refused": Killer._refuse_link,
    "throttled": Killer._throttle,
}
_OF_TWILIO: Final = frozenset({"api", "node", "500 after accepting"})
_OF_SMPP: Final = frozenset({"throttled"})
WAYS: Final = (*SENDING_POINTS, *(way for way in _WAYS if way not in _OF_SMPP))
WAYS_OF_SMPP: Final = (*SENDING_POINTS, *(way for way in _WAYS if way not in _OF_TWILIO))


async def run_kills(
    outgoing: Outgoing,
    kills: int,
    *,
    seed: int,
    waiting: int = 100,
    largest: int = 200,
    ways: Sequence[str] | None = None,
) -> KillReport:
    """Kill `kills` times while batches go out: in each way once, then at random. Then wait for each last status, and inspect.

    What is charged is inspected too: the daily totals are those of the attempts.
    """
    by_smpp = isinstance(outgoing.provider, SMSC)
    if ways is None:
        ways = WAYS_OF_SMPP if by_smpp else WAYS
    chance = random.Random(seed)
    killer = Killer(outgoing, chance)
    report = KillReport(kills=killer.kills)
    enough = asyncio.Event()
    began = time.monotonic()

    async def kill() -> None:
        try:
            each_once = chance.sample(ways, min(kills, len(ways)))
            for way in [*each_once, *chance.choices(ways, k=kills - len(each_once))]:
                before = await outgoing.finished()
                await killer.kill(way)
                await until(partial(_went_on, outgoing, before), f"progress after {way}", _PROGRESS_TIMEOUT)
            await killer.end()
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(kill())
        tasks.create_task(outgoing.feed(random.Random(seed + 1), enough, waiting=waiting, largest=largest))
    report.finished_after = await all_finished(outgoing)
    report.inspection = await (inspect_aggregator if by_smpp else inspect)(outgoing)
    books = Books()
    async with outgoing.testbed.connected() as connection:
        await books.look(connection)
    report.inspection.wrong += books.wrong
    report.retries = outgoing.retries
    report.seconds = time.monotonic() - began
    return report


async def _went_on(outgoing: Outgoing, before: int) -> bool:
    try:
        return await outgoing.finished() > before
    except AWAY:
        # PostgreSQL is just starting.
        return False
