"""A worker is killed in the middle of the largest upload, whose outcome must come within 30 s of the restart.

The workers here have the default settings, since these decide how long a recovery takes.
"""

import time

from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import UploadFile, make_file
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, until

# 29 MB of such rows, below the limit of 30 × 1024 × 1024 bytes.
_ROWS_OF_29_MB = 545_000


async def worker_dies_in_large_file(
    testbed: Testbed, clients: Clients, front: Node, *, point: str, rows: int = _ROWS_OF_29_MB
) -> tuple[float, float]:
    """Kill the worker at this step of a large upload. Returns the seconds from its death and from its restart to the outcome."""
    file = make_file(rows)
    worker = await _add_default_worker(testbed)
    fault_file = testbed.fault_points / point
    fault_file.touch()
    assert (await clients.put(testbed.campaigns[0], file, front, deadline=120)).acknowledged

    async def reached() -> bool:
        return not fault_file.exists()

    await until(reached, f"the worker reached {point}", 120)
    died = time.monotonic()
    before = worker.parts("worker")

    async def restarted() -> bool:
        return any(pid not in before for pid in worker.parts("worker"))

    # The supervisor replaces it. The restart counts from when the new process is seen, before its imports.
    if not before:
        await until(restarted, "a new worker", 60)
    began = time.monotonic()
    await until(lambda: _decided(testbed, file), "the outcome", 120)
    ended = time.monotonic()
    await _stop_when_notified(testbed, file, worker)
    return ended - died, ended - began


async def _add_default_worker(testbed: Testbed) -> Node:
    """A worker with the default times of retries and sweeps, which the testbed otherwise shortens."""
    return await testbed.add_node(
        "worker", worker__heartbeat_timeout="15", worker__retry_first="30", worker__sweep_interval="60"
    )


async def _decided(testbed: Testbed, file: UploadFile) -> bool:
    return await testbed.holds(
        "select count(*) = 1 from uploads where file_name = $1 and status = 'accepted'", file.name
    )


async def _stop_when_notified(testbed: Testbed, file: UploadFile, worker: Node) -> None:
    """Stop the worker once the e-mail is sent: no other worker runs that would send it later."""

    async def notified() -> bool:
        return await testbed.holds(
            "select notified_at is not null from uploads where file_name = $1", file.name
        )

    await until(notified, "its e-mail", 120)
    await worker.stop()


async def undisturbed(testbed: Testbed, clients: Clients, front: Node, rows: int = _ROWS_OF_29_MB) -> float:
    """Seconds from acknowledgement to outcome of such an upload when no process dies, for comparison."""
    file = make_file(rows)
    worker = await _add_default_worker(testbed)
    assert (await clients.put(testbed.campaigns[0], file, front, deadline=120)).acknowledged
    took = await until(lambda: _decided(testbed, file), "the outcome", 120)
    await _stop_when_notified(testbed, file, worker)
    return took
