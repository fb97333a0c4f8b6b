"""Batches are taken up: each gets its lane, and so its sender, and from then on its messages are `enqueued`.

Programs of before the sending core, which may run on during an upgrade, write batches without a frame; those get it here, from
their campaign and the settings.
"""

import json
from collections.abc import Mapping
from typing import Final

from config.environment import Environment
from database.connections import Pool, affected
from database.queries import NamedQueries
from rules.messages import Frame
from rules.templates import Language

SQL: Final = NamedQueries("sending", "taking.sql")
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
        while True:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(SQL["insert_lanes"], INTERNAL, _AT_ONCE)
                unframed = await connection.fetch(SQL["fetch_unframed"], _AT_ONCE)
                if unframed:
                    frames = [self._frame(row["header"]) for row in unframed]
                    numbers = [row["batch_no"] for row in unframed]
                    await connection.execute(SQL["record_frames"], numbers, frames)
                taken = affected(await connection.execute(SQL["take_batches"], _AT_ONCE))
            total += taken
            if taken < _AT_ONCE:
                return total

    def _frame(self, header: str) -> str:
        return json.dumps(Frame(header, self._environment, self._footers).document())
