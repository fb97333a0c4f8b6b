"""Receipts are committed in groups: one writer takes what has gathered, so that a flood of callbacks costs few transactions."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from config.errors import ConfigError
from config.fault_points import reach
from config.logs import get_logger
from database.connections import Pool, database_troubles
from messages.attempts import record_receipts
from messages.news import Receipt
from sending.metrics import count_recorded
from sending.providers.measuring import count_alarm
from sending.senders import pause_suspended

logger = get_logger("api")

# Seconds in which a group gathers after its first receipt. A callback's sender waits some seconds.
_GATHERING: Final = 0.01
_MOST_IN_GROUP: Final = 500
# So many may wait. At the pace of the slowest database seen that is a second's work; whoever comes later is told to come again.
MOST_WAITING: Final = 2000
# Seconds for a group's commit, after which its senders are told to come again. Twilio waits 15 s at most.
_COMMIT_SECONDS: Final = 8.0


class Commitment(Enum):
    """What became of a receipt."""

    RECORDED = auto()
    # No such attempt: another gateway's, or the database was restored to a time before it.
    UNMATCHED = auto()
    # The database is away: nothing is known to be recorded.
    UNAVAILABLE = auto()
    # Too many are waiting.
    BUSY = auto()
    # It alone can't be recorded: a bug of ours.
    FAILED = auto()


class ReceiptGroups:
    """The writer of one process and what waits for it. `run` it in a task."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self._waiting: deque[tuple[Receipt, asyncio.Future[Commitment]]] = deque()
        self._arrived: Final = asyncio.Event()

    async def record(self, receipt: Receipt) -> Commitment:
        """Wait until the receipt's group has been committed, or can't be."""
        if len(self._waiting) >= MOST_WAITING:
            return Commitment.BUSY
        committed: asyncio.Future[Commitment] = asyncio.get_running_loop().create_future()
        self._waiting.append((receipt, committed))
        self._arrived.set()
        return await committed

    async def run(self) -> None:
        """Commit group after group, until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHERING)
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_IN_GROUP))]
            if not self._waiting:
                self._arrived.clear()
            # The same receipt twice, as a doubled callback brings it, is recorded once.
            results = await self._commit(list(dict.fromkeys(receipt for receipt, _ in group)))
            for receipt, committed in group:
                if not committed.done():
                    committed.set_result(results[receipt])

    async def _commit(self, receipts: Sequence[Receipt]) -> dict[Receipt, Commitment]:
        reach("sending.received")
        try:
            with database_troubles():
                async with asyncio.timeout(_COMMIT_SECONDS), self._pool.acquire() as connection:
                    recorded = await record_receipts(connection, receipts, now=datetime.now(UTC))
                    # Where this fails, the receipts are told as not recorded, so that they come again.
                    await pause_suspended(connection, receipts)
        except ConfigError as error:
            logger.warning("receipts_not_recorded", count=len(receipts), reason=str(error))
            return dict.fromkeys(receipts, Commitment.UNAVAILABLE)
        except Exception:
            if len(receipts) == 1:
                logger.exception("receipt_not_recorded")
                return {receipts[0]: Commitment.FAILED}
            # One that can't be recorded must not keep the others from it.
            middle = len(receipts) // 2
            return await self._commit(receipts[:middle]) | await self._commit(receipts[middle:])
        count_recorded(recorded)
        for receipt in receipts:
            count_alarm(receipt)
        unmatched = set(recorded.unmatched)
        if unmatched:
            logger.warning("receipts_unmatched", count=len(unmatched))
        return {
            receipt: Commitment.UNMATCHED if receipt.key in unmatched else Commitment.RECORDED
            for receipt in receipts
        }
