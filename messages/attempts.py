"""The table `attempts`: what a provider answered, and the news that came later, recorded in bulk with the batches' counts.

Whoever records, here or in another process, takes locks in one order: attempts by key, then what is due, then batches by number.
A transaction that changes attempts or counts elsewhere should do the same; where two meet all the same, PostgreSQL ends one,
which is run again here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from database.connections import Connection
from messages.news import Answer, AttemptKey, Receipt


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording did: how many attempts changed, and the keys that no attempt has."""

    changed: int
    unmatched: tuple[AttemptKey, ...]


async def record_answers(connection: Connection, answers: Sequence[Answer], *, now: datetime) -> Recorded:
    """Record how hand-overs ended, in a transaction of its own, run again after a deadlock. Repeats change nothing.

    Raises asyncpg's errors where the database is away: whether it was recorded isn't known then, and recording it again is right.
    """
    raise NotImplementedError


async def record_receipts(connection: Connection, receipts: Sequence[Receipt], *, now: datetime) -> Recorded:
    """Record what providers told later, in any order and any number of times, in a transaction of its own.

    Statuses only move up, the first error wins, and a receipt may come before its hand-over's answer. `unmatched` are receipts of
    attempts that nobody made. Raises as `record_answers` does.
    """
    raise NotImplementedError
