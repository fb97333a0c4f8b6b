"""Turns for key exchanges: they come at once without a crowd, and are fair with one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import IPv4Address

import pytest

from sftpd.connections.pacing import Pacer

ATTACKER, CUSTOMER = IPv4Address("192.0.2.7"), IPv4Address("192.0.2.8")


@contextlib.asynccontextmanager
async def dealing(pacer: Pacer) -> AsyncIterator[None]:
    task = asyncio.create_task(pacer.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_without_a_crowd_every_turn_comes_at_once() -> None:
    pacer = Pacer(rate=1, burst=5)
    async with asyncio.timeout(30):
        for _ in range(5):
            await pacer.take_turn(CUSTOMER)


async def test_a_customer_waits_behind_one_of_each_address_not_behind_a_whole_crowd() -> None:
    pacer = Pacer(rate=200, burst=1)
    order: list[str] = []

    async def come(block: IPv4Address, name: str) -> None:
        await pacer.take_turn(block)
        order.append(name)

    async with dealing(pacer), asyncio.TaskGroup() as tasks:
        for _ in range(30):
            tasks.create_task(come(ATTACKER, "attacker"))
        await asyncio.sleep(0)
        tasks.create_task(come(CUSTOMER, "customer"))
    # One attacker took the burst, and one stood first in the round.
    assert order.index("customer") <= 2
    assert pacer.waiting == 0


async def test_turns_come_at_the_rate() -> None:
    pacer = Pacer(rate=100, burst=1)
    async with dealing(pacer):
        began = asyncio.get_running_loop().time()
        for _ in range(11):
            await pacer.take_turn(CUSTOMER)
        assert asyncio.get_running_loop().time() - began > 0.08


async def test_a_costly_key_exchange_makes_the_next_one_wait() -> None:
    # What the bucket gains during the test is nothing.
    pacer = Pacer(rate=1e-6, burst=10)
    await pacer.take_turn(ATTACKER)
    pacer.charge(7)
    await pacer.take_turn(CUSTOMER)
    pacer.charge(1)
    waiting = asyncio.create_task(pacer.take_turn(CUSTOMER))
    await asyncio.sleep(0)
    assert pacer.waiting == 1
    waiting.cancel()


async def test_however_costly_key_exchanges_are_the_next_one_waits_for_two_full_buckets_at_most() -> None:
    pacer = Pacer(rate=1000, burst=10)
    async with dealing(pacer), asyncio.timeout(30):
        await pacer.take_turn(ATTACKER)
        pacer.charge(1e9)
        await pacer.take_turn(CUSTOMER)


async def test_turns_go_round_over_addresses_and_each_takes_a_unit() -> None:
    # What the bucket gains during the test is nothing.
    pacer = Pacer(rate=1e-6, burst=3)
    for _ in range(3):
        await pacer.take_turn(ATTACKER)
    order: list[str] = []

    async def come(block: IPv4Address, name: str) -> None:
        await pacer.take_turn(block)
        order.append(name)

    comers = [(ATTACKER, "first"), (ATTACKER, "second"), (CUSTOMER, "customer"), (ATTACKER, "third")]
    tasks = [asyncio.create_task(come(block, name)) for block, name in comers]
    await asyncio.sleep(0)
    pacer.charge(-3)
    dealer = asyncio.create_task(pacer.run())
    async with asyncio.timeout(30):
        await asyncio.wait(tasks[:3])
    # The bucket is empty: the dealer sleeps for weeks, and not for a round of the loop.
    for _ in range(10):
        await asyncio.sleep(0)
    assert (order, pacer.waiting) == (["first", "customer", "second"], 1)
    for task in (dealer, *tasks):
        task.cancel()
    await asyncio.gather(dealer, *tasks, return_exceptions=True)


async def test_who_has_gone_takes_no_turn() -> None:
    pacer = Pacer(rate=50, burst=1)
    async with dealing(pacer):
        await pacer.take_turn(ATTACKER)
        gone = [asyncio.create_task(pacer.take_turn(ATTACKER)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        async with asyncio.timeout(30):
            await pacer.take_turn(CUSTOMER)
        results = await asyncio.gather(*gone, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)


@pytest.mark.parametrize("count", [1, 50])
async def test_everyone_gets_a_turn(count: int) -> None:
    pacer = Pacer(rate=1000, burst=1)
    async with dealing(pacer), asyncio.timeout(30):
        await asyncio.gather(*(pacer.take_turn(IPv4Address(number)) for number in range(count)))
