"""What batches and messages have become: read from the batches' counts and from the messages' attempts.

A message without an attempt has the status that its batch gives it, as the view `message_status` says; everything else is told by
its last attempt. Nothing here writes.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final

import asyncpg

from campaigns.campaigns import Creator
from database.connections import Connection, json_object
from database.queries import NamedQueries
from messages.identifiers import MessageKey, message_id, parse_message_id
from messages.logs.charges import Charges
from messages.statuses import ErrorCode, MessageStatus

SQL: Final = NamedQueries("messages", "retrieval.sql")
_ROWS_AT_ONCE: Final = 5000
_ENDED: Final[Mapping[str, ErrorCode]] = {
    "stopped": ErrorCode.STOPPED,
    "expired": ErrorCode.SERVER_UNKNOWN_ERROR,
}


@dataclass(frozen=True)
class Batch:
    """A batch as stored, with how far it has gone out. `number` is its key in the tables; times are aware UTC.

    `by_rank` counts the messages that have an attempt by the rank of their status. `frame` is what stood around each body when
    the rows were validated, None for a batch of an older program that the sending core has not taken up yet. `creator_id`: the
    user who made it, None: the campaign's creator.
    """

    number: int
    id: str
    campaign_id: str
    kind: str
    upload_id: str | None
    original_file_name: str
    status: str
    total_messages: int
    created_at: datetime
    frame: Mapping[str, object] | None
    taken_at: datetime | None
    lane_id: int | None
    waiting: bool
    held_since: datetime | None
    held_because: str | None
    released_at: datetime | None
    ended_at: datetime | None
    ended_because: str | None
    finished_at: datetime | None
    by_rank: tuple[int, ...]
    errors_of_attempts: Mapping[str, int]
    creator_id: str | None

    @property
    def is_single(self) -> bool:
        """Whether it is a single send, which no list of batches shows."""
        return self.kind == "single"

    @property
    def is_held(self) -> bool:
        """Whether it waits for `batch release`."""
        return self.held_since is not None and self.released_at is None and self.ended_at is None

    @property
    def unclaimed(self) -> int:
        """How many of its messages have no attempt."""
        return self.total_messages - sum(self.by_rank)

    @property
    def status_of_unclaimed(self) -> MessageStatus:
        """The status of a message of it that has no attempt."""
        if self.ended_at is not None:
            return MessageStatus.FAILURE
        return MessageStatus.ENQUEUED if self.taken_at is not None else MessageStatus.CREATED

    @property
    def error_of_unclaimed(self) -> ErrorCode | None:
        """Why a message of it that has no attempt has failed; None while it may still leave."""
        return None if self.ended_because is None else _ENDED[self.ended_because]

    @cached_property
    def counts(self) -> Mapping[MessageStatus, int]:
        """How many of its messages have each status: all seven statuses, in their order; together they are its total."""
        counts = dict(zip(MessageStatus, self.by_rank, strict=True))
        counts[self.status_of_unclaimed] += self.unclaimed
        return counts

    @cached_property
    def errors(self) -> Mapping[ErrorCode, int]:
        """How many of its messages have failed with each code, codes without a message left out."""
        counts = {code: self.errors_of_attempts.get(code.value, 0) for code in ErrorCode}
        if (code := self.error_of_unclaimed) is not None:
            counts[code] += self.unclaimed
        return {code: count for code, count in counts.items() if count}

    @property
    def updated_at(self) -> datetime:
        """When something about the batch itself, not about one of its messages, changed last."""
        steps = (self.taken_at, self.held_since, self.released_at, self.ended_at, self.finished_at)
        return max([self.created_at, *(at for at in steps if at is not None)])


@dataclass(frozen=True, slots=True)
class Attempt:
    """A hand-over of a message to its provider. Times are aware UTC, None where not known. `raw_code` is the provider's own."""

    number: int
    status: MessageStatus
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    error: ErrorCode | None
    may_have_arrived: bool
    expired: bool
    raw_code: str | None
    provider_id: str | None


