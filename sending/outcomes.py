"""What hand-overs and receipts bring is gathered for a tenth of a second and recorded in bulk, each with its batch's counts.

An outcome is kept until its transaction has committed: where the database is away, it is recorded again. An outcome that dies
with its process leaves its attempt `sending`, and the sweep has it looked up.
"""

import contextlib
from collections.abc import AsyncIterator

from config.sending_sections import SendingSettings
from database.connections import Pool
from messages.news import AttemptKey, Receipt
from sending.providers.provider import HandOver


class Outcomes:
    """One process's outcomes on their way into the database. Made by `open_outcomes`."""

    def __init__(self, pool: Pool, settings: SendingSettings) -> None:
        self._pool = pool
        self._settings = settings

    def add(self, key: AttemptKey, handover: HandOver) -> None:
        """Take note of how a hand-over ended. The pause that a PutBack asks for is the dispatcher's to make."""
        raise NotImplementedError

    def add_receipt(self, receipt: Receipt) -> None:
        """Take note of news of an attempt, in whatever order it comes."""
        raise NotImplementedError

    @property
    def kept(self) -> int:
        """How many outcomes wait for the database. Whoever claims should wait while they are many."""
        raise NotImplementedError

    async def flush(self) -> None:
        """Return once all that was added before the call is committed, however long the database is away."""
        raise NotImplementedError


@contextlib.asynccontextmanager
async def open_outcomes(pool: Pool, settings: SendingSettings) -> AsyncIterator[Outcomes]:
    """Record in the background until the block ends; then record what is kept, for as long as `drain` allows."""
    yield Outcomes(pool, settings)
