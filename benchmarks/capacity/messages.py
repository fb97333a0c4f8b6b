"""What a message takes on its way out: claimed, composed, handed over, and its outcomes recorded; and what is kept of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.capacity.meter import Cost, Meter, add_node, cost_between, open_meter
from benchmarks.capacity.table import print_yardsticks
from benchmarks.sending_rig import Rig, twilio_settings
from gateway.embedded.server_process import free_port
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import until
from tests.sending.twilio_control import twilio_server

# No rate holds anything back: it is the highest that the settings take.
_UNBOUNDED: Final = {"sending__public__rate": "10000"}
# What is sent before, with which libraries and plans are loaded, and the tables have their first pages.
_WARM_UP: Final = 2000
_DEADLINE: Final = 300
_CLAIMED: Final = "select count(*) = (select sum(total_messages) from batches) from attempts"
_TABLES: Final = ("messages", "attempts")


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of the tables and indexes for each message: as they grew, and packed as closely as they can be, by table."""

    grown: Mapping[str, float]
    packed: Mapping[str, float]


async def through_loadtest(rows: int) -> Cost:
    """To the hand-over alone: no outcome ever comes."""
    async with open_meter(1) as meter:
        node = await add_node(meter, "sender", environment="loadtest", **_UNBOUNDED)
        cost, _ = await _sent(meter, node, "a message, loadtest: no outcome", rows, with_outcome=False)
    return cost


async def through_simulator(rows: int) -> tuple[Cost, Kept]:
    """With its three outcomes by the sender itself; and what the database keeps of it."""
    async with open_meter(1) as meter:
        node = await add_node(meter, "sender", sending__public__provider="simulator", **_UNBOUNDED)
        return await _sent(meter, node, "a message, simulator: three outcomes", rows, with_outcome=True)


async def through_twilio(rows: int) -> Cost:
    """By calls of HTTP to a server that answers as Twilio does, with two callbacks of each message that the API takes."""
    with twilio_server() as server:
        server.behave(keep=False)
        port = free_port()
        settings = {
            **twilio_settings(server.base_url),
            **_UNBOUNDED,
            "sending__twilio__callback_base_url": f"http://127.0.0.1:{port}",
        }
        async with open_meter(1) as meter:
            node = await add_node(meter, "sender", **settings)
            await add_node(meter, "api", **settings, api__port=str(port))
            work = "a message, Twilio's call: its answer and two callbacks"
            cost, _ = await _sent(meter, node, work, rows, with_outcome=True)
    return cost


async def _sent(meter: Meter, node: Node, work: str, rows: int, *, with_outcome: bool) -> tuple[Cost, Kept]:
    rig = Rig(meter.testbed, [node], meter.connection)
    await _send(rig, _WARM_UP, with_outcome=with_outcome)
    await meter.rest(min(4, rows / 10_000))
    empty = await _packed(meter)
    # What writing the rows takes is the uploads' cost. They are announced by the commit, after the first reading.
    async with meter.connection.transaction():
        batch = await rig.add_batch(rig.campaigns[0], rows)
        before = await meter.read()
    await _until_done(rig, [batch], with_outcome=with_outcome)
    after = await meter.read()
    print_yardsticks(meter.yardsticks)
    packed = await _packed(meter)
    kept = Kept(
        {name: (after.table_bytes[name] - empty[name]) / rows for name in _TABLES},
        {name: (packed[name] - empty[name]) / rows for name in _TABLES},
    )
    return cost_between(work, before, after, rows, meter.at_rest), kept


async def _send(rig: Rig, rows: int, *, with_outcome: bool) -> None:
    await _until_done(rig, [await rig.add_batch(rig.campaigns[0], rows)], with_outcome=with_outcome)


async def _until_done(rig: Rig, batches: list[int], *, with_outcome: bool) -> None:
    async def all_left() -> bool:
        return bool(await rig.connection.fetchval(_CLAIMED))

    if with_outcome:
        await rig.until_sent(batches, terminal=True, timeout=_DEADLINE)
    await until(all_left, "every message has left", _DEADLINE)
    # The last groups of outcomes are recorded meanwhile.
    await asyncio.sleep(1)


async def _packed(meter: Meter) -> Mapping[str, int]:
    for table in _TABLES:
        await meter.connection.execute(f"vacuum full {table}", timeout=_DEADLINE)
    return (await meter.read()).table_bytes
