"""The short form of `python -m tests.chaos --only load`: two nodes, and no client sees a stop or a reload."""

import pytest

from tests.chaos import load, order
from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.testbed import open_testbed


@pytest.mark.timeout(300)
async def test_two_nodes_decide_each_upload_once_through_reloads_and_stops() -> None:
    async with open_testbed() as testbed:
        nodes, clients = await testbed.add_nodes(2), Clients(testbed)
        found, _ = await load.many_clients(testbed, nodes, uploads=24)
        found.check()
        await order.same_bytes_at_once(testbed, clients, nodes)
        await load.stop_finishes_uploads(testbed, clients, *nodes)
        await load.restarts_under_load(testbed, clients, nodes, reloads=1, restarts=0, rest=0.2)
