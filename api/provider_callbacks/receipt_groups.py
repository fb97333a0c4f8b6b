"""Receipts are committed in groups: one writer takes what has gathered, so that a flood of callbacks costs few transactions."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Final

from api.groups import Groups, TooManyWaiting
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
# Seconds for a group's commit, and before it for a receipt's turn, after which its sender is told to come again. Twilio waits
# 15 s at most.
_COMMIT_SECONDS: Final = 8.0
_PATIENCE: Final = 5.0


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
        self._groups: Final = Groups[Receipt, Commitment](
            self._commit,
            most_in_group=_MOST_IN_GROUP,
            most_waiting=MOST_WAITING,
            patience=_PATIENCE,
            gathering=_GATHERING,
        )

    async def record(self, receipt: Receipt) -> Commitment:
        """Wait until the receipt's group has been committed, or can't be."""
        try:
            return await self._groups.add(receipt)
        except TooManyWaiting:
            return Commitment.BUSY
        except ConfigError:
            return Commitment.UNAVAILABLE
        except Exception:
            logger.exception("receipt_not_recorded")
            return Commitment.FAILED

    async def run(self) -> None:
        """Commit group after group, until cancelled."""
        await self._groups.run()

    async def _commit(self, group: Sequence[Receipt]) -> list[Commitment]:
        # The same receipt twice, as a doubled callback brings it, is recorded once.
        receipts = list(dict.fromkeys(group))
        reach("sending.received")
        try:
            with database_troubles():
                async with asyncio.timeout(_COMMIT_SECONDS), self._pool.acquire() as connection:
                    recorded = await record_receipts(connection, receipts, now=datetime.now(UTC))
                    # Where this fails, the receipts are told as not recorded, so that they come again.
                    await pause_suspended(connection, receipts)
        except ConfigError as error:
            logger.warning("receipts_not_recorded", count=len(receipts), reason=str(error))
            return [Commitment.UNAVAILABLE] * len(group)
        count_recorded(recorded)
        for receipt in receipts:
            count_alarm(receipt)
        unmatched = set(recorded.unmatched)
        if unmatched:
            logger.warning("receipts_unmatched", count=len(unmatched))
        return [
            Commitment.UNMATCHED if receipt.key in unmatched else Commitment.RECORDED for receipt in group
        ]
