"""Whoever waits for an outcome goes on asking for it, whatever keeps the database from telling it."""

import asyncio
from typing import Any, cast

import asyncpg

from config.settings import Settings
from database.connections import Pool
from processing.awaited.uploads import Withdrawal
from processing.awaited.waiting import Waiting


class RefusedLogins:
    """A pool that needs new connections, whose logins are refused so many times, as while a password is changed."""

    def __init__(self, pool: Pool, times: int) -> None:
        self._pool = pool
        self.left = times
        self.answered = 0

    def acquire(self) -> Any:
        if self.left:
            self.left -= 1
            raise asyncpg.InvalidPasswordError("x")
        self.answered += 1
        return self._pool.acquire()


async def test_refused_logins_end_neither_waiting_nor_a_withdrawal(pool: Pool, settings: Settings) -> None:
    """Either would be answered 503, though the upload may be accepted."""
    refused = RefusedLogins(pool, 1)
    waiting = Waiting(settings.database, cast(Pool, refused))
    asking = asyncio.create_task(waiting.outcome("upload_1"))
    async with asyncio.timeout(30):
        while refused.left:  # noqa: ASYNC110 - the pool is one that tells nobody
            await asyncio.sleep(0.01)
        # It has asked again, and its second question was answered.
        while not refused.answered:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not asking.done()
    asking.cancel()
    await asyncio.wait({asking})
    refused.left = 1
    assert await waiting.withdraw(1, "upload_1", Withdrawal.LATE) is None
    assert refused.left == 0
