"""What many calls ask of the database is asked in groups: one statement for all that gathered while others were under way.

So a quiet process asks at once, and a busy one seldom: a transaction's cost is shared by all that are in it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from config.errors import ConfigError
from database.errors import ServiceUnreachable

T = TypeVar("T")
R = TypeVar("R")


class TooManyWaiting(ServiceUnreachable):
    """More wait than the database can serve in good time: come again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[T, R]):
    item: T
    result: "asyncio.Future[R]"
    # Ends its patience, as long as nobody has taken it up.
    expiry: asyncio.TimerHandle


class Groups(Generic[T, R]):
    """What waits, and the tasks that ask: run `run` in one task for each group that may be under way at once.

    `write` has the result of each item, in their order. A ConfigError of it is every item's of the group. Anything else is
    taken for the fault of one item that must not keep the others from it: the group is halved, until that one is alone.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most_in_group: int,
        most_waiting: int,
        patience: float,
        gathering: float = 0,
    ) -> None:
        """`patience`: seconds for which an item may wait to be taken up; `gathering`: for which a group gathers."""
        self._write: Final = write
        self._most_in_group: Final = most_in_group
        self._most_waiting: Final = most_waiting
        self._patience: Final = patience
        self._gathering: Final = gathering
        self._waiting: Final[deque[_Waiting[T, R]]] = deque()
        self._arrived: Final = asyncio.Event()

    async def add(self, item: T) -> R:
        """The item's result. Raises ConfigError: nothing has come of it; or what `write` raised for it alone."""
        if len(self._waiting) >= self._most_waiting:
            raise TooManyWaiting("too many calls wait for the database")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[R] = loop.create_future()
        waiting = _Waiting(item, result, loop.call_later(self._patience, self._expire, result))
        self._waiting.append(waiting)
        self._arrived.set()
        return await result

    async def run(self) -> None:
        """Ask for group after group, until cancelled."""
        while True:
            await self._arrived.wait()
            # At the least, whatever this turn of the loop brings is in the group.
            await asyncio.sleep(self._gathering)
            group = self._take()
            if group:
                await self._settle(group)

    def _expire(self, result: "asyncio.Future[R]") -> None:
        if not result.done():
            result.set_exception(TooManyWaiting("the database is too slow for all that wait"))

    def _take(self) -> list[_Waiting[T, R]]:
        """The next group; without those whose callers have gone."""
        group: list[_Waiting[T, R]] = []
        while self._waiting and len(group) < self._most_in_group:
            waiting = self._waiting.popleft()
            waiting.expiry.cancel()
            if not waiting.result.done():
                group.append(waiting)
        if not self._waiting:
            self._arrived.clear()
        return group

    async def _settle(self, group: Sequence[_Waiting[T, R]]) -> None:
        try:
            results = await self._write([waiting.item for waiting in group])
        except ConfigError as error:
            _fail(group, error)
        except Exception as error:  # noqa: BLE001 - whose fault it is, halving finds out
            if len(group) == 1:
                _fail(group, error)
                return
            middle = len(group) // 2
            await self._settle(group[:middle])
            await self._settle(group[middle:])
        else:
            for waiting, result in zip(group, results, strict=True):
                if not waiting.result.done():
                    waiting.result.set_result(result)


def _fail(group: Sequence[_Waiting[T, R]], error: Exception) -> None:
    for waiting in group:
        if not waiting.result.done():
            waiting.result.set_exception(error)
