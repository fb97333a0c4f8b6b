"""Compares bucket and database, and enters again what a restore has lost: flat in memory, safe to stop anywhere and to run twice.

Three looks, in an order that matters where it is stopped. First, uploads without an outcome whose marks tell one: it is held.
Then originals without a row that have a mark: entered with that outcome, held. Last, those without one: entered to be judged,
where their senders count on that. So nothing is judged anew before all of the same content that was decided is known again.

What came before the moment to which the database was restored, and has no row, never had one: its sender was not told that it
was taken. It is counted and left alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from audit.events import Actor, AuditEvent, record_event
from config.fault_points import reach
from config.sizes import size_text
from database.connections import Connection, Pool, database_troubles
from processing.awaited.uploads import new_support_id
from processing.errors import ObjectMissing
from processing.object_store import (
    ORIGINALS,
    REPORTS,
    ListedObject,
    S3ObjectStore,
    StoredObject,
    original_key,
)
from processing.reconcile.holds import DECIDED, hold_by_mark, is_decided_elsewhere
from processing.reconcile.marks import Mark, Marked, fetch_mark
from processing.reconcile.receipts import Receipt, ReceiptUnreadable, Taken, read_receipt
from processing.reconcile.uploads import (
    OUTCOME_COLUMNS,
    Undecided,
    fetch_held_twin,
    has_campaign,
    insert_restored,
    list_missing,
    list_undecided,
    outcome_columns,
)
from processing.uploads import Source, draw_report_name
from processing.verdicts.queueing import CHECKED_ENTRYPOINT, enqueue_verdict
from rules.codes import FindingCode
from rules.texts import file_reason

_T = TypeVar("_T")
# So many objects are asked about at a time: each takes two calls.
_AT_ONCE: Final = 8
_ROWS: Final = 500
# How far the clocks of nodes, database and bucket may be apart.
CLOCKS: Final = timedelta(minutes=1)
# An upload that is being taken, or given its outcome, just now is left alone for so long.
SETTLED: Final = timedelta(seconds=30)


class Became(StrEnum):
    """What became of an upload that the comparison found."""

    # Entered again, or given its outcome.
    RECEIVED = "received"
    HELD = "held"
    TO_CHECK = "to_check"
    INTERRUPTED = "interrupted"
    # Left alone, rightly.
    BEFORE = "before"
    NOT_TAKEN = "not_taken"
    NOT_ANSWERED = "not_answered"
    TOO_NEW = "too_new"
    # Left alone, and somebody must look.
    UNKNOWN = "unknown"
    UNREADABLE = "unreadable"
    NO_CAMPAIGN = "no_campaign"


LOOK_AT: Final = frozenset({Became.UNKNOWN, Became.UNREADABLE, Became.NO_CAMPAIGN})
ENTERED: Final = frozenset({Became.RECEIVED, Became.HELD, Became.TO_CHECK, Became.INTERRUPTED})


@dataclass(frozen=True, slots=True)
class Found:
    """One upload, or one object that isn't known to be one: then it has a key alone. `outcome` is what is held."""

    became: Became
    key: str
    upload_id: str | None = None
    campaign_id: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What to compare. `since`: the moment to which the database was restored; None: all. Times are aware UTC.

    `twins_within`: how far apart uploads of the same content may be received to have one outcome.
    """

    since: datetime | None
    now: datetime
    twins_within: timedelta
    max_upload_bytes: int
    dry_run: bool
    actor: Actor


@dataclass(frozen=True, slots=True)
class _Lost:
    """An original without a row, what it tells, and its mark."""

    stored: StoredObject
    receipt: Receipt
    mark: Mark | None


async def reconcile(pool: Pool, store: S3ObjectStore, scope: Scope) -> AsyncIterator[Found]:
    """All that bucket and database don't agree on, each once, and entered unless it is a dry run."""
    for checked in (False, True):
        async for found in _undecided(pool, store, scope, checked=checked):
            yield found
    async for found in _originals(pool, store, scope, _enter_decided):
        yield found
    async for found in _originals(pool, store, scope, _enter_others):
        yield found


async def _undecided(
    pool: Pool, store: S3ObjectStore, scope: Scope, *, checked: bool
) -> AsyncIterator[Found]:
    """Uploads that the database knows as undecided, and whose marks tell more."""
    last: Undecided | None = None
    while True:
        with database_troubles():
            async with pool.acquire() as connection:
                page = await list_undecided(
                    connection, scope.now - SETTLED, last, checked=checked, limit=_ROWS
                )
        if not page:
            return
        last = page[-1]
        for some in _parts(page):
            marks = await asyncio.gather(*(fetch_mark(store, each.campaign_id, each.id) for each in some))
            for upload, mark in zip(some, marks, strict=True):
                if mark is None or mark.at > scope.now - SETTLED or not is_decided_elsewhere(mark, upload):
                    continue
                if not scope.dry_run:
                    with database_troubles():
                        async with pool.acquire() as connection:
                            await hold_by_mark(
                                connection, upload.campaign_id, upload.id, mark, actor=scope.actor
                            )
                    reach("reconcile.entered")
                key = original_key(upload.campaign_id, upload.id)
                yield Found(Became.HELD, key, upload.id, upload.campaign_id, mark.says.value)


