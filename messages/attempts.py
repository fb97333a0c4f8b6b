"""The table `attempts`: what a provider answered, and the news that came later, recorded in bulk with the batches' counts.

Whoever records, here or in another process, takes locks in one order: attempts by key, then batches by number, then what is due.
A transaction that changes attempts or counts elsewhere should do the same; where two meet all the same, PostgreSQL ends one,
which is run again here.
"""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeVar

import asyncpg

from database.connections import Connection
from database.queries import NamedQueries
from messages.news import Answer, AttemptKey, AttemptState, News, Receipt, after_news
from messages.statuses import ErrorCode, MessageStatus

SQL: Final = NamedQueries("messages", "attempts.sql")
LOOK_UP_CLASS: Final = 3
_LOCK_TRIES: Final = 10
_LONGEST_TEXT: Final = 200
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Move:
    """A message that got this status: what is counted for the metrics. `provider` as the table of senders names it."""

    provider: str
    status: MessageStatus
    error: ErrorCode | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a recording did: the moves, how often each, and the keys that no attempt has which was ever handed over."""

    moves: Mapping[Move, int] = field(default_factory=dict)
    unmatched: tuple[AttemptKey, ...] = ()


@dataclass(frozen=True, slots=True)
class _Batch:
    campaign_id: str
    sender_id: int | None
    priority: int | None
    provider: str
    stopped_at: datetime | None


async def record_answers(connection: Connection, answers: Sequence[Answer], *, now: datetime) -> Recorded:
    """Record how hand-overs ended, in a transaction of its own, run again after a deadlock.

    Repeats change nothing, but for put-backs: of those the caller must know that they weren't recorded. Raises asyncpg's errors
    where the database is away: whether anything was recorded isn't known then.
    """
    return await in_transaction(connection, lambda: record_news(connection, answers, now=now))


async def record_receipts(connection: Connection, receipts: Sequence[Receipt], *, now: datetime) -> Recorded:
    """Record what providers told later, in any order and any number of times, in a transaction of its own.

    Statuses only move up, the first error wins, and a receipt may come before its hand-over's answer. `unmatched` are receipts of
    attempts that nobody handed over. Raises as `record_answers` does; recording them again is right then.
    """
    return await in_transaction(connection, lambda: record_news(connection, receipts, now=now))


async def in_transaction(connection: Connection, work: Callable[[], Awaitable[_T]]) -> _T:
    """Do `work` in a transaction, again when it met another one so that each waited for the other."""
    for tried in range(1, _LOCK_TRIES + 1):
        try:
            async with connection.transaction():
                return await work()
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            if tried == _LOCK_TRIES:
                raise
            # Those that met must not meet again in step.
            await asyncio.sleep(random.uniform(0, 0.02 * tried))  # noqa: S311 - no secret
    raise AssertionError


async def record_news(connection: Connection, news: Sequence[News], *, now: datetime) -> Recorded:
    """Record news of any kind in the caller's transaction, in their order where several are of one attempt.

    Writes the attempts, what is due of them, and the counts of their batches. It is to be the transaction's last work, since the
    planner is told to find rows by their keys until its end.
    """
    keys = sorted({piece.key for piece in news})
    if not keys:
        return Recorded()
    await connection.execute(SQL["find_by_key"])
    before = {
        AttemptKey(row["batch_no"], row["row_number"], row["attempt"]): _state_of(row)
        for row in await connection.fetch(SQL["lock_attempts"], *_columns_of(keys), *_once(keys))
    }
    after = dict(before)
    due: dict[AttemptKey, datetime] = {}
    unmatched = []
    for piece in news:
        state = after.get(piece.key)
        if state is None or (state.status is MessageStatus.CREATED and isinstance(piece, Receipt)):
            unmatched.append(piece.key)
            continue
        after[piece.key] = after_news(state, piece, now)
        if isinstance(piece, Answer) and piece.due_at is not None:
            due[piece.key] = piece.due_at
    # A repeat needn't wait for the batch.
    changed = [key for key in before if after[key] is not before[key] or key in due]
    if not changed:
        return Recorded(unmatched=tuple(unmatched))
    batches = await _lock_batches(connection, changed)
    for key in changed:
        after[key] = _stopped(before[key], after[key], batches[key.batch_no])
    await _update_attempts(connection, {key: after[key] for key in changed})
    await _record_due(connection, before, after, due, batches)
    await _move_counts(connection, before, after, changed)
    moves = Counter(
        Move(batches[key.batch_no].provider, after[key].status, after[key].error)
        for key in changed
        if after[key].status is not before[key].status
    )
    return Recorded(moves, tuple(unmatched))


def _stopped(before: AttemptState, after: AttemptState, batch: _Batch) -> AttemptState:
    """What is put back of a batch that was stopped meanwhile must not go again. Retries asked for after the stop may."""
    put_back = after.status is MessageStatus.ENQUEUED and before.status is not MessageStatus.ENQUEUED
    if put_back and batch.stopped_at is not None and after.created_at <= batch.stopped_at:
        return replace(after, status=MessageStatus.FAILURE, error=ErrorCode.STOPPED)
    return after


async def _lock_batches(connection: Connection, keys: Sequence[AttemptKey]) -> dict[int, _Batch]:
    numbers = sorted({key.batch_no for key in keys})
    return {
        row["batch_no"]: _Batch(
            row["campaign_id"],
            row["sender_id"],
            row["priority"],
            row["provider"],
            row["stopped_at"],
        )
        for row in await connection.fetch(SQL["lock_batches"], numbers)
    }


async def _update_attempts(connection: Connection, states: Mapping[AttemptKey, AttemptState]) -> None:
    await connection.execute(
        SQL["update_attempts"],
        *_columns_of(list(states)),
        [state.status for state in states.values()],
        [state.updated_at for state in states.values()],
        [state.sent_at for state in states.values()],
        [state.delivered_at for state in states.values()],
        [state.error or "" for state in states.values()],
        [_text(state.raw_code) for state in states.values()],
        [_text(state.provider_id) for state in states.values()],
        [state.put_backs for state in states.values()],
        [state.may_have_arrived for state in states.values()],
        [state.expired for state in states.values()],
        [state.claimed_at for state in states.values()],
        *_once(states),
    )


async def _record_due(
    connection: Connection,
    before: Mapping[AttemptKey, AttemptState],
    after: Mapping[AttemptKey, AttemptState],
    due: Mapping[AttemptKey, datetime],
    batches: Mapping[int, _Batch],
) -> None:
    rows: list[tuple[AttemptKey, datetime, int]] = []
    for key, at in due.items():
        match after[key].status:
            case MessageStatus.ENQUEUED if before[key].status is not MessageStatus.ENQUEUED:
                rows.append((key, at, batches[key.batch_no].priority or 0))
            case MessageStatus.SENDING:
                rows.append((key, at, LOOK_UP_CLASS))
            case _:
                pass
    if rows:
        await connection.execute(
            SQL["insert_due"],
            *_columns_of([key for key, _, _ in rows]),
            [at for _, at, _ in rows],
            [priority for _, _, priority in rows],
            [batches[key.batch_no].sender_id for key, _, _ in rows],
            [batches[key.batch_no].campaign_id for key, _, _ in rows],
        )
    # What was to go again has turned out to have left, or has ended: it must not go. Look-ups find out for themselves.
    waited = (MessageStatus.CREATED, MessageStatus.ENQUEUED)
    gone = [key for key in after if before[key].status in waited and after[key].status not in waited]
    if gone:
        await connection.execute(SQL["delete_due"], *_columns_of(gone), *_once(gone))


async def _move_counts(
    connection: Connection,
    before: Mapping[AttemptKey, AttemptState],
    after: Mapping[AttemptKey, AttemptState],
    changed: Sequence[AttemptKey],
) -> None:
    # An attempt that changes is its message's last one: those before it have failed, which is terminal.
    statuses: defaultdict[int, Counter[MessageStatus]] = defaultdict(Counter)
    errors: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for key in changed:
        if after[key].status is before[key].status:
            continue
        statuses[key.batch_no][before[key].status] -= 1
        statuses[key.batch_no][after[key].status] += 1
        if (error := after[key].error) is not None:
            errors[key.batch_no][error] += 1
    await move_counts(connection, statuses, errors)


async def move_counts(
    connection: Connection,
    statuses: Mapping[int, Mapping[MessageStatus, int]],
    errors: Mapping[int, Mapping[str, int]],
) -> None:
    """Add so many messages to the counts of these batches, by batch number: by status, and the failed ones by code.

    Belongs in the transaction that changes the attempts; whoever moves counts of several batches has locked them by number.
    """
    if statuses:
        await connection.execute(
            SQL["move_counts"],
            list(statuses),
            *([moved.get(status, 0) for moved in statuses.values()] for status in MessageStatus),
            [json.dumps(errors.get(number, {})) for number in statuses],
        )


def _columns_of(keys: Sequence[AttemptKey]) -> tuple[list[int], list[int], list[int]]:
    return (
        [key.batch_no for key in keys],
        [key.row_number for key in keys],
        [key.attempt for key in keys],
    )


def _once(keys: Collection[AttemptKey]) -> tuple[list[int], list[int]]:
    """Each batch and each row among the keys once."""
    return list({key.batch_no for key in keys}), list({key.row_number for key in keys})


def _text(given: str) -> str:
    """What a provider gave as its code or id, in a form that a column takes."""
    return given.encode("utf-8", "replace").decode().replace("\0", "")[:_LONGEST_TEXT]


def _state_of(row: asyncpg.Record) -> AttemptState:
    return AttemptState(
        status=MessageStatus(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
        claimed_at=row["claimed_at"],
        error=ErrorCode(row["error"]) if row["error"] else None,
        raw_code=row["raw_code"] or "",
        provider_id=row["provider_id"] or "",
        put_backs=row["put_backs"],
        may_have_arrived=row["may_have_arrived"],
        expired=row["expired"],
    )
