"""Real clients are brought down at random points of an upload. No batch may come of that, and the same upload sent again is
processed once."""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos.testbed.clients import Attempt, Ledger
from tests.chaos.testbed.files import UploadFile
from tests.chaos.testbed.invariants import (
    Inspection,
    clean_spools,
    inspect,
    quiet,
)
from tests.chaos.testbed.testbed import until
from tests.clients.driver import Abort, AccessDetails, Client, Invocation
from tests.clients.files import sized_file
from tests.clients.gateway_under_test import Aborted, GatewayUnderTest
from tests.clients.libraries import Paramiko
from tests.clients.openssh import OpenSSHSFTP
from tests.clients.transfer_programs import LFTP, Curl, Rclone

CLIENTS: Final[tuple[Client, ...]] = (OpenSSHSFTP(), Curl(), Paramiko(), LFTP(), Rclone())
# Sizes of uploads in bytes, each with its weight in the random choice.
SIZES: Final = ((100_000, 5), (400_000, 5), (1_500_000, 5), (5_000_000, 4), (12_000_000, 2), (29_000_000, 1))
SMALL: Final = SIZES[:4]
# What users give to `sftp -B`, in bytes.
BLOCK_SIZES: Final = (5_000, 8_192, 10_000, 12_288, 32_768)
# The range of seconds that an undisturbed upload takes: the line is made that slow.
_SHORTEST, _LONGEST = 0.7, 2.5
# Uploads at a time. With more of them programs would still be starting when they are to be brought down.
_AT_ONCE: Final = 3
_INTERRUPTED: Final = "upload_interrupted"


@dataclass(frozen=True, slots=True)
class SentFile(UploadFile):
    """An upload without its bytes: those of hundreds of uploads would fill the memory."""

    digest: str = ""

    @property
    def sha256(self) -> str:
        return self.digest


@dataclass(frozen=True, slots=True)
class Plan:
    """One upload and how it is to be brought down, when `at` bytes have passed.

    With `limited` the client keeps to `rate` (bytes a second) itself; else the line does.
    """

    client: Client
    way: Abort
    size: int
    at: int
    rate: int
    renamed: bool
    limited: bool
    whole_group: bool

    @property
    def kind(self) -> str:
        """The client and the way, as counted."""
        way = (self.client.own_abort_by or "").replace("`", "") if self.way is Abort.OWN else self.way.value
        return f"{self.client.name} {way}{' with a rename' if self.renamed else ''}"


