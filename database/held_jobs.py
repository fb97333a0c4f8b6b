"""Jobs that crashed so often that the queue holds them: nothing runs them until somebody says so, or their time is over.

A held job keeps its row, with the library's status `failed`. For its subject no other job is enqueued by the sweepers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from database.connections import Connection, affected
from database.job_queue import dedupe_key
from database.queries import NamedQueries

SQL: Final = NamedQueries("database", "held_jobs.sql")


@dataclass(frozen=True, slots=True)
class HeldJob:
    """One that is held. `crashes` are those since it was enqueued, or last requeued. Times are aware UTC."""

    id: int
    entrypoint: str
    subject_id: str
    crashes: int
    created_at: datetime
    held_at: datetime


async def list_held(
    connection: Connection, *, after: HeldJob | None = None, limit: int = 50
) -> list[HeldJob]:
    """The held jobs, the latest first, at most `limit`; those that came to be held before `after`."""
    rows = await connection.fetch(SQL["list_held"], limit, after and after.held_at, after and after.id)
    return [HeldJob(**row) for row in rows]


async def find_held(connection: Connection, job_id: int) -> HeldJob | None:
    """The held job of this number."""
    row = await connection.fetchrow(SQL["find_held"], job_id)
    return None if row is None else HeldJob(**row)


async def fetch_held(connection: Connection, entrypoints: Sequence[str], subject_id: str) -> HeldJob | None:
    """The held job of the subject, if one of these entrypoints has one."""
    keys = [dedupe_key(entrypoint, subject_id) for entrypoint in entrypoints]
    row = await connection.fetchrow(SQL["fetch_held"], keys)
    return None if row is None else HeldJob(**row)


async def requeue(connection: Connection, job_id: int) -> HeldJob | None:
    """Let a held job run again, in the caller's transaction, as if it had never crashed. Returns None where it isn't held.

    Where another job of the same subject is on the queue, that one does it, and the held one is forgotten.
    """
    row = await connection.fetchrow(SQL["lock_held"], job_id)
    if row is None:
        return None
    if not affected(await connection.execute(SQL["forget_doubled"], [job_id])):
        await connection.execute(SQL["requeue"], [job_id], "{}")
    return HeldJob(**row)


async def is_on_queue(connection: Connection, job_id: int) -> bool:
    """Whether this job waits or runs."""
    found: bool = await connection.fetchval(SQL["is_on_queue"], job_id)
    return found


async def give_up_held(
    connection: Connection, entrypoints: Sequence[str], held_for: timedelta
) -> list[HeldJob]:
    """Let what has been held for so long run once more, told that it is given up, so that its subject gets an end."""
    rows = await connection.fetch(SQL["lock_overdue"], list(entrypoints), held_for)
    ids = [row["id"] for row in rows]
    if ids:
        await connection.execute(SQL["forget_doubled"], ids)
        await connection.execute(SQL["requeue"], ids, '{"given_up": true}')
    return [HeldJob(**row) for row in rows]
