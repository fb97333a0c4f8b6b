"""What gathers is written together, in order; whatever fails is nobody else's; nobody waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from api.groups import Groups, TooManyWaiting
from database.errors import ServiceUnreachable


class Held:
    """A writer that waits until it is let go, and fails of what it was told to fail of. Squares numbers."""

    def __init__(self, *bad: int, away: bool = False) -> None:
        self.bad, self.away = set(bad), away
        self.groups: list[list[int]] = []
        self.let_go = asyncio.Event()

    async def __call__(self, group: Sequence[int]) -> list[int]:
        self.groups.append(list(group))
        await self.let_go.wait()
        if self.away:
            raise ServiceUnreachable("away")
        if self.bad & set(group):
            raise ValueError(sorted(self.bad & set(group)))
        return [number * number for number in group]


@asynccontextmanager
async def running(
    write: Held, *, most_in_group: int = 100, most_waiting: int = 100, patience: float = 60, writers: int = 1
) -> AsyncIterator[Callable[[int], "asyncio.Task[int]"]]:
    """Gives a function that adds a number."""
    groups = Groups[int, int](
        write, most_in_group=most_in_group, most_waiting=most_waiting, patience=patience
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        runs = [tasks.create_task(groups.run()) for _ in range(writers)]
        added: list[asyncio.Task[int]] = []

        def add(number: int) -> "asyncio.Task[int]":
            added.append(asyncio.create_task(groups.add(number)))
            return added[-1]

        yield add
        for run in runs:
            run.cancel()
        for task in added:
            task.cancel()
            with suppress(Exception, asyncio.CancelledError):
                await task


async def until_group(write: Held, count: int) -> None:
    while len(write.groups) < count:  # noqa: ASYNC110 - the loop only has to turn
        await asyncio.sleep(0)


async def test_what_gathers_meanwhile_is_the_next_group() -> None:
    write = Held()
    async with running(write, most_in_group=3) as add:
        first = add(1)
        await until_group(write, 1)
        others = [add(number) for number in (2, 3, 4, 5)]
        write.let_go.set()
        assert await asyncio.gather(first, *others) == [1, 4, 9, 16, 25]
    assert write.groups == [[1], [2, 3, 4], [5]]


async def test_two_writers_have_two_groups_under_way() -> None:
    write = Held()
    async with running(write, writers=2) as add:
        first = add(1)
        await until_group(write, 1)
        second = add(2)
        await until_group(write, 2)
        write.let_go.set()
        assert [await first, await second] == [1, 4]


async def test_one_that_fails_keeps_no_other_from_it() -> None:
    write = Held(3, 6)
    write.let_go.set()
    async with running(write) as add:
        results = await asyncio.gather(*(add(number) for number in range(8)), return_exceptions=True)
    told = [result if isinstance(result, int) else str(result) for result in results]
    assert told == [0, 1, 4, "[3]", 16, 25, "[6]", 49]


async def test_where_the_database_is_away_all_are_told_and_nothing_is_halved() -> None:
    write = Held(away=True)
    write.let_go.set()
    async with running(write) as add:
        results = await asyncio.gather(*(add(number) for number in range(4)), return_exceptions=True)
    assert {type(result) for result in results} == {ServiceUnreachable}
    assert len(write.groups) == 1


async def test_who_comes_when_too_many_wait_is_told_at_once() -> None:
    write = Held()
    async with running(write, most_waiting=2) as add:
        first = add(1)
        await until_group(write, 1)
        waiting = [add(2), add(3)]
        with pytest.raises(TooManyWaiting):
            await add(4)
        write.let_go.set()
        assert await asyncio.gather(first, *waiting) == [1, 4, 9]


async def test_who_is_never_taken_up_is_told_and_who_is_taken_up_waits_on() -> None:
    write = Held()
    async with running(write, patience=2) as add:
        first = add(1)
        await until_group(write, 1)
        with pytest.raises(TooManyWaiting):
            await add(2)
        assert not first.done()
        write.let_go.set()
        assert await first == 1
        for _ in range(10):
            await asyncio.sleep(0)
    # What nobody waits for any more is not written.
    assert write.groups == [[1]]


async def test_who_has_gone_is_left_out() -> None:
    write = Held()
    async with running(write) as add:
        first = add(1)
        await until_group(write, 1)
        gone, other = add(2), add(3)
        await asyncio.sleep(0)
        gone.cancel()
        write.let_go.set()
        assert [await first, await other] == [1, 9]
    assert write.groups == [[1], [3]]