@dataclass(frozen=True)
class Message:
    """A message of a batch, with its attempts, newest first. `values` are by parameter name, in any order.

    `creator`: the user who made it, None: the campaign's creator.
    """

    batch: Batch
    row_number: int
    recipient: str
    language: str
    values: Mapping[str, str]
    segments: int
    encoding: str
    attempts: tuple[Attempt, ...]
    creator: Creator | None = None

    @property
    def created_at(self) -> datetime:
        """When it was made: with its batch, of which it has its place among all messages."""
        return self.batch.created_at

    @property
    def id(self) -> str:
        """Its public id."""
        return message_id(self.batch.id, self.row_number)

    @property
    def status(self) -> MessageStatus:
        """That of its last attempt, or what its batch gives it."""
        return self.attempts[0].status if self.attempts else self.batch.status_of_unclaimed

    @property
    def error(self) -> ErrorCode | None:
        """Why it has failed, if it has."""
        return self.attempts[0].error if self.attempts else self.batch.error_of_unclaimed

    @property
    def updated_at(self) -> datetime:
        """When its status changed last."""
        if self.attempts:
            return self.attempts[0].updated_at
        return self.batch.ended_at or self.batch.taken_at or self.created_at


@dataclass(frozen=True, slots=True)
class FailureCounts:
    """How a batch's failures ended: never handed over or surely not taken, not delivered, or of unknown outcome."""

    never_left: int
    not_delivered: int
    may_have_arrived: int


async def fetch_batch(connection: Connection, batch_id: str) -> Batch | None:
    """The batch of that id, a single send's too; None when there is none."""
    return await _fetch_batch(connection, await connection.fetchval(SQL["find_batch"], batch_id))


async def _fetch_batch(connection: Connection, number: int | None) -> Batch | None:
    return None if number is None else (await fetch_batches(connection, [number]))[number]


async def list_batches(
    connection: Connection,
    *,
    campaign_id: str | None = None,
    since: datetime | None = None,
    after: Batch | None = None,
    limit: int,
) -> list[Batch]:
    """Batches, newest first, of one campaign or of all; single sends are not among them. `after`: only those older than it."""
    place = (since, limit, after and after.created_at, after and after.id)
    rows = await (
        connection.fetch(SQL["list_batches"], *place)
        if campaign_id is None
        else connection.fetch(SQL["list_batches_of_campaign"], *place, campaign_id)
    )
    found = await fetch_batches(connection, [row["batch_no"] for row in rows])
    return [found[row["batch_no"]] for row in rows]


async def fetch_message(connection: Connection, identifier: str) -> Message | None:
    """The message of that id, whatever its campaign; None when there is none, or it has not the form of a message's id."""
    key = parse_message_id(identifier)
    if key is None:
        return None
    number = await connection.fetchval(SQL["find_batch_of_message"], key.stem)
    if number is None:
        return None
    found = await fetch_messages(connection, [(number, key.row_number)])
    return found[0] if found else None


async def fetch_batch_of(connection: Connection, key: MessageKey) -> Batch | None:
    """The batch that a message's id names; None when there is none."""
    return await _fetch_batch(connection, await connection.fetchval(SQL["find_batch_of_message"], key.stem))


async def count_failures(connection: Connection, batch: Batch) -> FailureCounts:
    """How the failures of a batch ended. It reads the batch's attempts, unless the counts say that none has failed."""
    unclaimed = batch.unclaimed if batch.status_of_unclaimed is MessageStatus.FAILURE else 0
    if not batch.by_rank[MessageStatus.FAILURE]:
        return FailureCounts(unclaimed, 0, 0)
    row = await connection.fetchrow(SQL["count_failures"], batch.number)
    assert row is not None  # noqa: S101 - it counts, so there is a row
    return FailureCounts(row["never_left"] + unclaimed, row["not_delivered"], row["may_have_arrived"])


async def read_deliveries(
    connection: Connection,
    batch: Batch,
    statuses: Collection[MessageStatus],
    charges: Charges,
) -> AsyncIterator[asyncpg.Record]:
    """The rows of a batch's delivery report, in the order of the upload, as its SQL names their columns.

    They come from a cursor, however many there are: the connection must be in a transaction.
    """
    rows = connection.cursor(
        SQL["read_deliveries"], *_deliveries_of(batch, statuses, charges), 0, None, prefetch=_ROWS_AT_ONCE
    )
    async for row in rows:
        yield row


