"""The tables `message_parts` and `part_receipts`: what a provider tells of parts by ids of their own becomes news of messages.

A receipt may come before the answer to its part's submission, twice, to another process, or for nobody. So it is stored as it
is, and only then acknowledged; whoever stores a part or a receipt matches both afterwards, so that the later of the two finds the
other. What dies between is matched by a sweep.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from database.connections import Connection
from database.queries import NamedQueries
from messages.attempts import Recorded, record_news
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import OpenAttempt, PartNews

SQL: Final = NamedQueries("sending", "parts.sql")
MATCHED_AT_ONCE: Final = 2_000
# After so long without a part a receipt counts as a stray: answers are recorded within a second.
STRAY_AFTER: Final = timedelta(seconds=60)
# Receipts may come until an attempt has expired (7-sending.md §2: 80 h); the clocks of others are given a day.
_KEPT: Final = timedelta(hours=104)


@dataclass(frozen=True, slots=True)
class PartState:
    """A part as stored. `provider_id` is empty where its submission has no answer."""

    part: int
    parts: int
    provider_id: str
    status: MessageStatus
    error: ErrorCode | None
    raw_code: str
    at: datetime | None


async def record_parts(
    connection: Connection, parts: Iterable[tuple[AttemptKey, Sequence[str]]]
) -> list[str]:
    """Store the ids of an attempt's parts, in their order, "" where one isn't known. Repeats change nothing. Returns the ids."""
    rows = [
        (key.batch_no, key.row_number, key.attempt, number, len(ids), provider_id)
        for key, ids in parts
        for number, provider_id in enumerate(ids, start=1)
    ]
    if rows:
        await connection.execute(SQL["insert_parts"], *(list(column) for column in zip(*rows, strict=True)))
    return [row[-1] for row in rows if row[-1]]


async def record_part_news(connection: Connection, news: Sequence[PartNews]) -> list[str]:
    """Store receipts as they are. Returns their ids."""
    if news:
        await connection.execute(
            SQL["insert_receipts"],
            [each.provider_id for each in news],
            [each.recipient for each in news],
            [each.status for each in news],
            [each.error or "" for each in news],
            [each.raw_code for each in news],
            [each.at for each in news],
        )
    return [each.provider_id for each in news]


async def match_receipts(
    connection: Connection, provider_ids: Sequence[str] | None, *, now: datetime
) -> tuple[Recorded, bool]:
    """Let receipts move their parts, and parts their messages, in the caller's transaction, as its last work.

    `provider_ids`: those that may have news; None for whatever waits. Also says whether more may wait. A receipt that another
    transaction matches at the same time does nothing twice, since statuses only move up.
    """
    found = await connection.fetch(SQL["match_receipts"], provider_ids, MATCHED_AT_ONCE)
    if not found:
        return Recorded(), False
    by_attempt: dict[AttemptKey, list[asyncpg.Record]] = defaultdict(list)
    for row in found:
        by_attempt[AttemptKey(row["batch_no"], row["row_number"], row["attempt"])].append(row)
    keys = sorted(by_attempt)
    parts: dict[AttemptKey, dict[int, PartState]] = defaultdict(dict)
    for row in await connection.fetch(SQL["lock_parts"], *_columns_of(keys)):
        key = AttemptKey(row["batch_no"], row["row_number"], row["attempt"])
        parts[key][row["part"]] = _part_of(row)
    changed: list[tuple[AttemptKey, PartState]] = []
    receipts: list[Receipt] = []
    for key in keys:
        moved = _moved(parts[key], by_attempt[key])
        changed += [(key, moved[number]) for number in moved if moved[number] is not parts[key][number]]
        receipts.append(combine(key, moved))
    await _update_parts(connection, changed)
    await connection.execute(SQL["delete_receipts"], [row["id"] for row in found])
    recorded = await record_news(connection, receipts, now=now)
    return recorded, len(found) == MATCHED_AT_ONCE


def _moved(parts: Mapping[int, PartState], rows: Sequence[asyncpg.Record]) -> dict[int, PartState]:
    """The parts after these receipts: the first end of a part stays, and a status never goes back."""
    moved = dict(parts)
    for row in rows:
        before = moved.get(row["part"])
        status = MessageStatus(row["status"])
        if before is None or before.status.is_terminal or status <= before.status:
            continue
        moved[row["part"]] = replace(
            before,
            status=status,
            error=ErrorCode(row["error"]) if row["error"] else None,
            raw_code=row["raw_code"] or "",
            at=row["at"],
        )
    return moved


def combine(key: AttemptKey, parts: Mapping[int, PartState]) -> Receipt:
    """What all parts together say of the message: success when all have arrived, the first error of any, else at the telco.

    Where a part has failed and another has not, some of the message may have arrived.
    """
    ordered = [parts[number] for number in sorted(parts)]
    first_id = ordered[0].provider_id
    failed = [part for part in ordered if part.status is MessageStatus.FAILURE]
    if failed:
        first = min(failed, key=lambda part: (part.at is None, part.at or 0, part.part))
        error = first.error or ErrorCode.DELIVERY_UNKNOWN_ERROR
        return Receipt(
            key,
            MessageStatus.FAILURE,
            error,
            raw_code=first.raw_code,
            provider_id=first_id,
            may_have_arrived=error is ErrorCode.DELIVERY_UNKNOWN_ERROR or len(failed) < first.parts,
            at=first.at,
        )
    if len(ordered) == ordered[0].parts and all(part.status is MessageStatus.SUCCESS for part in ordered):
        times = [part.at for part in ordered if part.at is not None]
        return Receipt(key, MessageStatus.SUCCESS, provider_id=first_id, at=max(times) if times else None)
    reached = any(part.status >= MessageStatus.SENT_TO_TELCO for part in ordered)
    return Receipt(key, MessageStatus.SENT_TO_TELCO if reached else MessageStatus.SENT, provider_id=first_id)


async def adopt_strays(connection: Connection, attempts: Sequence[tuple[OpenAttempt, int]]) -> list[str]:
    """Give receipts that no part has to attempts without an answer, each with the number of its parts; returns the receipts' ids.

    A receipt is an attempt's where its recipient is, it came after the hand-over, and no other message to that recipient waits
    for an answer. Then `match_receipts` moves the attempt.
    """
    recipients = list({attempt.recipient for attempt, _ in attempts})
    strays: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(SQL["fetch_strays"], recipients, STRAY_AFTER):
        strays[row["recipient"]].append(row)
    if not strays:
        return []
    rows = await connection.fetch(SQL["fetch_rivals"], list(strays))
    rivals = {row["recipient"]: row["attempts"] for row in rows}
    adopted: list[str] = []
    for attempt, count in attempts:
        if rivals.get(attempt.recipient, 0) > 1:
            continue
        own = [
            row["provider_id"]
            for row in strays.get(attempt.recipient, ())
            if row["received_at"] >= attempt.handed_over_at
        ]
        if own:
            adopted += await _adopt(connection, attempt.key, count, own)
    return adopted


async def _adopt(connection: Connection, key: AttemptKey, count: int, own: Sequence[str]) -> list[str]:
    rows = await connection.fetch(SQL["fetch_known_parts"], key.batch_no, key.row_number, key.attempt)
    known = {row["part"] for row in rows}
    free = [number for number in range(1, count + 1) if number not in known]
    pairs = list(zip(free, own, strict=False))
    for number, provider_id in pairs:
        await connection.execute(
            SQL["adopt_part"], key.batch_no, key.row_number, key.attempt, number, count, provider_id
        )
    return [provider_id for _, provider_id in pairs]


async def count_strays(connection: Connection) -> int:
    """How many receipts have become strays since this was asked last, over all nodes."""
    return int(await connection.fetchval(SQL["count_strays"], STRAY_AFTER))


async def delete_old(connection: Connection) -> None:
    """Forget what no news can come of any more."""
    await connection.execute(SQL["delete_old_receipts"], _KEPT)
    await connection.execute(SQL["delete_old_parts"], _KEPT)


async def _update_parts(connection: Connection, changed: Sequence[tuple[AttemptKey, PartState]]) -> None:
    if changed:
        await connection.execute(
            SQL["update_parts"],
            *_columns_of([key for key, _ in changed]),
            [part.part for _, part in changed],
            [part.status for _, part in changed],
            [part.error or "" for _, part in changed],
            [part.raw_code for _, part in changed],
            [part.at for _, part in changed],
        )


def _part_of(row: asyncpg.Record) -> PartState:
    return PartState(
        part=row["part"],
        parts=row["parts"],
        provider_id=row["provider_id"] or "",
        status=MessageStatus(row["status"]),
        error=ErrorCode(row["error"]) if row["error"] else None,
        raw_code=row["raw_code"] or "",
        at=row["at"],
    )


def _columns_of(keys: Sequence[AttemptKey]) -> tuple[list[int], list[int], list[int]]:
    return (
        [key.batch_no for key in keys],
        [key.row_number for key in keys],
        [key.attempt for key in keys],
    )
