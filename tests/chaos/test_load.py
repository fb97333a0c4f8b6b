"""Show 5 of one outcome per upload, in its short form: two nodes without a leader; stops and reloads that nobody sees."""

import pytest

from tests.chaos import load, order
from tests.chaos.world.clients import Clients
from tests.chaos.world.rig import open_rig


@pytest.mark.timeout(300)
async def test_two_nodes_decide_each_upload_once_through_reloads_and_stops() -> None:
    async with open_rig() as rig:
        nodes, clients = await rig.add_nodes(2), Clients(rig)
        found, _ = await load.crowd(rig, nodes, uploads=40)
        found.check()
        await order.same_bytes_at_once(rig, clients, nodes)
        await load.stop_finishes_uploads(rig, clients, *nodes)
        await load.restarts_under_load(rig, clients, nodes, reloads=1, restarts=0)
