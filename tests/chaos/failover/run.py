"""Failovers of a Patroni cluster while agencies send with the real client and messages go out: nothing acknowledged may be lost,
nothing done twice, no session of a client ended and no process restarted."""

import asyncio
import itertools
import random
import signal
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.chaos.failover.cluster import Member, PatroniCluster
from tests.chaos.failover.ways_in import WayIn, asking
from tests.chaos.sending.outgoing import Outgoing
from tests.chaos.sending.provider_record import Inspection as SendingInspection
from tests.chaos.sending.provider_record import all_finished
from tests.chaos.sending.provider_record import inspect as inspect_provider
from tests.chaos.testbed.clients import Attempt, Clients
from tests.chaos.testbed.files import UploadFile, any_file, make_file
from tests.chaos.testbed.invariants import Inspection, inspect, quiet
from tests.chaos.testbed.node import Node, PartName
from tests.chaos.testbed.testbed import DATABASE, Testbed, until

_PARTS: Final[tuple[PartName, ...]] = ("front", "worker", "sender", "api")
# Patroni's ttl and what it takes to act, several times over, as the machine may be busy.
_NEW_LEADER: Final = 180.0
_ACKNOWLEDGED: Final = 120.0
# Load goes on for so long between two failovers.
_UNDISTURBED: Final = 1.5


class Way(StrEnum):
    """What happens to the leader."""

    KILL = "machine killed"
    CRASH = "PostgreSQL killed"
    HANG = "hang"
    SWITCH = "switch-over"


@dataclass(frozen=True, slots=True)
class Failover:
    """One of them, in seconds: until another server took writes, and from then until a CLOSE was answered OK."""

    way: Way
    new_leader_after: float
    acknowledged_after: float
    written_after: dict[str, float]
    """By each way in: from the new leader's first moment until a write got through."""


@dataclass
class FailoverReport:
    """What a run did and found."""

    failovers: list[Failover] = field(default_factory=list)
    seconds: float = 0
    session_uploads: int = 0
    cures: int = 0
    uploads: Inspection = field(default_factory=Inspection)
    sending: SendingInspection = field(default_factory=SendingInspection)

    def check(self) -> None:
        """Raises AssertionError with everything that is wrong."""
        self.uploads.check()
        self.sending.check()

    def lines(self) -> list[str]:
        """The totals, in sentences without their ends."""
        ways = Counter(one.way for one in self.failovers)
        by_way: defaultdict[Way, list[Failover]] = defaultdict(list)
        for one in self.failovers:
            by_way[one.way].append(one)
        return [
            f"{ways.total()} failovers in {self.seconds:.0f} s",
            *(
                f"{count} × {way}: new leader after {_span([one.new_leader_after for one in by_way[way]])}, CLOSE answers OK "
                f"{_span([one.acknowledged_after for one in by_way[way]])} after it"
                f"{_by_ways_in(by_way[way])}"
                for way, count in sorted(ways.items())
            ),
            (
                f"{self.uploads.attempts:,} tries, {self.uploads.acknowledged:,} acknowledged, {self.uploads.uploads:,} uploads "
                f"({self.uploads.unacknowledged_but_taken} whose answer was lost), 0 lost, 0 twice; {self.uploads.messages:,} "
                f"messages in {self.uploads.batches:,} batches"
            ),
            (
                f"{self.sending.created:,} messages taken by the provider, {self.sending.twice} twice, "
                f"{self.sending.without_record} without a record"
            ),
            (
                f"one session of sftp open all the while took {self.session_uploads} uploads; no process was restarted; "
                f"Patroni's key was cured {self.cures} times"
            ),
        ]


def _by_ways_in(failovers: list[Failover]) -> str:
    names = failovers[0].written_after
    return "".join(
        f", a write by {name} {_span([one.written_after[name] for one in failovers])}" for name in names
    )


def _span(seconds: list[float]) -> str:
    return f"{min(seconds):.1f} to {max(seconds):.1f} s (median {statistics.median(seconds):.1f})"