_Enter: TypeAlias = Callable[[Connection, _Lost, Scope], Awaitable[Found | None]]


async def _originals(pool: Pool, store: S3ObjectStore, scope: Scope, enter: _Enter) -> AsyncIterator[Found]:
    """Originals without a row, as `enter` treats them; what it doesn't know, the other look tells."""
    tells_rest = enter is _enter_others
    async for page in store.list_pages(ORIGINALS):
        ids = [upload_id for each in page if (upload_id := _upload_id(each.key))]
        with database_troubles():
            async with pool.acquire() as connection:
                missing = await list_missing(connection, ids)
        left, keys = _sort_out(page, missing, scope)
        for part in _parts(keys):
            for look in await asyncio.gather(*(_look(store, key, scope) for key in part)):
                if isinstance(look, Found):
                    left.append(look)
                    continue
                if look is None:
                    continue
                with database_troubles():
                    async with pool.acquire() as connection:
                        found = await enter(connection, look, scope)
                if found is not None:
                    reach("reconcile.entered")
                    yield found
        for found in left if tells_rest else ():
            yield found


def _sort_out(
    page: Sequence[ListedObject], missing: Collection[str], scope: Scope
) -> tuple[list[Found], list[str]]:
    """Of a page's objects without a row: those that are left alone by their age, and the keys of the others."""
    left, keys = [], []
    for each in page:
        upload_id = _upload_id(each.key)
        if upload_id is not None and upload_id not in missing:
            continue
        if scope.since is not None and each.written_at < scope.since - CLOCKS:
            left.append(Found(Became.BEFORE, each.key, upload_id))
        elif each.written_at > scope.now - SETTLED:
            left.append(Found(Became.TOO_NEW, each.key, upload_id))
        else:
            keys.append(each.key)
    return left, keys


async def _look(store: S3ObjectStore, key: str, scope: Scope) -> _Lost | Found | None:
    """What an original without a row tells; or what became of it; None where it is gone."""
    try:
        stored = await store.head(key)
        receipt = read_receipt(stored)
    except ObjectMissing:
        return None
    except ReceiptUnreadable:
        return Found(Became.UNREADABLE, key, _upload_id(key))
    if receipt is None or key != original_key(receipt.campaign_id, receipt.upload_id) or not stored.sha256:
        return Found(Became.UNKNOWN, key)
    if scope.since is not None and receipt.received_at < scope.since - CLOCKS:
        return Found(Became.BEFORE, key, receipt.upload_id, receipt.campaign_id)
    return _Lost(stored, receipt, await fetch_mark(store, receipt.campaign_id, receipt.upload_id))


async def _enter_decided(connection: Connection, lost: _Lost, scope: Scope) -> Found | None:
    """Enter an upload that was decided, with its outcome held. None where it wasn't, or this tells nothing of it."""
    mark, source = lost.mark, lost.receipt.source
    if mark is None or mark.says not in DECIDED or lost.receipt.taken is not Taken.WHOLE:
        return None
    if source is not Source.SFTP and mark.says is not Marked.ACCEPTED:
        return None
    columns = {**_columns(lost), **outcome_columns(mark), "outcome": mark.outcome + 1}
    if key := columns.get("report_key"):
        columns["report_name"] = str(key).removeprefix(f"{REPORTS}/{lost.receipt.campaign_id}/")[:-4]
    return await _enter(connection, lost, scope, Became.HELD, columns, mark.says.value)


async def _enter_others(connection: Connection, lost: _Lost, scope: Scope) -> Found | None:
    """Enter what its sender counts on, and tell what is left alone. None where the look before told of it."""
    mark, receipt = lost.mark, lost.receipt
    if _is_told_before(lost):
        return None
    if receipt.taken is Taken.INTERRUPTED:
        return await _enter(connection, lost, scope, Became.INTERRUPTED, _interrupted(lost, scope))
    if mark is not None and mark.says in {Marked.NOT_TAKEN, Marked.WITHDRAWN}:
        return _found(lost, Became.NOT_TAKEN)
    match receipt.source:
        case Source.SFTP:
            twin = await fetch_held_twin(
                connection, receipt.campaign_id, lost.stored.sha256, receipt.file_name, receipt.received_at,
                scope.twins_within,
            )  # fmt: skip
            if twin is None:
                columns = {**_columns(lost), "status": "received", "outcome": 0}
                return await _enter(connection, lost, scope, Became.RECEIVED, columns)
            columns = {name: twin[name] for name in OUTCOME_COLUMNS}
            columns |= {
                "status": twin["status"],
                "outcome": 1,
                "finished_at": receipt.received_at,
                "held": {"because": "twin", "of": twin["id"], "at": receipt.received_at},
            }
            if twin["status"] == "accepted":
                columns["duplicate_of"] = twin["duplicate_of"] or twin["id"]
            return await _enter(
                connection, lost, scope, Became.HELD, {**_columns(lost), **columns}, twin["status"]
            )
        case Source.CONSOLE:
            return await _enter(connection, lost, scope, Became.TO_CHECK, _to_check(lost, scope))
        case Source.API:
            # Without a mark nothing was accepted, and its sender, who waited for the answer, sends it again.
            return _found(lost, Became.NOT_ANSWERED)


