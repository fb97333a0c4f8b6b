"""`make chaos`: the long form of the tests in this folder, which takes an hour and more.

It ends with a table of what was done and seen. The exit status is 1 where anything that must hold did not hold.

    python -m tests.chaos [--only kills,sending,smpp,billing,aborts,outages,order,load,recovery,failover,restore]
        [--kills 200] [--rounds N] [--seed 1] [--logs FOLDER]
"""

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos import load, order, recovery
from tests.chaos.aborts import run_aborts, run_block_sizes
from tests.chaos.billing.kills import open_rig
from tests.chaos.billing.kills import run_kills as run_billing_kills
from tests.chaos.failover.cluster import PatroniCluster, missing_programs, patroni_cluster
from tests.chaos.failover.run import run_failovers
from tests.chaos.kills import run_kills
from tests.chaos.outages import database, object_store, scenarios, spool
from tests.chaos.restore import open_restoring, run_restores
from tests.chaos.sending.kills import run_kills as run_sending_kills
from tests.chaos.sending.outgoing import Outgoing, open_outgoing, open_outgoing_by_smpp
from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.invariants import (
    Inspection,
    clean_spools,
    inspect,
    quiet,
)
from tests.chaos.testbed.split_gateway import open_split_gateway
from tests.chaos.testbed.testbed import Testbed, open_testbed
from tests.clients.gateway_under_test import open_gateway


