"""A task beside a block: it is gone when the block is, and its trouble isn't lost."""

import asyncio

import pytest

from gateway.processes.owned_tasks import owned_task


async def test_it_is_cancelled_and_waited_for_at_the_end_of_the_block() -> None:
    cleaned_up = False

    async def work() -> None:
        nonlocal cleaned_up
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned_up = True

    async with owned_task(work(), name="work") as task:
        await asyncio.sleep(0)
    assert task.cancelled()
    assert cleaned_up


async def test_what_it_raised_is_raised_by_the_block() -> None:
    async def fail() -> None:
        raise LookupError("of the task")

    with pytest.raises(LookupError, match="of the task"):
        async with owned_task(fail(), name="fail"):
            await asyncio.sleep(0.01)


async def test_what_the_block_raised_is_raised_as_it_is() -> None:
    async def fail() -> None:
        raise LookupError("of the task")

    async def own() -> None:
        async with owned_task(fail(), name="fail"):
            await asyncio.sleep(0.01)
            raise ValueError("of the block")

    with pytest.raises(ValueError, match="of the block"):
        await own()


async def test_the_owners_own_cancellation_is_not_swallowed() -> None:
    async def own() -> None:
        async with owned_task(asyncio.sleep(60), name="sleep"):
            await asyncio.sleep(60)

    owner = asyncio.create_task(own())
    await asyncio.sleep(0)
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
