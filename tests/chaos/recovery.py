"""A worker killed in the middle of the largest file: its outcome within 30 s of the restart, with the default settings."""

import time

from tests.chaos.world.clients import Clients
from tests.chaos.world.files import UploadFile, make_file
from tests.chaos.world.node import Node
from tests.chaos.world.rig import Rig, until

# 29 MB of such rows, below the limit of 30 × 1024 × 1024 bytes.
_ROWS_OF_29_MB = 545_000


async def worker_dies_in_large_file(
    rig: Rig, clients: Clients, front: Node, *, point: str, rows: int = _ROWS_OF_29_MB
) -> tuple[float, float]:
    """Kill the worker at this step of a large file. Returns seconds from the death, and from the restart, to the outcome."""
    file = make_file(rows)
    worker = await _add_default_worker(rig)
    trap = rig.fault_points / point
    trap.touch()
    assert (await clients.put(rig.campaigns[0], file, front, deadline=120)).acknowledged

    async def sprung() -> bool:
        return not trap.exists()

    await until(sprung, f"the worker reached {point}", 120)
    died = time.monotonic()
    before = worker.parts("worker")

    async def restarted() -> bool:
        return any(pid not in before for pid in worker.parts("worker"))

    # The supervisor replaces it; the new process has begun when it is seen, its imports still to come.
    if not before:
        await until(restarted, "a new worker", 60)
    began = time.monotonic()
    await until(lambda: _decided(rig, file), "the outcome", 120)
    ended = time.monotonic()
    await _stop_when_told(rig, file, worker)
    return ended - died, ended - began


async def _add_default_worker(rig: Rig) -> Node:
    """A worker with the default times of retries and sweeps, which the rig shortens otherwise."""
    return await rig.add_node(
        "worker", worker__heartbeat_timeout="15", worker__retry_first="30", worker__sweep_interval="60"
    )


async def _decided(rig: Rig, file: UploadFile) -> bool:
    return await rig.holds(
        "select count(*) = 1 from uploads where file_name = $1 and status = 'accepted'", file.name
    )


async def _stop_when_told(rig: Rig, file: UploadFile, worker: Node) -> None:
    """Stop it, but not before its e-mail is out: no other worker runs that would send it."""

    async def told() -> bool:
        return await rig.holds("select notified_at is not null from uploads where file_name = $1", file.name)

    await until(told, "its e-mail", 120)
    await worker.stop()


async def undisturbed(rig: Rig, clients: Clients, front: Node, rows: int = _ROWS_OF_29_MB) -> float:
    """Seconds from acknowledgement to outcome of the same file when nobody dies, for comparison."""
    file = make_file(rows)
    worker = await _add_default_worker(rig)
    assert (await clients.put(rig.campaigns[0], file, front, deadline=120)).acknowledged
    took = await until(lambda: _decided(rig, file), "the outcome", 120)
    await _stop_when_told(rig, file, worker)
    return took