@dataclass
class Run:
    """One call of `make chaos`: how much it is to do, and what it has seen so far."""

    kills: int
    aborts: int
    seed: int
    uploads: int
    rounds: int | None
    logs: Path | None
    lines: list[tuple[str, str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def say(self, what: str, seen: str, seconds: float) -> None:
        self.lines.append((what, seen, seconds))
        print(f"  {what}: {seen} ({seconds:.0f} s)", flush=True)

    async def step(self, what: str, work: Awaitable[str]) -> None:
        """Await the work and note what it saw. A failure is noted too, so that the steps after it still run."""
        began = time.monotonic()
        try:
            seen = await work
        except Exception as error:  # noqa: BLE001 - it is printed, noted, and turns the exit status to 1
            traceback.print_exc()
            self.failed.append(f"{what}: {error}")
            seen = "FAILED"
        self.say(what, seen, time.monotonic() - began)


def _summary(found: Inspection) -> str:
    found.check()
    outcomes = ", ".join(f"{count} {status}" for status, count in sorted(found.outcomes.items()))
    return (
        f"{found.attempts} tries, {found.acknowledged} acknowledged, {found.uploads} uploads taken "
        f"({found.unacknowledged_but_taken} whose answer was lost), outcomes {outcomes}; {found.batches} batches, "
        f"{found.messages:,} messages, none twice; {found.message_ids} Message-IDs in {found.e_mails} e-mails; "
        f"{found.retried_verdicts} verdicts begun more than once; {found.partials} partials left of cut uploads"
    )


async def kills(run: Run) -> None:
    async with open_testbed(campaigns=4, keep_logs=run.logs) as testbed:
        await testbed.add_nodes(2)

        async def work() -> str:
            report = await run_kills(testbed, run.kills, seed=run.seed)
            kinds = ", ".join(f"{count} × {what}" for what, count in sorted(report.kills.items()))
            return f"{report.total} kills ({kinds}); {_summary(report.inspection)}"

        await run.step("kills", work())


async def sending_kills(run: Run) -> None:
    """Half of the kills meet senders alone, which are back soon; half of them nodes with all their parts."""
    on_whole_nodes = run.kills // 2
    for whole_nodes, count in ((False, run.kills - on_whole_nodes), (True, on_whole_nodes)):
        async with open_outgoing(whole_nodes=whole_nodes, keep_logs=run.logs) as outgoing:

            async def work(
                outgoing: Outgoing = outgoing, count: int = count, more: int = int(whole_nodes)
            ) -> str:
                report = await run_sending_kills(outgoing, count, seed=run.seed + more)
                report.inspection.check()
                return "; ".join(report.lines())

            await run.step("sending, whole nodes" if whole_nodes else "sending, senders alone", work())


async def smpp_kills(run: Run) -> None:
    async with open_outgoing_by_smpp(keep_logs=run.logs) as outgoing:

        async def work() -> str:
            report = await run_sending_kills(outgoing, max(run.kills * 2 // 5, 1), seed=run.seed)
            report.inspection.check()
            return "; ".join(report.lines())

        await run.step("sending through SMPP", work())


async def billing_kills(run: Run) -> None:
    async with open_rig(run.seed) as rig:

        async def work() -> str:
            report = await run_billing_kills(rig, run.kills)
            report.books.check()
            return "; ".join(report.lines())

        await run.step("billing", work())


async def aborted_uploads(run: Run) -> None:
    # A campaign gets at most twenty e-mails of refusals an hour: with so many campaigns none reaches that.
    async with open_gateway(campaigns=max(3, run.aborts // 15), keep_logs=run.logs) as gateway:

        async def work() -> str:
            report = await run_aborts(gateway, run.aborts, seed=run.seed)
            report.check()
            return "; ".join(report.lines())

        await run.step("aborts", work())
    moments = max(2, run.aborts // 15)
    async with open_gateway(campaigns=max(3, moments // 2), keep_logs=run.logs) as other:

        async def interrupt() -> str:
            report = await run_block_sizes(other, moments, seed=run.seed)
            report.check()
            return "; ".join(report.lines())

        await run.step("Ctrl-C of sftp -B", interrupt())


async def outages(run: Run) -> None:
    async with open_testbed(keep_logs=run.logs) as testbed, open_split_gateway(testbed) as gateway:
        for name, scenario in scenarios.all_outages():
            await run.step(name, scenario(gateway))
        await run.step("COMMIT without an answer", database.commits_are_unclear(testbed, gateway.clients))
        await run.step("campaign at its quota", spool.campaign_is_at_its_quota(testbed, gateway.clients))
        await run.step("after the outages", _inspect_when_quiet(testbed, gateway.clients, mail=False))
        await gateway.worker.stop()
        await run.step("S3 failing for good", object_store.bucket_fails_for_good(testbed, gateway.clients))


async def order_of_service(run: Run) -> None:
    async with open_testbed(keep_logs=run.logs) as testbed:
        front, clients = await testbed.add_node("sftpd"), Clients(testbed)
        await run.step(
            "fairness",
            order.single_upload_passes_backlog(
                testbed, clients, front, files=100, rows=60_000, under_way=True
            ),
        )
        await run.step("lost jobs", order.lost_jobs_are_found(testbed, clients, front))
        await run.step("cancelled job", order.cancelled_while_running(testbed, clients, front))
        await run.step("after them", _inspect_when_quiet(testbed, clients))


async def load_on_two_nodes(run: Run) -> None:
    async with open_testbed(campaigns=4, keep_logs=run.logs) as testbed:
        nodes, clients = await testbed.add_nodes(2), Clients(testbed)

        async def many_clients() -> str:
            found, took = await load.many_clients(testbed, nodes, uploads=run.uploads)
            return f"{_summary(found)}; {run.uploads / took:.1f} uploads/s"

        await run.step("two nodes, 8 clients", many_clients())
        await run.step("same bytes at once", order.same_bytes_at_once(testbed, clients, nodes, times=12))
        await run.step("SIGTERM during an upload", load.stop_finishes_uploads(testbed, clients, *nodes))
        await run.step(
            "reloads, restarts", load.restarts_under_load(testbed, clients, nodes, reloads=4, restarts=4)
        )
        await run.step("no leader", load.one_node_then_the_other(testbed, clients, nodes))
        await quiet(testbed)
        for node in nodes[1:]:
            await node.stop()
        front = await testbed.add_node("sftpd")
        await nodes[0].stop()
        await run.step(
            "stop without the time to finish", load.hard_stop_leaves_its_job(testbed, clients, front)
        )


async def recoveries(run: Run) -> None:
    async with open_testbed(keep_logs=run.logs) as testbed:
        front, clients = await testbed.add_node("sftpd"), Clients(testbed)

        async def plain() -> str:
            return f"decided {await recovery.undisturbed(testbed, clients, front):.1f} s after its acknowledgement"

        async def killed(point: str) -> str:
            of_death, of_restart = await recovery.worker_dies_in_large_file(
                testbed, clients, front, point=point
            )
            assert of_restart < 30, f"{of_restart:.1f} s after the restart"
            return f"outcome {of_restart:.1f} s after the restart, {of_death:.1f} s after the death"

        await run.step("29 MB, undisturbed", plain())
        for point in ("verdict.begun", "verdict.fetched", "verdict.judged", "verdict.copied"):
            await run.step(f"29 MB, worker killed at {point}", killed(point))
        await run.step("after them", _inspect_when_quiet(testbed, clients))


async def restores(run: Run) -> None:
    async with open_restoring(seed=run.seed, keep_logs=run.logs) as restoring:

        async def work() -> str:
            return "; ".join((await run_restores(restoring, run.rounds or 5)).lines())

        await run.step("restores", work())


async def _inspect_when_quiet(testbed: Testbed, clients: Clients, *, mail: bool = True) -> str:
    await quiet(testbed)
    await clean_spools(testbed)
    return _summary(await inspect(testbed, clients.ledger, mail=mail))


async def failovers(run: Run) -> None:
    if missing := missing_programs():
        print(f"  skipped, as {', '.join(missing)} can't be found: see docs/failover.md", flush=True)
        return
    clusters: list[PatroniCluster] = []

    @contextlib.contextmanager
    def cluster(folder: Path) -> Iterator[PatroniCluster]:
        with patroni_cluster(folder) as made:
            clusters.append(made)
            try:
                yield made
            finally:
                if run.logs:
                    for member in made.members:
                        shutil.copy(member.folder / "patroni.log", run.logs / f"{member.name}.log")

    async with open_outgoing(nodes=1, whole_nodes=True, keep_logs=run.logs, server=cluster) as outgoing:

        async def work() -> str:
            report = await run_failovers(outgoing, clusters[0], run.rounds or 20, seed=run.seed)
            report.check()
            return "; ".join(report.lines())

        await run.step("failovers", work())


SUITES: dict[str, Callable[[Run], Awaitable[None]]] = {
    "kills": kills,
    "sending": sending_kills,
    "smpp": smpp_kills,
    "billing": billing_kills,
    "aborts": aborted_uploads,
    "outages": outages,
    "order": order_of_service,
    "load": load_on_two_nodes,
    "recovery": recoveries,
    "failover": failovers,
    "restore": restores,
}


async def _run_suites(run: Run, suites: list[str]) -> None:
    for name in suites:
        print(f"{name}:", flush=True)
        try:
            await SUITES[name](run)
        except Exception as error:  # noqa: BLE001 - as in a step, so that the other suites still run
            traceback.print_exc()
            run.failed.append(f"{name}: {error}")


def main() -> int:
    """Run the suites asked for. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--only", default=",".join(SUITES), help="suites, separated by commas")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--aborts", type=int, default=300)
    parser.add_argument("--uploads", type=int, default=400)
    parser.add_argument("--rounds", type=int, help="of failovers (20) and of restores (5)")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--logs", type=Path, help="a folder to keep the nodes' logs in")
    given = parser.parse_args()
    if given.logs:
        given.logs.mkdir(parents=True, exist_ok=True)
    run = Run(given.kills, given.aborts, given.seed, given.uploads, given.rounds, given.logs)
    began = time.monotonic()
    asyncio.run(_run_suites(run, given.only.split(",")))
    minutes = (time.monotonic() - began) / 60
    print(f"\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, seed {run.seed}, {minutes:.0f} minutes\n")
    print("| what | seen | seconds |\n|---|---|---|")
    for what, seen, seconds in run.lines:
        print(f"| {what} | {seen} | {seconds:.0f} |")
    for line in run.failed:
        print(f"\nFAILED {line}", file=sys.stderr)
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
