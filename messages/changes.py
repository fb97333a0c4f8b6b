"""What people ask of messages and batches that are on their way: retry, stop, release. Each leaves its audit event.

Each call makes a transaction of its own on `connection`, runs it again after a deadlock, and has committed when it returns.
`campaign_id` is given where the caller may touch this campaign's alone; others' are not found then.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import asyncpg

from audit.details import EventDetails
from audit.events import NOBODY, Actor, AuditEvent, record_event
from campaigns.campaigns import CampaignStatus
from database.connections import UNREACHABLE, Connection, affected
from database.errors import OutcomeUnknown
from database.queries import NamedQueries
from messages.archived.ranges import find_archive
from messages.attempts import in_transaction, move_counts
from messages.errors import (
    BatchEnded,
    BatchNotFound,
    BatchNotHeld,
    BatchNotRetryable,
    MessageNotFound,
    MessageNotRetryable,
    RetryLimitReached,
)
from messages.identifiers import parse_message_id
from messages.retrieval import Message, fetch_messages
from messages.statuses import ErrorCode, MessageStatus

SQL: Final = NamedQueries("messages", "changes.sql")
STOPPED: Final = "stopped"
EXPIRED: Final = "expired"
# The statuses of a batch from which it is retried (8-api.md §2.4, §2.6).
_RETRYABLE: Final = frozenset({"messages_enqueued", "messages_enqueuing_failed"})
# Half a million rows take some seconds.
_BULK_SECONDS: Final = 300
_T = TypeVar("_T")


async def retry_message(
    connection: Connection, message_id: str, *, max_retries: int, actor: Actor, campaign_id: str | None = None
) -> Message:
    """Begin a new attempt of a message that has failed; its id stays (8-api.md §2.4). Of two calls at once one wins.

    Returns the message as it is at that moment, before any sender can have taken it. Raises MessageNotFound, MessageNotRetryable,
    RetryLimitReached; OutcomeUnknown, where the database went away at the COMMIT.
    """
    key = parse_message_id(message_id)
    batch_id = None if key is None else await connection.fetchval(SQL["fetch_batch_of_message"], key.stem)
    if key is None or batch_id is None:
        raise MessageNotFound(f"there is no message {message_id!r:.80}")

    async def retry() -> Message:
        batch = await _lock_batch(connection, batch_id, campaign_id)
        last = batch and await connection.fetchrow(
            SQL["fetch_last_attempt"], batch["batch_no"], key.row_number
        )
        if batch is None:
            raise MessageNotFound(f"there is no message {message_id}")
        if last is None:
            if (archive := await find_archive(connection, batch["batch_no"])) is not None:
                raise MessageNotRetryable(f"message {message_id}", _archived_in(archive))
            raise MessageNotFound(f"there is no message {message_id}")
        _check_message(batch, last, message_id)
        if max(last["attempt"], 1) > max_retries:
            raise RetryLimitReached(
                f"message {message_id}", f"was retried {max_retries} times: no more is allowed"
            )
        await _insert_retries(connection, batch, key.row_number, max_retries)
        details: EventDetails = {
            "batch_id": batch_id,
            "message_id": message_id,
            "attempt": max(last["attempt"], 1) + 1,
        }
        await record_event(
            connection,
            AuditEvent.MESSAGE_RETRIED,
            campaign_id=batch["campaign_id"],
            actor=actor,
            details=details,
        )
        (message,) = await fetch_messages(connection, [(batch["batch_no"], key.row_number)])
        return message

    return await _retried(connection, retry)


def _archived_in(archive: str) -> str:
    return f"is archived in {archive}: it can be retried once operators have restored that"


def _check_message(batch: asyncpg.Record, last: asyncpg.Record, message_id: str) -> None:
    subject = f"message {message_id}"
    never_left = last["attempt"] == 0 and batch["ended_because"] == EXPIRED
    if not (never_left or last["status"] == MessageStatus.FAILURE):
        stopped = last["attempt"] == 0 and batch["ended_because"] == STOPPED
        cause = "was stopped, which can't be undone" if stopped else "hasn't failed"
        raise MessageNotRetryable(subject, f"{cause}: only a failed one is retried")
    if last["error"] == ErrorCode.STOPPED:
        raise MessageNotRetryable(subject, "was stopped, which can't be undone")
    if batch["campaign_status"] == CampaignStatus.DELETED or batch["sender_id"] is None:
        raise MessageNotRetryable(subject, "belongs to a deleted campaign, or to one without a sender")
    if batch["status"] not in _RETRYABLE:
        raise MessageNotRetryable(subject, f"is of a batch whose status is {batch['status']}")


async def retry_batch(
    connection: Connection, batch_id: str, *, max_retries: int, actor: Actor, campaign_id: str | None = None
) -> int:
    """Begin a new attempt of each failed message of a batch, but for those at their limit (8-api.md §2.6); returns how many.

    What was stopped stays so. Raises BatchNotFound, BatchNotRetryable (the batch's status is `messages_enqueuing_failed` then, if
    it was so because a message is `created`); OutcomeUnknown, as `retry_message` does.
    """

    async def retry() -> int | None:
        batch = await _lock_known_batch(connection, batch_id, campaign_id)
        if batch["status"] not in _RETRYABLE:
            raise BatchNotRetryable(f"batch {batch_id}", f"is {batch['status']}: it can't be retried")
        if batch["campaign_status"] == CampaignStatus.DELETED:
            raise BatchNotRetryable(f"batch {batch_id}", "belongs to a deleted campaign")
        if batch["retrying"] or (batch["taken_at"] is None and batch["ended_at"] is None):
            await connection.execute(SQL["set_enqueuing_failed"], batch["batch_no"])
            return None
        if batch["sender_id"] is None:
            return 0
        retried = await _insert_retries(connection, batch, None, max_retries)
        # Asked only now, as what was there to be retried could have left before.
        if not retried and (archive := await find_archive(connection, batch["batch_no"])) is not None:
            raise BatchNotRetryable(f"batch {batch_id}", _archived_in(archive))
        if retried:
            await _record_batch_event(
                connection, AuditEvent.BATCH_RETRIED, batch, actor, {"messages": retried}
            )
        return retried

    retried = await _retried(connection, retry)
    if retried is None:
        raise BatchNotRetryable(
            f"batch {batch_id}", "has messages that haven't begun: try again once they have"
        )
    return retried


@dataclass(frozen=True, slots=True)
class RetriesAhead:
    """What `retry_batch` would begin anew, in messages and segments, if it were asked now; what was stopped is no part of it.

    `may_have_arrived` of them may be texted a second time; `at_limit` have failed, but were retried too often.
    """

    messages: int
    segments: int
    local_segments: int
    may_have_arrived: int
    at_limit: int


async def count_retries(connection: Connection, number: int, *, max_retries: int) -> RetriesAhead:
    """What a retry of this batch would do. It reads all its attempts."""
    row = await connection.fetchrow(SQL["count_retries"], number, max_retries, timeout=_BULK_SECONDS)
    assert row is not None  # noqa: S101 - it counts, so there is a row
    return RetriesAhead(**row)


async def _retried(connection: Connection, work: Callable[[], Awaitable[_T]]) -> _T:
    """Do `work` in a transaction. Raises OutcomeUnknown where all of it was done but the answer to the COMMIT."""
    is_done = False

    async def noted() -> _T:
        nonlocal is_done
        is_done = False
        result = await work()
        is_done = True
        return result

    try:
        return await in_transaction(connection, noted)
    except UNREACHABLE:
        if not is_done:
            raise
        message = (
            "the database went away at the end of the retry: look whether it has begun before you repeat it"
        )
        raise OutcomeUnknown(message) from None


async def _insert_retries(
    connection: Connection, batch: asyncpg.Record, row_number: int | None, max_retries: int
) -> int:
    """New attempts of the failed ones of a batch whose row is locked, or of one row; how many."""
    number: int = batch["batch_no"]
    statuses: Counter[MessageStatus] = Counter()
    errors: Counter[str] = Counter()
    if batch["ended_because"] == EXPIRED and batch["unclaimed"]:
        inserted = await connection.execute(
            SQL["insert_expired_attempts"], number, row_number, timeout=_BULK_SECONDS
        )
        statuses[MessageStatus.FAILURE] += affected(inserted)
        errors[ErrorCode.SERVER_UNKNOWN_ERROR] += affected(inserted)
        if row_number is None:
            await connection.execute(SQL["pass_all_rows"], number)
    rows = await connection.fetch(
        SQL["insert_retries"],
        number,
        row_number,
        max_retries,
        datetime.now(UTC),
        batch["sender_id"],
        batch["priority"],
        batch["campaign_id"],
        timeout=_BULK_SECONDS,
    )
    for row in rows:
        statuses[MessageStatus.FAILURE] -= row["messages"]
        statuses[MessageStatus.CREATED] += row["messages"]
        errors[row["error"]] -= row["messages"]
    await move_counts(connection, {number: statuses}, {number: errors})
    return sum(row["messages"] for row in rows)


async def stop_batch(
    connection: Connection, batch_id: str, *, actor: Actor, campaign_id: str | None = None
) -> int:
    """End a batch for good: what has not left becomes `failure`, `server_error/stopped`; returns how many messages that are.

    What waits to go again or to be retried ends too. Raises BatchNotFound, BatchEnded.
    """

    async def stop() -> int:
        await _lock_waiting_attempts(connection, batch_id)
        batch = await _lock_known_batch(connection, batch_id, campaign_id)
        unclaimed = 0 if batch["ended_at"] else batch["unclaimed"]
        if not (unclaimed or batch["retrying"] or batch["enqueued"] or batch["sending"]):
            raise BatchEnded(
                f"all messages of batch {batch_id}", "have left or ended: there is nothing to stop"
            )
        return await _end_batch(connection, batch, actor, "asked for")

    return await in_transaction(connection, stop)


async def stop_batch_of_deleted_campaign(connection: Connection, batch_id: str) -> int:
    """What has not left of a batch becomes `stopped`, as its campaign is deleted; returns how many messages that are."""

    async def stop() -> int:
        await _lock_waiting_attempts(connection, batch_id)
        batch = await _lock_batch(connection, batch_id, None)
        if batch is None or batch["campaign_status"] != CampaignStatus.DELETED:
            return 0
        return await _end_batch(connection, batch, NOBODY, "campaign deleted")

    return await in_transaction(connection, stop)


async def _end_batch(connection: Connection, batch: asyncpg.Record, actor: Actor, cause: str) -> int:
    number: int = batch["batch_no"]
    now = datetime.now(UTC)
    await connection.execute(SQL["end_rows"], number, now, STOPPED)
    rows = await connection.fetch(
        SQL["end_waiting_attempts"], number, now, ErrorCode.STOPPED.value, timeout=_BULK_SECONDS
    )
    ended = sum(row["messages"] for row in rows)
    if ended:
        statuses = {MessageStatus(row["status"]): -row["messages"] for row in rows}
        statuses[MessageStatus.FAILURE] = ended
        await move_counts(connection, {number: statuses}, {number: {ErrorCode.STOPPED.value: ended}})
    stopped: int = ended + (0 if batch["ended_at"] else batch["unclaimed"])
    await _record_batch_event(
        connection, AuditEvent.BATCH_STOPPED, batch, actor, {"messages": stopped, "reason": cause}
    )
    return stopped


async def release_batch(
    connection: Connection, batch_id: str, *, actor: Actor, campaign_id: str | None = None
) -> None:
    """Let a batch go that was held, as it was there before the upgrade or could not begin in time.

    Raises BatchNotFound, BatchNotHeld.
    """

    async def release() -> None:
        batch = await _lock_known_batch(connection, batch_id, campaign_id)
        if batch["held_since"] is None or batch["released_at"] is not None or batch["ended_at"] is not None:
            raise BatchNotHeld(f"batch {batch_id}", "is not held")
        now = datetime.now(UTC)
        await connection.execute(SQL["release"], batch["batch_no"], now)
        await connection.execute(SQL["release_due"], batch["batch_no"], now)
        await connection.execute(SQL["announce_batch"], batch_id)
        await _record_batch_event(connection, AuditEvent.BATCH_RELEASED, batch, actor)

    await in_transaction(connection, release)


async def hold_restored(connection: Connection, *, actor: Actor) -> int:
    """Hold each batch and single send of a restored database that isn't all handed over, until ops release or stop it.

    Returns how many. What of them has left since the moment to which the database was restored would be sent again. Those made
    since PostgreSQL was started are left alone, and those that ops have released since.
    """

    async def hold() -> int:
        rows = await connection.fetch(SQL["hold_restored"], datetime.now(UTC), timeout=_BULK_SECONDS)
        numbers = [row["batch_no"] for row in rows]
        await connection.execute(SQL["hold_due"], numbers, timeout=_BULK_SECONDS)
        if numbers:
            await record_event(
                connection,
                AuditEvent.BATCHES_HELD,
                actor=actor,
                details={"batches": len(numbers), "reason": "restored"},
            )
        return len(numbers)

    return await in_transaction(connection, hold)


async def _lock_waiting_attempts(connection: Connection, batch_id: str) -> None:
    """Attempts are locked before batches by all who change both. Those that are put back until the batch is locked come after."""
    await connection.execute(SQL["lock_waiting_attempts"], batch_id, timeout=_BULK_SECONDS)


async def _lock_batch(
    connection: Connection, batch_id: str, campaign_id: str | None
) -> asyncpg.Record | None:
    """The batch, which no one else changes until the transaction ends."""
    return await connection.fetchrow(SQL["lock_batch"], batch_id, campaign_id)


async def _lock_known_batch(connection: Connection, batch_id: str, campaign_id: str | None) -> asyncpg.Record:
    batch = await _lock_batch(connection, batch_id, campaign_id)
    if batch is None:
        raise BatchNotFound(f"there is no batch {batch_id!r:.80}: see `sftp-gateway batch list`")
    return batch


async def _record_batch_event(
    connection: Connection,
    event: AuditEvent,
    batch: asyncpg.Record,
    actor: Actor,
    details: EventDetails | None = None,
) -> None:
    told: EventDetails = {"batch_id": batch["id"]}
    await record_event(
        connection,
        event,
        campaign_id=batch["campaign_id"],
        actor=actor,
        details=told | (details or {}),
    )