async def fetch_deliveries(
    connection: Connection, batch: Batch, charges: Charges, *, after: int
) -> list[asyncpg.Record]:
    """The next rows of a batch's delivery report, some thousands at most: those whose numbers are above `after`."""
    return await connection.fetch(
        SQL["read_deliveries"], *_deliveries_of(batch, MessageStatus, charges), after, _ROWS_AT_ONCE
    )


def _deliveries_of(batch: Batch, statuses: Iterable[MessageStatus], charges: Charges) -> tuple[object, ...]:
    """What the statement of deliveries is told first."""
    return (
        batch.number,
        sorted(statuses),
        batch.status_of_unclaimed.value,
        list(charges.outcomes),
        charges.since,
        list(charges.other_expiries),
    )


async def fetch_messages(connection: Connection, keys: Sequence[tuple[int, int]]) -> list[Message]:
    """The messages of these keys, in their order; those that don't exist are left out."""
    if not keys:
        return []
    columns = [number for number, _ in keys], [row for _, row in keys]
    batches = await fetch_batches(connection, set(columns[0]))
    creators = await fetch_creators(connection, batches.values())
    attempts: dict[tuple[int, int], list[Attempt]] = {}
    for row in await connection.fetch(SQL["fetch_attempts"], *columns):
        attempts.setdefault((row["batch_no"], row["row_number"]), []).append(make_attempt(row))
    return [
        make_message(
            row,
            batches[row["batch_no"]],
            attempts.get((row["batch_no"], row["row_number"]), ()),
            creators.get(batches[row["batch_no"]].creator_id),
        )
        for row in await connection.fetch(SQL["fetch_messages"], *columns)
    ]


def make_message(
    row: asyncpg.Record | Mapping[str, Any],
    batch: Batch,
    attempts: Iterable[Attempt],
    creator: Creator | None,
) -> Message:
    """The message of a row of `messages`, with its attempts in any order."""
    return Message(
        batch=batch,
        row_number=row["row_number"],
        recipient=row["recipient"],
        language=row["language"],
        values=json_object(row["values"]),
        segments=row["segments"],
        encoding=row["encoding"],
        attempts=tuple(sorted(attempts, key=lambda attempt: -attempt.number)),
        creator=creator,
    )


async def fetch_batches(connection: Connection, numbers: Collection[int]) -> dict[int, Batch]:
    """The batches of these numbers, by number."""
    rows = await connection.fetch(SQL["fetch_batches"], list(numbers))
    return {row["batch_no"]: _batch_of(row) for row in rows}


async def fetch_creators(
    connection: Connection, batches: Iterable[Batch]
) -> Mapping[str | None, Creator | None]:
    """The users who made these batches, by id. Nothing is asked where all are of their campaigns' creators."""
    users = {batch.creator_id for batch in batches} - {None}
    rows = await connection.fetch(SQL["fetch_creators"], list(users)) if users else []
    return {row["id"]: Creator(row["id"], row["email"]) for row in rows}


def _batch_of(row: asyncpg.Record) -> Batch:
    columns = dict(row)
    frame = columns.pop("frame")
    return Batch(
        number=columns.pop("batch_no"),
        frame=None if frame is None else _read_frame(frame),
        by_rank=tuple(columns.pop("by_rank")),
        errors_of_attempts=_read_errors(columns.pop("errors")),
        **columns,
    )


# A thousand single sends of a page have the same ones.
@lru_cache(maxsize=256)
def _read_frame(text: str) -> Mapping[str, object]:
    return json_object(text)


@lru_cache(maxsize=256)
def _read_errors(text: str) -> Mapping[str, int]:
    return json_object(text)


def make_attempt(row: asyncpg.Record | Mapping[str, Any]) -> Attempt:
    """The attempt of a row of `attempts`."""
    return Attempt(
        number=row["attempt"],
        status=MessageStatus(row["status"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
        error=None if row["error"] is None else ErrorCode(row["error"]),
        may_have_arrived=row["may_have_arrived"],
        expired=row["expired"],
        raw_code=row["raw_code"],
        provider_id=row["provider_id"],
    )
