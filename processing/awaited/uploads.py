"""The table `uploads`, as far as only uploads concern it whose senders wait for the outcome. The caller owns the transaction."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection
from database.queries import NamedQueries
from messages.idempotency_keys import free
from processing.uploads import Source, UploadStatus, draw_report_name

SQL: Final = NamedQueries("processing", "awaited/uploads.sql")


@dataclass(frozen=True, slots=True)
class NewAwaited:
    """What is known of such an upload before its row is written. `received_at` is aware UTC; `sha256` is hex.

    `creator_id`: the user who sends it, or who made the key that sends it; None: the campaign's creator.
    """

    id: str
    campaign_id: str
    actor: Actor
    source: Source
    file_name: str
    byte_count: int
    sha256: str
    object_key: str
    received_at: datetime
    waiter: int
    creator_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToldFinding:
    """A finding as the sender is told it: as in `processing.columns.results`, with the text of its code as it was stored."""

    row: int | None
    column: str | None
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class AwaitedOutcome:
    """What the sender is told. `status`: accepted, rejected, failed or withdrawn. `findings` are the first ones."""

    status: UploadStatus
    batch_id: str | None
    report_link: str | None
    num_rows: int | None
    num_errors: int | None
    has_avoidable: bool | None
    has_unicode: bool | None
    error_reason: str | None
    findings: tuple[ToldFinding, ...]


class Withdrawal(StrEnum):
    """Why an upload was withdrawn: its verdict came too late, its sender hung up, or whoever waited is gone."""

    LATE = "late"
    HUNG_UP = "hung_up"
    STOPPING = "stopping"
    FORSAKEN = "forsaken"


@dataclass(frozen=True, slots=True)
class UndecidedAwaited:
    """One without an outcome. `is_late`: for so long that nobody waits for it any more, if anybody does."""

    id: str
    campaign_id: str
    waiter: int | None
    is_late: bool


def new_support_id() -> str:
    """What finds every log line of a failed upload."""
    return f"S-{secrets.token_hex(6).upper()}"


async def record_awaited(connection: Connection, upload: NewAwaited) -> bool:
    """Write the row of an upload that waits for its verdict. False, and no row, where its campaign has lost its access."""
    inserted = await connection.fetchval(
        SQL["insert_awaited"],
        upload.id,
        upload.campaign_id,
        upload.file_name,
        upload.byte_count,
        upload.sha256,
        upload.object_key,
        draw_report_name(),
        upload.actor.source_address,
        upload.actor.connection_id,
        upload.received_at,
        upload.source.value,
        upload.waiter,
        upload.creator_id,
    )
    return inserted is not None


async def lock_awaited(connection: Connection, upload_id: str, *, wait: bool = True) -> bool:
    """Lock the upload until the transaction ends. False where it has its outcome already, or `wait` is False and it is locked."""
    query = SQL["lock_undecided" if wait else "lock_undecided_if_free"]
    return await connection.fetchrow(query, upload_id) is not None


async def is_forsaken(connection: Connection, waiter: int | None) -> bool:
    """Whether nobody waits for the outcome any more. From then on until the transaction ends, nobody can begin to."""
    return waiter is None or bool(await connection.fetchval(SQL["is_forsaken"], waiter))


async def hold_waiter(connection: Connection, waiter: int) -> bool:
    """Say by a lock of this session that somebody waits. False where another session holds it, if only one that is lost."""
    return bool(await connection.fetchval(SQL["hold_waiter"], waiter))


async def release_waiter(connection: Connection, waiter: int) -> None:
    """Say that nobody waits any more."""
    await connection.execute(SQL["release_waiter"], waiter)


async def record_told(
    connection: Connection, upload_id: str, findings: Sequence[ToldFinding], report_link: str | None
) -> None:
    """Keep what the sender of a rejected upload is told beside its outcome."""
    told = json.dumps([asdict(finding) for finding in findings], ensure_ascii=False)
    await connection.execute(SQL["record_findings"], upload_id, told, report_link)


async def withdraw(connection: Connection, upload_id: str, cause: Withdrawal) -> str | None:
    """Give the upload the end that nobody waits for, and free its Idempotency-Key. Returns its support id.

    None where it has its outcome already: that one stands.
    """
    support_id = new_support_id()
    campaign_id = await connection.fetchval(SQL["record_withdrawn"], upload_id, support_id)
    if campaign_id is None:
        return None
    await announce(connection, upload_id, frees_key=True)
    await record_event(
        connection,
        AuditEvent.UPLOAD_WITHDRAWN,
        campaign_id=campaign_id,
        upload_id=upload_id,
        details={"support_id": support_id, "reason": cause.value},
    )
    return support_id


async def announce(connection: Connection, upload_id: str, *, frees_key: bool = False) -> None:
    """Tell whoever waits, when the transaction commits, that there is an outcome. `frees_key`: it is no final answer."""
    if frees_key:
        await free(connection, upload_id=upload_id)
    await connection.execute(SQL["announce_outcome"], upload_id)


async def forget_object(connection: Connection, upload_id: str) -> None:
    """The upload no longer names its original, so that nobody can have it judged anew."""
    await connection.execute(SQL["forget_object"], upload_id)


async def fetch_outcome(connection: Connection, upload_id: str) -> AwaitedOutcome | None:
    """What the sender is told, or None while there is no outcome, or no such upload."""
    row = await connection.fetchrow(SQL["fetch_outcome"], upload_id)
    if row is None:
        return None
    values = dict(row)
    told = json.loads(values.pop("findings") or "[]")
    return AwaitedOutcome(
        status=UploadStatus(values.pop("status")),
        findings=tuple(ToldFinding(**finding) for finding in told),
        **values,
    )


async def list_undecided_awaited(
    connection: Connection, *, older_than: timedelta, late_after: timedelta
) -> list[UndecidedAwaited]:
    """Those that were received before that and have no outcome, oldest first; at most a thousand."""
    rows = await connection.fetch(SQL["list_undecided"], older_than, late_after)
    return [UndecidedAwaited(**row) for row in rows]
