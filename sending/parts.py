"""The tables `message_parts` and `part_receipts`: what a provider tells of parts by ids of their own becomes news of messages.

A receipt may come before the answer to its part's submission, twice, to another process, or for nobody. One whose part is known
moves its message at once; any other is stored as it is. Whoever has stored a part or a receipt looks afterwards for the other, so
that the later of the two finds the earlier; what dies between is matched by a sweep. Locks are taken in one order: parts by key,
then receipts, then attempts as in messages.attempts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from config.sending_sections import SendingSettings
from database.connections import Connection, affected
from database.queries import NamedQueries
from messages.attempts import Recorded, record_news
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import OpenAttempt, PartNews

SQL: Final = NamedQueries("sending", "parts.sql")
MATCHED_AT_ONCE: Final = 2_000
DELETED_AT_ONCE: Final = 20_000
# Receipts may come until an attempt has expired (7-sending.md §2: 80 h); the clocks of others are given a day.
_KEPT: Final = timedelta(hours=104)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PartState:
    """A part as stored. `provider_id` is empty where its submission has no answer."""

    part: int
    parts: int
    provider_id: str
    status: MessageStatus
    error: ErrorCode | None = None
    raw_code: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """A receipt whose part is known: `part`, as it says that it is."""

    key: AttemptKey
    part: PartState


@dataclass(frozen=True, slots=True)
class RecordedParts:
    """What was recorded of parts: news of their messages, and the ids of which more may be stored already, or soon."""

    receipts: list[Receipt]
    open_ids: list[str]


def stray_after(settings: SendingSettings) -> timedelta:
    """How long a receipt waits for its part until it counts as a stray.

    Answers are recorded within a second. After this time also those attempts whose process has died wait for a look-up, and so
    are known as rivals.
    """
    return timedelta(seconds=settings.look_up_after[0] + 2 * settings.sweep_every)


async def record_parts(
    connection: Connection, parts: Iterable[tuple[AttemptKey, Sequence[str]]], news: Sequence[PartNews]
) -> RecordedParts:
    """Store the ids of attempts' parts, in their order, "" where one isn't known, and what receipts say of parts.

    In the caller's transaction, before the messages' own news; a repeat changes nothing. Afterwards, when all is committed,
    `match_receipts` is due for `open_ids`.
    """
    rows = [
        (key.batch_no, key.row_number, key.attempt, number, len(ids), provider_id)
        for key, ids in parts
        for number, provider_id in enumerate(ids, start=1)
    ]
    open_ids = {row[-1] for row in rows if row[-1]}
    if rows:
        await connection.execute(SQL["insert_parts"], *(list(column) for column in zip(*rows, strict=True)))
    if not news:
        return RecordedParts([], list(open_ids))
    await connection.execute(SQL["find_parts_by_key"])
    known = {
        row["provider_id"]: row
        for row in await connection.fetch(SQL["fetch_parts"], list({each.provider_id for each in news}))
    }
    told = [
        _told(known[each.provider_id], each.status, each.error, each.raw_code, each.at)
        for each in news
        if each.provider_id in known
    ]
    unknown = [each for each in news if each.provider_id not in known]
    receipts = await _move_parts(connection, told)
    if unknown:
        await connection.execute(
            SQL["insert_receipts"],
            [each.provider_id for each in unknown],
            [each.recipient for each in unknown],
            [each.status for each in unknown],
            [each.error or "" for each in unknown],
            [each.raw_code for each in unknown],
            [each.at for each in unknown],
        )
        open_ids.update(each.provider_id for each in unknown)
    return RecordedParts(receipts, list(open_ids))


async def match_receipts(
    connection: Connection, provider_ids: Sequence[str] | None, *, now: datetime
) -> tuple[Recorded, bool]:
    """Let stored receipts move their parts, and parts their messages, in the caller's transaction, as its last work.

    `provider_ids`: those that may have news, each once; None for whatever waits. Also says whether more may wait. A receipt that
    another transaction matches at the same time does nothing twice, since statuses only move up.
    """
    await connection.execute(SQL["find_parts_by_key"])
    if provider_ids is None:
        found = await connection.fetch(SQL["match_waiting"], MATCHED_AT_ONCE)
    else:
        found = await connection.fetch(SQL["match_receipts"], provider_ids, MATCHED_AT_ONCE)
    if not found:
        return Recorded(), False
    told = [
        _told(
            row,
            MessageStatus(row["status"]),
            ErrorCode(row["error"]) if row["error"] else None,
            row["raw_code"] or "",
            row["at"],
        )
        for row in found
    ]
    receipts = await _move_parts(connection, told)
    await connection.execute(SQL["delete_receipts"], [row["id"] for row in found])
    recorded = await record_news(connection, receipts, now=now)
    return recorded, len(found) == MATCHED_AT_ONCE


async def _move_parts(connection: Connection, told: Sequence[_Told]) -> list[Receipt]:
    """What receipts make of their messages. Where a message has several parts, each of them is kept for what is told next."""
    receipts = [_of_only_part(each) for each in told if each.part.parts == 1]
    by_attempt: dict[AttemptKey, list[PartState]] = defaultdict(list)
    for each in told:
        if each.part.parts > 1:
            by_attempt[each.key].append(each.part)
    if not by_attempt:
        return receipts
    keys = sorted(by_attempt)
    stored = await _lock_parts(connection, keys)
    changed: list[tuple[AttemptKey, PartState]] = []
    for key in keys:
        moved = _moved(stored[key], by_attempt[key])
        changed += [(key, moved[number]) for number in moved if moved[number] is not stored[key][number]]
        if (receipt := combine(key, moved)) is not None:
            receipts.append(receipt)
    await _update_parts(connection, changed)
    return receipts


def _moved(parts: Mapping[int, PartState], news: Sequence[PartState]) -> dict[int, PartState]:
    """The parts after these receipts: the first end of a part stays, and a status never goes back."""
    moved = dict(parts)
    for told in news:
        before = moved.get(told.part)
        if before is not None and not before.status.is_terminal and told.status > before.status:
            moved[told.part] = replace(
                before, status=told.status, error=told.error, raw_code=told.raw_code, at=told.at
            )
    return moved


def _of_only_part(told: _Told) -> Receipt:
    """The message is its part."""
    receipt = combine(told.key, {1: told.part})
    assert receipt is not None  # noqa: S101 - its id is known
    return receipt


def combine(key: AttemptKey, parts: Mapping[int, PartState]) -> Receipt | None:
    """What all parts together say of the message: success when all have arrived, the first error of any, else at the telco.

    Where a part has failed and another has not, some of the message may have arrived. None while it isn't known of each part
    whether it was taken: until then the message's outcome isn't known either.
    """
    ordered = [parts[number] for number in sorted(parts)]
    if not ordered:
        return None
    first_id = ordered[0].provider_id
    failed = [part for part in ordered if part.status is MessageStatus.FAILURE]
    if failed:
        first = min(failed, key=lambda part: (part.at or _LATEST, part.part))
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
    if len(ordered) < ordered[0].parts or not all(part.provider_id for part in ordered):
        return None
    if all(part.status is MessageStatus.SUCCESS for part in ordered):
        times = [part.at for part in ordered if part.at is not None]
        return Receipt(key, MessageStatus.SUCCESS, provider_id=first_id, at=max(times) if times else None)
    reached = any(part.status >= MessageStatus.SENT_TO_TELCO for part in ordered)
    return Receipt(key, MessageStatus.SENT_TO_TELCO if reached else MessageStatus.SENT, provider_id=first_id)


async def adopt_strays(
    connection: Connection, attempts: Sequence[tuple[OpenAttempt, int]], *, after: timedelta
) -> list[str]:
    """Give receipts that no part has to attempts without an answer, each with the number of its parts; returns the receipts' ids.

    A receipt is an attempt's where its recipient is, it came after the hand-over, it has waited for its part for so long, and no
    other message to that recipient waits for an answer. Then `match_receipts` moves the attempt.
    """
    await connection.execute(SQL["find_parts_by_key"])
    recipients = list({attempt.recipient for attempt, _ in attempts})
    strays: dict[str, list[asyncpg.Record]] = defaultdict(list)
    for row in await connection.fetch(SQL["fetch_strays"], recipients, after):
        strays[row["recipient"]].append(row)
    if not strays:
        return []
    rows = await connection.fetch(SQL["fetch_rivals"], list(strays))
    rivals = {row["recipient"]: row["attempts"] for row in rows}
    candidates = {
        attempt.key: (count, own)
        for attempt, count in attempts
        if rivals.get(attempt.recipient, 0) <= 1
        and (
            own := [
                row["provider_id"]
                for row in strays.get(attempt.recipient, ())
                if row["received_at"] >= attempt.handed_over_at
            ]
        )
    }
    stored = await _lock_parts(connection, sorted(candidates))
    adopted = [
        (key, number, count, provider_id)
        for key, (count, own) in sorted(candidates.items())
        for number, provider_id in zip(_without_id(stored[key], count), own, strict=False)
    ]
    if adopted:
        await connection.execute(
            SQL["adopt_parts"],
            *_columns_of([key for key, _, _, _ in adopted]),
            *([row[place] for row in adopted] for place in (1, 2, 3)),
        )
    return [row[-1] for row in adopted]


def _without_id(parts: Mapping[int, PartState], count: int) -> list[int]:
    return [number for number in range(1, count + 1) if number not in parts or not parts[number].provider_id]


async def count_strays(connection: Connection, *, after: timedelta) -> int:
    """How many receipts have become strays since this was asked last, over all nodes."""
    async with connection.transaction():
        await connection.execute(SQL["find_parts_by_key"])
        return int(await connection.fetchval(SQL["count_strays"], after))


async def delete_old(connection: Connection) -> None:
    """Forget what no news can come of any more."""
    for name in ("delete_old_receipts", "delete_old_parts"):
        deleted = DELETED_AT_ONCE
        while deleted == DELETED_AT_ONCE:
            async with connection.transaction():
                await connection.execute(SQL["find_parts_by_key"])
                deleted = affected(await connection.execute(SQL[name], _KEPT, DELETED_AT_ONCE))


async def _lock_parts(
    connection: Connection, keys: Sequence[AttemptKey]
) -> dict[AttemptKey, dict[int, PartState]]:
    """All parts of these attempts, by their numbers. `keys` are in order."""
    parts: dict[AttemptKey, dict[int, PartState]] = {key: {} for key in keys}
    if keys:
        for row in await connection.fetch(SQL["lock_parts"], *_columns_of(keys)):
            parts[_key_of(row)][row["part"]] = _part_of(row)
    return parts


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


def _told(
    row: asyncpg.Record,
    status: MessageStatus,
    error: ErrorCode | None,
    raw_code: str,
    at: datetime | None,
) -> _Told:
    part = PartState(row["part"], row["parts"], row["provider_id"], status, error, raw_code, at)
    return _Told(_key_of(row), part)


def _key_of(row: asyncpg.Record) -> AttemptKey:
    return AttemptKey(row["batch_no"], row["row_number"], row["attempt"])


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