class LongSession:
    """One run of OpenSSH's client that stays logged in over all failovers."""

    def __init__(self, testbed: Testbed, clients: Clients, node: Node) -> None:
        self._rig = testbed
        self._clients = clients
        self._node = node
        self._process: asyncio.subprocess.Process | None = None
        self.uploads = 0

    async def open(self) -> None:
        """Log in."""
        self._process = await asyncio.create_subprocess_exec(
            *("sftp", "-q", "-b", "-", "-F", "none", "-P", str(self._node.port)),
            *("-i", str(self._rig.key.private_file), "-o", "IdentitiesOnly=yes"),
            *("-o", f"UserKnownHostsFile={self._rig.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
            f"{self._rig.campaigns[0]}@127.0.0.1",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    def look(self) -> None:
        """Ask for a listing, which may fail while the database is away; the session goes on."""
        self._say("-ls")

    async def put(self) -> None:
        """Send one upload, which must arrive."""
        file = make_file(2)
        path = self._rig.folder / "files" / file.name
        await asyncio.to_thread(path.write_bytes, file.content)
        began = time.monotonic()
        self._say(f"-put {path} {file.name}")
        await until(
            lambda: self._is_there(file), "an upload of the session that was never ended", _ACKNOWLEDGED
        )
        campaign = self._rig.campaigns[0]
        self._clients.ledger.attempts.append(
            Attempt(campaign, file, self._node, 0, "", began, time.monotonic())
        )
        self.uploads += 1

    async def close(self) -> None:
        """Log out. Raises AssertionError where the client had lost its session."""
        self._say("bye")
        assert self._process is not None
        async with asyncio.timeout(60):
            status = await self._process.wait()
        assert status == 0, f"the session that stayed open ended with {status}"

    def kill(self) -> None:
        """Where the run failed."""
        if self._process and self._process.returncode is None:
            self._process.kill()

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.returncode is None, "the session that stayed open was ended"
        self._process.stdin.write(f"{line}\n".encode())

    async def _is_there(self, file: UploadFile) -> bool:
        return await self._rig.holds("select exists (select from uploads where file_name = $1)", file.name)


async def run_failovers(
    outgoing: Outgoing, cluster: PatroniCluster, rounds: int, *, seed: int, clients: int = 3
) -> FailoverReport:
    """Let the leader fail `rounds` times, in each way in turn, and inspect everything when all is quiet."""
    testbed, chance = outgoing.testbed, random.Random(seed)
    sending = Clients(testbed)
    session = LongSession(testbed, sending, testbed.fronts[0])
    report = FailoverReport()
    processes = _processes(testbed)
    enough = asyncio.Event()
    began = time.monotonic()

    async def send(number: int) -> None:
        own = random.Random(seed * 1000 + number)
        while not enough.is_set():
            await sending.put_with_retries(
                own.choice(testbed.campaigns), any_file(own, largest=200), testbed.fronts, tries=60
            )

    addresses = {"an address with three servers": cluster.tcp_url(DATABASE)}
    if proxy_url := await asyncio.to_thread(cluster.proxy_url, DATABASE):
        addresses["HAProxy"] = proxy_url

    async def fail_over(ways_in: list[WayIn]) -> None:
        try:
            await session.open()
            await session.put()
            for way in itertools.islice(itertools.cycle(Way), rounds):
                await asyncio.sleep(_UNDISTURBED + chance.random())
                report.failovers.append(await _fail_over(cluster, way, sending, session, ways_in))
                await session.put()
                await asyncio.to_thread(cluster.wait_until_whole)
            await session.close()
        finally:
            session.kill()
            enough.set()

    async with asking(addresses) as ways_in, asyncio.TaskGroup() as tasks:
        tasks.create_task(fail_over(ways_in))
        tasks.create_task(outgoing.feed(chance, enough, waiting=50, largest=60))
        for number in range(clients):
            tasks.create_task(send(number))
    assert _processes(testbed) == processes, "a process of the gateway was restarted"
    report.session_uploads, report.cures = session.uploads, cluster.cures
    await quiet(testbed)
    await all_finished(outgoing)
    report.uploads = await inspect(testbed, sending.ledger, other_batches=True)
    report.sending = await inspect_provider(outgoing)
    report.seconds = time.monotonic() - began
    return report


async def _fail_over(
    cluster: PatroniCluster, way: Way, sending: Clients, session: LongSession, ways_in: list[WayIn]
) -> Failover:
    leader = await asyncio.to_thread(cluster.leader)
    assert leader is not None, "no member leads"
    others = [member for member in cluster.members if member is not leader]
    began = time.monotonic()
    switching: asyncio.Task[None] | None = None
    match way:
        case Way.KILL:
            await asyncio.to_thread(_kill, leader)
        case Way.CRASH:
            await asyncio.to_thread(leader.signal, signal.SIGKILL, patroni=False)
        case Way.HANG:
            await asyncio.to_thread(leader.signal, signal.SIGSTOP, patroni=True)
        case Way.SWITCH:
            switching = asyncio.create_task(_switch_over(leader))
    session.look()

    async def has_new_leader() -> bool:
        return any(await asyncio.gather(*(asyncio.to_thread(_is_leader, member) for member in others)))

    try:
        await until(has_new_leader, f"a new leader after the old one's {way}", _NEW_LEADER)
        led = time.monotonic()
        for each in ways_in:
            each.expect()

        async def is_acknowledged() -> bool:
            return any(each.acknowledged and each.ended > led for each in sending.ledger.attempts[-50:])

        await until(is_acknowledged, "a CLOSE answered OK by the new leader", _ACKNOWLEDGED)

        async def is_written() -> bool:
            return all(each.first_after is not None for each in ways_in)

        await until(is_written, "a write by each way in", _ACKNOWLEDGED)
        first = min(
            each.ended for each in sending.ledger.attempts[-100:] if each.acknowledged and each.ended > led
        )
    finally:
        # What hangs is reset, as by a watchdog: Patroni 3.0 without one may give the lead back to it when it wakes up.
        if way is Way.HANG:
            await asyncio.to_thread(_kill, leader)
        if way in {Way.KILL, Way.HANG}:
            await asyncio.to_thread(leader.start)
        if switching:
            await switching
    written = {each.name: each.first_after - led for each in ways_in if each.first_after is not None}
    return Failover(way, led - began, first - led, written)


def _is_leader(member: Member) -> bool:
    return member.is_leader


def _kill(member: Member) -> None:
    member.signal(signal.SIGKILL, patroni=True)
    if member.process:
        member.process.kill()


async def _switch_over(leader: Member) -> None:
    async def switched() -> bool:
        # It refuses while the last failover isn't over for it.
        status, _ = await asyncio.to_thread(leader.ask, "switchover", {"leader": leader.name})
        return status == 200

    await until(switched, "a switch-over that Patroni agrees to", 60)


def _processes(testbed: Testbed) -> dict[str, list[int]]:
    """Of each node: its first process and those of its parts."""
    return {
        node.name: sorted([node.pid, *itertools.chain(*(node.parts(part) for part in _PARTS))])
        for node in testbed.nodes
    }