def _is_told_before(lost: _Lost) -> bool:
    """Whether the look before this one told of the upload."""
    mark, receipt = lost.mark, lost.receipt
    if mark is None or mark.says not in DECIDED or receipt.taken is not Taken.WHOLE:
        return False
    return receipt.source is Source.SFTP or mark.says is Marked.ACCEPTED


async def _enter(
    connection: Connection,
    lost: _Lost,
    scope: Scope,
    became: Became,
    columns: dict[str, Any],
    outcome: str | None = None,
) -> Found | None:
    """Write row, job and audit event in one transaction, unless it is a dry run. None where there is a row by now."""
    receipt = lost.receipt
    if not await has_campaign(connection, receipt.campaign_id):
        return _found(lost, Became.NO_CAMPAIGN)
    if scope.dry_run:
        return _found(lost, became, outcome)
    async with connection.transaction():
        if not await insert_restored(connection, columns):
            return None
        if became is Became.RECEIVED:
            await enqueue_verdict(connection, receipt.upload_id, receipt.campaign_id)
        elif became is Became.TO_CHECK:
            await enqueue_verdict(
                connection, receipt.upload_id, receipt.campaign_id, entrypoint=CHECKED_ENTRYPOINT
            )
        await record_event(
            connection,
            AuditEvent.UPLOAD_RESTORED,
            campaign_id=receipt.campaign_id,
            upload_id=receipt.upload_id,
            actor=scope.actor,
            details={
                "outcome": outcome or became.value,
                "held": became is Became.HELD,
                "reason": "missing",
                "bytes": lost.stored.byte_count,
                "sha256": lost.stored.sha256 or "",
            },
        )
    return _found(lost, became, outcome)


def _columns(lost: _Lost) -> dict[str, Any]:
    """The columns of a row that its receipt tells."""
    receipt = lost.receipt
    is_sftp = receipt.source is Source.SFTP
    return {
        "id": receipt.upload_id,
        "campaign_id": receipt.campaign_id,
        "file_name": receipt.file_name,
        "bytes": lost.stored.byte_count,
        "sha256" if is_sftp else "content_sha256": lost.stored.sha256,
        "object_key": lost.stored.key,
        "report_name": draw_report_name(),
        "source_address": receipt.source_address,
        "connection_id": receipt.connection_id,
        "received_at": receipt.received_at,
        "modified_at": receipt.modified_at,
        "listed": is_sftp and receipt.taken is Taken.WHOLE,
        "source": receipt.source.value,
        "creator_id": receipt.creator_id,
    }


def _to_check(lost: _Lost, scope: Scope) -> dict[str, Any]:
    """A file of the console waits for its check, and then for somebody who says that it is sent, as after its receipt."""
    return {
        **_columns(lost),
        "status": "failed",
        "outcome": 0,
        "finished_at": lost.receipt.received_at,
        "support_id": new_support_id(),
        "checked_at": scope.now,
    }


def _interrupted(lost: _Lost, scope: Scope) -> dict[str, Any]:
    """What was refused as interrupted is so again, without a second e-mail; ops can release it."""
    limit = size_text(scope.max_upload_bytes)
    return {
        **_columns(lost),
        "status": "rejected",
        "outcome": 1,
        "finished_at": lost.receipt.received_at,
        "refusal_code": FindingCode.UPLOAD_INTERRUPTED.value,
        "error_reason": file_reason(
            FindingCode.UPLOAD_INTERRUPTED, received=lost.stored.byte_count, limit=limit
        ),
        "num_rows": 0,
        "num_errors": 1,
        "has_avoidable_character": False,
        "has_unicode": False,
    }


def _found(lost: _Lost, became: Became, outcome: str | None = None) -> Found:
    return Found(became, lost.stored.key, lost.receipt.upload_id, lost.receipt.campaign_id, outcome)


def _upload_id(key: str) -> str | None:
    """The upload whose original lies under this key; None where no original of ours lies so."""
    words = key.split("/")
    if len(words) != 3 or not words[2].startswith("upload_") or not words[2].endswith(".csv"):
        return None
    return words[2].removesuffix(".csv")


def _parts(values: Sequence[_T]) -> list[Sequence[_T]]:
    return [values[place : place + _AT_ONCE] for place in range(0, len(values), _AT_ONCE)]
