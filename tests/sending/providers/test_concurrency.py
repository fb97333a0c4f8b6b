"""The number of requests at once falls when the provider is throttling, and grows back."""

import asyncio

from sending.providers.concurrency import Concurrency


async def test_no_more_than_the_limit_are_under_way_and_all_get_their_turn() -> None:
    concurrency = Concurrency(3)
    running = most = done = 0

    async def work() -> None:
        nonlocal running, most, done
        await concurrency.begin()
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1
        concurrency.end()

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, done) == (3, 20)


async def test_it_is_halved_once_for_requests_that_were_under_way_together() -> None:
    concurrency = Concurrency(8)
    turns = [await concurrency.begin() for _ in range(8)]
    for turn in turns:
        concurrency.throttled(turn)
        concurrency.end()
    assert concurrency.limit == 4
    concurrency.throttled(await concurrency.begin())
    assert concurrency.limit == 2


async def test_it_never_falls_below_one_and_grows_by_one_a_round_up_to_the_most() -> None:
    concurrency = Concurrency(4)
    for _ in range(10):
        concurrency.throttled(await concurrency.begin())
        concurrency.end()
    assert concurrency.limit == 1
    concurrency.succeeded()
    assert concurrency.limit == 2
    for _ in range(50):
        concurrency.succeeded()
    assert concurrency.limit == 4


async def test_a_turn_given_to_one_who_was_cancelled_goes_to_the_next() -> None:
    concurrency = Concurrency(1)
    await concurrency.begin()
    first, second = (asyncio.ensure_future(concurrency.begin()) for _ in range(2))
    await asyncio.sleep(0)
    concurrency.end()
    first.cancel()
    async with asyncio.timeout(30):
        await second
    assert first.cancelled()
