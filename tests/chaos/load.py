"""Two nodes under load: many clients at once, then stops, reloads and restarts while uploads go on, then a node lost for good."""

import asyncio
import itertools
import random
import signal
import time
from collections.abc import Sequence
from functools import partial

from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import UploadFile, any_file, make_file
from tests.chaos.testbed.invariants import Inspection, inspect, quiet
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, until


async def many_clients(
    testbed: Testbed, nodes: Sequence[Node], *, uploads: int, clients: int = 8, seed: int = 5
) -> tuple[Inspection, float]:
    """Send `uploads` uploads by `clients` clients while nothing fails: there must be exactly as many outcomes and e-mails."""
    sending = Clients(testbed)
    chance = random.Random(seed)
    files = iter([any_file(chance, largest=2000) for _ in range(uploads)])
    began = time.monotonic()

    async def send(number: int) -> None:
        for file in files:
            campaign = testbed.campaigns[number % len(testbed.campaigns)]
            assert await sending.put_with_retries(campaign, file, [nodes[number % len(nodes)]], tries=1)

    async with asyncio.TaskGroup() as tasks:
        for number in range(clients):
            tasks.create_task(send(number))
    await quiet(testbed)
    took = time.monotonic() - began
    found = await inspect(testbed, sending.ledger)
    good = found.outcomes["accepted"]
    counts = (found.uploads, found.outcomes.total(), found.message_ids, found.e_mails, found.batches)
    if counts != (uploads, uploads, uploads, uploads, good):
        found.wrong.append(f"uploads, outcomes, Message-IDs, e-mails, batches: {counts} of {uploads} sent")
    return found, took


async def stop_finishes_uploads(testbed: Testbed, clients: Clients, node: Node, other: Node) -> str:
    """SIGTERM comes in the middle of an upload, which is finished and acknowledged before the node ends with status 0.

    The other node gives the upload its outcome.
    """
    file = make_file(20_000)
    sending = asyncio.create_task(clients.put(testbed.campaigns[0], file, node, "-l", "2400"))

    async def receiving() -> bool:
        return any(path.stat().st_size > 100_000 for path in node.spool.glob("*/*.bytes"))

    await until(receiving, "an upload in the middle", 60)
    began = time.monotonic()
    node.tell(signal.SIGTERM)
    attempt = await sending
    assert attempt.acknowledged, attempt.error_text
    status = await node.ended(45)
    took = time.monotonic() - began
    assert status == 0, f"the node ended with {status}"
    refused = await clients.put(testbed.campaigns[0], make_file(3), node)
    assert not refused.acknowledged
    # No node is the leader: the other one decides what this one took in.
    assert other.is_running
    await until(lambda: _decided(testbed, file), "its outcome", 60)
    await node.start()
    return f"finished and acknowledged; the node ended after {took:.1f} s"


async def _decided(testbed: Testbed, file: UploadFile) -> bool:
    return await testbed.holds(
        "select count(*) = 1 from uploads where file_name = $1 and finished_at is not null", file.name
    )


async def restarts_under_load(
    testbed: Testbed,
    clients: Clients,
    nodes: Sequence[Node],
    *,
    reloads: int,
    restarts: int,
    rest: float = 0,
) -> str:
    """No client sees a reload, and only a client that connects while nothing listens sees a restart. Nothing is lost.

    Each of four clients rests for `rest` seconds after an upload.
    """
    enough = asyncio.Event()
    sent: list[str] = []

    async def send(number: int) -> None:
        campaign = testbed.campaigns[number % len(testbed.campaigns)]
        while not enough.is_set():
            attempt = await clients.put(campaign, make_file(15), nodes[number % len(nodes)])
            sent.append(attempt.error_text if not attempt.acknowledged else "")
            if not attempt.acknowledged:
                # Nothing listens while a node restarts.
                await asyncio.sleep(0.5)
            await asyncio.sleep(rest)

    async def reload() -> None:
        try:
            for node in itertools.islice(itertools.cycle(nodes), reloads):
                since = node.log.stat().st_size
                node.tell(signal.SIGHUP)
                await until(partial(_reloaded, node, since), "the reload", 90)
            assert not any(sent), f"a reload was seen by {sum(map(bool, sent))} of {len(sent)}: {set(sent)}"
            for node in itertools.islice(itertools.cycle(nodes), restarts):
                assert await node.stop() == 0
                await node.start()
        finally:
            enough.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reload())
        for number in range(4):
            tasks.create_task(send(number))
    refused = sum(map(bool, sent))
    return f"{reloads} reloads, {restarts} restarts, {len(sent)} uploads: {refused} refused while a node was down"


async def _reloaded(node: Node, since: int) -> bool:
    with node.log.open("rb") as log:
        log.seek(since)
        text = log.read()
    assert b'"reload_refused"' not in text
    return b'"node_reloaded"' in text


async def one_node_then_the_other(testbed: Testbed, clients: Clients, nodes: Sequence[Node]) -> str:
    """Each node in turn is killed while it has undecided uploads; the other one decides them and goes on."""
    first, second = nodes
    for gone, left in ((first, second), (second, first)):
        files = [make_file(200) for _ in range(6)]
        for file in files:
            assert (await clients.put(testbed.campaigns[0], file, gone)).acknowledged
        await gone.kill()
        files.append(make_file(20))
        assert (await clients.put(testbed.campaigns[1], files[-1], left)).acknowledged

        async def all_decided(files: list[UploadFile] = files) -> bool:
            return all([await _decided(testbed, file) for file in files])

        await until(all_decided, "the outcomes of what the dead node had", 90)
        await gone.start()
    return "each took over what the other had"


async def hard_stop_leaves_its_job(testbed: Testbed, clients: Clients, front: Node) -> str:
    """A worker whose drain time is too short for its verdict exits in the middle of it; another worker takes the job over."""
    file = make_file(300_000)
    stopped = await testbed.add_node("worker", worker__drain_timeout="0.2")
    assert (await clients.put(testbed.campaigns[0], file, front)).acknowledged

    async def begun() -> bool:
        return await testbed.holds(
            "select count(*) = 1 from uploads where file_name = $1 and status = 'validating'", file.name
        )

    await until(begun, "the verdict begun", 60)
    await stopped.stop()
    assert not await _decided(testbed, file), "it was decided before the stop, so the take-over shows nothing"
    successor = await testbed.add_node("worker")
    took = await until(lambda: _decided(testbed, file), "its outcome", 60)
    await successor.stop()
    return f"taken over and decided within {took:.1f} s"