@dataclass
class AbortReport:
    """What was brought down, and what was found.

    `finished` counts uploads that were acknowledged before the abort came; `answer_lost` those that had arrived whole and
    whose answer alone did not reach the client.
    """

    aborted: Counter[str] = field(default_factory=Counter)
    by_size: Counter[int] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    answer_lost: Counter[str] = field(default_factory=Counter)
    status_0: Counter[str] = field(default_factory=Counter)
    refused_at_close: int = 0
    seconds: float = 0
    inspection: Inspection = field(default_factory=Inspection)
    wrong: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises AssertionError with everything that is wrong."""
        wrong = [*self.wrong, *self.inspection.wrong]
        assert not wrong, "\n".join([f"{len(wrong)} wrong:", *wrong[:30]])

    def lines(self) -> list[str]:
        """The totals, a line each."""
        sizes = ", ".join(f"{count} of {size / 1e6:g} MB" for size, count in sorted(self.by_size.items()))
        kinds = ", ".join(f"{count} × {kind}" for kind, count in sorted(self.aborted.items()))
        return [
            f"{self.aborted.total()} uploads aborted in the middle ({sizes}): {kinds}",
            (
                f"{self.refused_at_close} of them ended in a CLOSE that was refused, with its e-mail; "
                f"{self.status_0.total()} in status 0 all the same ({_listed(self.status_0)})"
            ),
            (
                f"counted apart: {self.finished.total()} finished before the abort ({_listed(self.finished)}), "
                f"{self.answer_lost.total()} whole though the client never heard it ({_listed(self.answer_lost)})"
            ),
            (
                f"{self.inspection.batches} batches, {self.inspection.messages} messages, {self.inspection.e_mails} e-mails; "
                f"{len(self.wrong) + len(self.inspection.wrong)} wrong"
            ),
        ]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(counts.items())) or "none"


def plan(chance: random.Random, clients: Sequence[Client], sizes: Sequence[tuple[int, int]]) -> Plan:
    """Choose client, way, size and point at random."""
    client = chance.choice(clients)
    way = chance.choice(client.aborts)
    size = chance.choices([size for size, _ in sizes], [weight for _, weight in sizes])[0]
    return Plan(
        client,
        way,
        size,
        at=round(size * chance.uniform(0.03, 0.9)) + 4_000,
        rate=round(size / chance.uniform(_SHORTEST, _LONGEST)),
        renamed=way is not Abort.OWN and chance.random() < 0.4,
        limited=chance.random() < 0.5,
        whole_group=way is Abort.INT or chance.random() < 0.5,
    )


class Aborter:
    """Carries out plans, and remembers the aborted uploads for the inspection at the end."""

    def __init__(self, gateway: GatewayUnderTest, report: AbortReport) -> None:
        self._gateway = gateway
        self._report = report
        self._campaigns = itertools.cycle(gateway.testbed.campaigns)
        self._aborted: list[tuple[Plan, str, SentFile]] = []
        self.ledger = Ledger()

    async def carry_out(self, plan: Plan, chance: random.Random) -> None:
        """Bring one upload down, see that nothing came of it, and send it again."""
        gateway, campaign_id = self._gateway, next(self._campaigns)
        file = await asyncio.to_thread(sized_file, chance, plan.size)
        path = gateway.path_of(file)
        light = SentFile(file.name, b"", file.rows, digest=file.sha256)
        try:
            async with gateway.line(gateway.node, None if plan.limited else plan.rate) as line:
                access = gateway.access_for(campaign_id, line.port)
                began = time.monotonic()
                aborted = await gateway.abort(
                    plan.client,
                    _invocation(plan, access, path, file.name),
                    line,
                    plan.way,
                    at=plan.at,
                    whole_group=plan.whole_group,
                )
            await self._until_let_go(campaign_id, file.name)
            acknowledged = await self._classify(plan, aborted, campaign_id, light)
            self._note(campaign_id, light, began, acknowledged=acknowledged)
            await self._send_again(plan, gateway.access_for(campaign_id, gateway.node.port), path, light)
        finally:
            gateway.forget(file)

    async def _until_let_go(self, campaign_id: str, name: str) -> None:
        """Wait until the gateway is done with the upload: it still serves the queued packets of a closed connection."""

        async def let_go() -> bool:
            return not await asyncio.to_thread(_in_work, self._gateway.node.spool / campaign_id, name)

        await until(let_go, f"the gateway lets go of {name}", 30)

    async def _classify(self, plan: Plan, aborted: Aborted, campaign_id: str, file: SentFile) -> bool:
        """Count it. Whether the upload was acknowledged."""
        report, status = self._report, aborted.ended.status
        taken = await self._gateway.fetch_taken(campaign_id, file.name)
        if not taken:
            if not aborted.hit:
                report.wrong.append(f"{plan}: nothing taken, and nothing brought it down: {aborted.ended}")
            if status == 0:
                report.status_0[plan.kind] += 1
            report.aborted[plan.kind] += 1
            report.by_size[plan.size] += 1
            self._aborted.append((plan, campaign_id, file))
            return False
        if [sha256 for _, sha256, _ in taken] != [file.sha256]:
            report.wrong.append(f"{plan}: a part of {file.name} was taken for the whole: {aborted.ended}")
        (report.answer_lost if status else report.finished)[plan.kind] += 1
        return status == 0

    async def _send_again(self, plan: Plan, access: AccessDetails, path: Path, file: SentFile) -> None:
        flow = plan.client.upload_renamed if plan.renamed else plan.client.upload
        began = time.monotonic()
        ended = await self._gateway.run(flow(access, path, file.name))
        if ended.status != 0:
            self._report.wrong.append(f"{plan}: sent again, status {ended.status}: {ended.screen}")
        self._note(access.campaign_id, file, began, acknowledged=ended.status == 0)

    def _note(self, campaign_id: str, file: SentFile, began: float, *, acknowledged: bool) -> None:
        status = 0 if acknowledged else 1
        self.ledger.attempts.append(
            Attempt(campaign_id, file, self._gateway.node, status, "", began, time.monotonic())
        )

    async def inspect_all(self) -> None:
        """Check, when nothing is left to do, that of each aborted upload exactly one was taken, and every invariant."""
        testbed, report = self._gateway.testbed, self._report
        await quiet(testbed, 300)
        await clean_spools(testbed)
        for plan, campaign_id, file in self._aborted:
            taken = [sha256 for _, sha256, _ in await self._gateway.fetch_taken(campaign_id, file.name)]
            if taken == [file.sha256, file.sha256]:
                # The queued rest of the first one was served after we looked.
                report.aborted[plan.kind] -= 1
                report.by_size[plan.size] -= 1
                report.answer_lost[plan.kind] += 1
            elif taken != [file.sha256]:
                report.wrong.append(f"{plan}: {file.name} aborted and sent again, taken {len(taken)} times")
        report.refused_at_close = await testbed.fetch_value(
            "select count(*) from uploads where refusal_code = $1", _INTERRUPTED
        )
        report.inspection = await inspect(testbed, self.ledger, refusals=lambda code: code == _INTERRUPTED)


def _invocation(plan: Plan, access: AccessDetails, path: Path, name: str) -> Invocation:
    client = plan.client
    if plan.way is Abort.OWN:
        return client.give_up(access, path, name, after=plan.at, rate=plan.rate)
    if plan.renamed:
        if isinstance(client, OpenSSHSFTP):
            return client.carry_on(access, path, name, plan.rate)
        return client.upload_renamed(access, path, name)
    return (
        client.upload_slowly(access, path, name, plan.rate)
        if plan.limited
        else client.upload(access, path, name)
    )


def _in_work(folder: Path, name: str) -> bool:
    """Whether the spool shows an open handle on that name (or a temporary name of it), or bytes without a note: an upload that
    is being stored."""
    paths = set(folder.glob("*"))
    for path in paths:
        if path.suffix == ".bytes" and path.with_suffix(".json") not in paths:
            return True
        if path.suffix == ".json":
            try:
                note = path.read_text()
            except FileNotFoundError:
                return True
            if name in note and '"state":"writing"' in note:
                return True
    return False


async def run_block_sizes(gateway: GatewayUnderTest, moments: int, *, seed: int) -> AbortReport:
    """Press Ctrl-C in OpenSSH's sftp with each of the block sizes, `moments` times each, spread over the upload."""
    began = time.monotonic()
    chance, report = random.Random(seed), AbortReport()
    aborter = Aborter(gateway, report)
    size = 700_000
    plans = [
        Plan(
            OpenSSHSFTP(block),
            Abort.INT,
            size,
            at=round(size * (moment + 0.5) / moments * 0.85) + 6_000,
            rate=round(size / 1.5),
            renamed=moment % 4 == 3,
            limited=False,
            whole_group=True,
        )
        for block in BLOCK_SIZES
        for moment in range(moments)
    ]
    left = iter(plans)

    async def go_on() -> None:
        for plan in left:
            await aborter.carry_out(plan, chance)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(go_on())
    await aborter.inspect_all()
    report.seconds = time.monotonic() - began
    return report


async def run_aborts(
    gateway: GatewayUnderTest, count: int, *, seed: int, sizes: Sequence[tuple[int, int]] = SIZES
) -> AbortReport:
    """Bring uploads down until `count` of them were hit in the middle. Clients that are not installed are left out."""
    began = time.monotonic()
    clients = [client for client in CLIENTS if client.missing() is None]
    chance, report = random.Random(seed), AbortReport()
    aborter = Aborter(gateway, report)

    async def go_on() -> None:
        while report.aborted.total() < count and not report.wrong:
            await aborter.carry_out(plan(chance, clients, sizes), chance)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(_AT_ONCE, count)):
            tasks.create_task(go_on())
    await aborter.inspect_all()
    report.seconds = time.monotonic() - began
    return report
