"""Two cells on one machine: whole gateways with databases and buckets of their own, between which campaigns are divided."""

import asyncio
import contextlib

import asyncssh

from benchmarks.capacity.meter import Meter, add_node, open_meter
from benchmarks.capacity.sftp import uploads
from tests.chaos.testbed.node import Node


async def two_cells(count: int) -> str:
    """Both take uploads at the same time, and neither knows the other's campaigns. Returns what was seen, in a sentence.

    Raises RuntimeError where one of them knows more than it should.
    """
    async with contextlib.AsyncExitStack() as stack:
        cells = [await stack.enter_async_context(open_meter(2)) for _ in range(2)]
        nodes = await asyncio.gather(*(add_node(meter) for meter in cells))
        await asyncio.gather(
            *(uploads(meter, node, "an upload", 10, count) for meter, node in zip(cells, nodes, strict=True))
        )
        # One of each went before them, with which libraries are loaded.
        counts = [
            await meter.connection.fetchval("select count(notified_at) from uploads") for meter in cells
        ]
        refused = await asyncio.gather(
            _is_refused(cells[0], nodes[0], cells[1].testbed.campaigns[0]),
            _is_refused(cells[1], nodes[1], cells[0].testbed.campaigns[0]),
        )
    if counts != [count + 1] * 2 or not all(refused):
        message = f"uploads by cell: {counts}; logins to the other cell refused: {refused}"
        raise RuntimeError(message)
    return (
        f"two cells took and told {count} uploads each at the same time;"
        " each refuses logins of the other's campaigns"
    )


async def _is_refused(cell: Meter, node: Node, campaign: str) -> bool:
    key = str(cell.testbed.key.private_file)
    login = asyncssh.connect(
        "127.0.0.1", node.port, username=campaign, client_keys=[key], known_hosts=None, config=None
    )
    try:
        async with login:
            return False
    except asyncssh.PermissionDenied:
        return True
