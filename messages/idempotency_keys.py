"""The table `idempotency_keys`: what was answered under an Idempotency-Key, kept for 24 hours per campaign (8-api.md §2.1).

A single send's key is written with its message, in the statement of `singles`. A batch send reserves its key with its upload, and
the answer is written once it is known; what was never answered is freed. A key older than 24 hours is as good as none.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from database.connections import Connection, affected, wait_for_standby
from database.queries import NamedQueries

SQL: Final = NamedQueries("messages", "idempotency_keys.sql")
KEPT_FOR: Final = timedelta(hours=24)
_FORGOTTEN_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Reserved:
    """The key is the caller's, and its request the first."""


@dataclass(frozen=True, slots=True)
class Reused:
    """Another request had the key before."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The same request was answered before, in these bytes."""

    status: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The same request came before, and no answer is kept of it. `upload_id`: of a batch send, whose outcome is the answer."""

    upload_id: str | None


Claim: TypeAlias = Reserved | Reused | Replay | UnderWay


async def reserve(
    connection: Connection, *, campaign_id: str, key: str, fingerprint: bytes, upload_id: str | None
) -> Claim:
    """Take the key for this request, in the caller's transaction, or tell what it was used for before.

    `fingerprint` says which requests are the same one. Where another transaction has just taken the key, this waits for it.
    """
    reserved = await connection.fetchval(
        SQL["reserve_key"], campaign_id, key, fingerprint, upload_id, KEPT_FOR
    )
    if reserved:
        return Reserved()
    found = await look_up(connection, campaign_id=campaign_id, key=key, fingerprint=fingerprint)
    # Freed or swept since: whoever comes next takes it.
    return UnderWay(None) if found is None else found


async def look_up(
    connection: Connection, *, campaign_id: str, key: str, fingerprint: bytes
) -> Reused | Replay | UnderWay | None:
    """What the key was used for; None where it was not used within 24 hours."""
    row = await connection.fetchrow(SQL["find_key"], campaign_id, key, KEPT_FOR)
    if row is None:
        return None
    if row["fingerprint"] != fingerprint:
        return Reused()
    if row["status"] is None:
        return UnderWay(row["upload_id"])
    # It may have been written by a COMMIT that nobody had an answer to.
    await wait_for_standby(connection)
    return Replay(row["status"], row["answer"])


async def keep_answer(
    connection: Connection, *, campaign_id: str, key: str, fingerprint: bytes, status: int, answer: bytes
) -> bool:
    """Take the key together with its answer; False where it was taken before."""
    status_line = await connection.execute(
        SQL["keep_answer"], campaign_id, key, fingerprint, status, answer, KEPT_FOR
    )
    return affected(status_line) == 1


async def finish(
    connection: Connection, *, campaign_id: str, key: str, upload_id: str, status: int, answer: bytes
) -> bool:
    """Keep the answer of a batch send; False where the key is no longer this upload's, or has its answer already."""
    status_line = await connection.execute(SQL["finish_key"], campaign_id, key, upload_id, status, answer)
    return affected(status_line) == 1


async def free(connection: Connection, *, upload_id: str) -> None:
    """Give back the key of an upload of which nothing was accepted, in the transaction that says so."""
    await connection.execute(SQL["free_key"], upload_id)


async def forget_old(connection: Connection) -> int:
    """Delete keys that are older than they are kept for, in many transactions; returns how many."""
    total = 0
    while deleted := affected(await connection.execute(SQL["forget_old"], KEPT_FOR, _FORGOTTEN_AT_ONCE)):
        total += deleted
    return total
