"""Batches are taken up: each gets its lane, and so its sender, and from then on its messages are `enqueued`.

Programs of before the sending core, which may run on during an upgrade, write batches without a frame; those get it here, from
their campaign and the settings.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from config.environment import Environment
from config.logs import get_logger
from database.connections import Pool
from database.queries import NamedQueries
from messages.retrieval import fetch_batches
from rules.messages import Frame
from rules.templates import Language
from sending.queues import fetch_outlook, fetch_queues, is_slow, may_be_slow

SQL: Final = NamedQueries("sending", "taking.sql")
logger = get_logger("sending")
# The sender of internal campaigns where they need no account of their own, as in the environment `loadtest`.
INTERNAL: Final = "internal"
# How many batches are taken up in one transaction.
_AT_ONCE: Final = 1000


class BatchTaking:
    """Takes batches up, on every node at once. `footers` are the deployment's, for batches without a frame."""

    def __init__(self, pool: Pool, environment: Environment, footers: Mapping[Language, str]) -> None:
        self._pool = pool
        self._environment = environment
        self._footers = footers

    async def take(self) -> int:
        """Take up all that wait and have a sender; returns how many batches that were."""
        total = 0
        async with self._pool.acquire() as connection:
            await connection.execute(SQL["insert_lanes"], INTERNAL)
        while True:
            async with self._pool.acquire() as connection, connection.transaction():
                unframed = await connection.fetch(SQL["fetch_unframed"], _AT_ONCE)
                if unframed:
                    frames = [self._frame(row["header"]) for row in unframed]
                    numbers = [row["batch_no"] for row in unframed]
                    await connection.execute(SQL["record_frames"], numbers, frames)
                taken = await connection.fetch(SQL["take_batches"], _AT_ONCE)
            await self._tell_slow([row["batch_no"] for row in taken if row["kind"] == "batch"])
            total += len(taken)
            if len(taken) < _AT_ONCE:
                return total

    async def _tell_slow(self, numbers: Sequence[int]) -> None:
        """Log each of these batches whose last message can't leave within 24 h, at its sender's rate and beside what waits."""
        if not numbers:
            return
        async with self._pool.acquire() as connection:
            if not any(may_be_slow(queue) for queue in await fetch_queues(connection)):
                return
            now = datetime.now(UTC)
            for batch in (await fetch_batches(connection, numbers)).values():
                outlook = await fetch_outlook(connection, batch, now=now)
                if is_slow(batch, outlook):
                    logger.warning(
                        "batch_slow",
                        batch_id=batch.id,
                        sender=outlook.sender,
                        expected_end_at=str(outlook.expected_end_at),
                    )

    def _frame(self, header: str) -> str:
        return json.dumps(Frame(header, self._environment, self._footers).document())
