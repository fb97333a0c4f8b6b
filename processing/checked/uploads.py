"""The table `uploads`, as far as only uploads of the console concern it. The caller owns the transaction."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg

from audit.events import Actor, AuditEvent, record_event
from database.connections import Connection
from database.queries import NamedQueries
from processing.awaited.uploads import new_support_id
from processing.checked.counts import Counts
from processing.uploads import Upload, UploadStatus, draw_report_name

SQL: Final = NamedQueries("processing", "checked/uploads.sql")


@dataclass(frozen=True, slots=True)
class NewChecked:
    """What is known of such an upload before its row is written. `received_at` is aware UTC; `sha256` is hex."""

    id: str
    campaign_id: str
    actor: Actor
    creator_id: str
    file_name: str
    byte_count: int
    sha256: str
    object_key: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """What is kept of a check. `asked_by`: the user who said that it is to be sent, until that is done.

    `hindrance` says in one word why nothing was sent when somebody had said so: the campaign was not active.
    """

    counts: Counts
    asked_by: str | None = None
    hindrance: str | None = None

    def document(self) -> str:
        """It as the row keeps it."""
        kept: dict[str, object] = {"counts": self.counts.document()}
        if self.asked_by is not None:
            kept["send"] = self.asked_by
        if self.hindrance is not None:
            kept["hindrance"] = self.hindrance
        return json.dumps(kept)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An upload that waits, locked. `check` is None until its verdict."""

    campaign_id: str
    file_name: str
    sha256: str
    check: Check | None
    object_key: str | None
    is_over: bool


@dataclass(frozen=True, slots=True)
class CheckedUpload:
    """One as its sender sees it. Times are aware UTC; `check` is None where it had no good verdict."""

    id: str
    campaign_id: str
    creator_id: str | None
    file_name: str
    byte_count: int
    sha256: str
    object_key: str | None
    status: UploadStatus
    received_at: datetime
    checked_at: datetime | None
    finished_at: datetime | None
    check: Check | None
    batch_id: str | None
    support_id: str | None
    has_report: bool
    num_rows: int | None
    num_errors: int | None
    error_reason: str | None


@dataclass(frozen=True, slots=True)
class SameContent:
    """Another upload of the same bytes. `batch_id` is None while it is being sent; `sent_at` tells something only after that."""

    upload_id: str
    batch_id: str | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """One that a sweep looks at."""

    id: str
    campaign_id: str
    is_over: bool
    is_sending: bool


def read_check(text: str | None) -> Check | None:
    """A check from what the row keeps."""
    if text is None:
        return None
    kept: Mapping[str, Any] = json.loads(text)
    return Check(Counts(**kept["counts"]), kept.get("send"), kept.get("hindrance"))


async def record_received(connection: Connection, upload: NewChecked) -> bool:
    """Write the row of an upload that waits for its check. False, and no row, where its campaign has lost its access."""
    inserted = await connection.fetchval(
        SQL["insert_checked"],
        upload.id, upload.campaign_id, upload.file_name, upload.byte_count, upload.sha256, upload.object_key,
        draw_report_name(), upload.actor.source_address, upload.actor.connection_id, upload.received_at,
        upload.creator_id, new_support_id(),
    )  # fmt: skip
    return inserted is not None


async def count_waiting(connection: Connection, campaign_id: str) -> int:
    """How many uploads of the campaign wait for their check, or to be sent."""
    return int(await connection.fetchval(SQL["count_waiting"], campaign_id))


async def begin_attempt(connection: Connection, upload: Upload) -> Upload | None:
    """Count the attempt; the upload as it is then. None where nothing is to be done about it, or no longer."""
    begun = await connection.fetchrow(SQL["begin_attempt"], upload.id)
    return None if begun is None else replace(upload, **begun)


async def lock_waiting(
    connection: Connection, upload_id: str, life: timedelta, *, wait: bool = True
) -> Waiting | None:
    """Lock the upload until the transaction ends. None where it is decided or gone, or `wait` is False and it is locked."""
    query = SQL["lock_waiting" if wait else "lock_waiting_if_free"]
    row = await connection.fetchrow(query, upload_id, life)
    if row is None:
        return None
    return Waiting(
        row["campaign_id"], row["file_name"], row["content_sha256"], read_check(row["checked"]), row["object_key"],
        row["is_over"],
    )  # fmt: skip


async def record_check(connection: Connection, upload_id: str, check: Check) -> None:
    """Keep what the check has found, or what was asked for since."""
    await connection.execute(
        SQL["record_checked"], upload_id, check.document(), check.counts.ucs2_segments > 0
    )


async def is_active(connection: Connection, campaign_id: str) -> bool:
    """Whether the campaign can send."""
    return bool(await connection.fetchval(SQL["is_active"], campaign_id))


async def end_waiting(connection: Connection, upload_id: str) -> None:
    """The upload waits no more: its outcome is written in the same transaction."""
    await connection.execute(SQL["end_waiting"], upload_id)


async def forget_object(connection: Connection, upload_id: str) -> None:
    """The upload no longer names its original."""
    await connection.execute(SQL["forget_object"], upload_id)


async def withdraw(
    connection: Connection, upload_id: str, waiting: Waiting, cause: str, actor: Actor
) -> None:
    """Give an upload that the caller has locked the end that nothing of it was sent. Its original is the caller's to delete."""
    await connection.execute(SQL["record_withdrawn"], upload_id)
    await record_event(
        connection,
        AuditEvent.UPLOAD_WITHDRAWN,
        campaign_id=waiting.campaign_id,
        upload_id=upload_id,
        actor=actor,
        details={"reason": cause},
    )


async def fetch_checked(connection: Connection, upload_id: str) -> CheckedUpload | None:
    """An upload of the console, or None where there is none of this id."""
    row = await connection.fetchrow(SQL["fetch_checked"], upload_id)
    return None if row is None else _checked_upload(row)


def _checked_upload(row: asyncpg.Record) -> CheckedUpload:
    waits = row["checked_at"] is not None
    status = UploadStatus(row["status"])
    if waits:
        status = UploadStatus.RECEIVED if row["checked"] is None else UploadStatus.CHECKED
    elif row["withdrawn_at"] is not None:
        status = UploadStatus.WITHDRAWN
    return CheckedUpload(
        id=row["id"], campaign_id=row["campaign_id"], creator_id=row["creator_id"], file_name=row["file_name"],
        byte_count=row["bytes"], sha256=row["content_sha256"], object_key=row["object_key"], status=status,
        received_at=row["received_at"], checked_at=row["checked_at"],
        finished_at=None if waits else row["finished_at"], check=read_check(row["checked"]), batch_id=row["batch_id"],
        support_id=row["support_id"] if status is UploadStatus.FAILED else None, has_report=row["report_key"] is not None,
        num_rows=row["num_rows"], num_errors=row["num_errors"], error_reason=row["error_reason"],
    )  # fmt: skip


async def wait_for_same_content(connection: Connection, upload_id: str) -> None:
    """Until the transaction ends, nobody else asks for the same bytes of the upload's campaign to be sent."""
    await connection.execute(SQL["wait_for_same_content"], upload_id)


async def find_same_content(
    connection: Connection, campaign_id: str, upload_id: str, sha256: str
) -> SameContent | None:
    """The newest other upload of the same bytes in this campaign that was sent within a day, or is being sent."""
    row = await connection.fetchrow(SQL["find_same_content"], campaign_id, upload_id, sha256)
    return None if row is None else SameContent(row["id"], row["batch_id"], row["finished_at"])


async def list_left(connection: Connection, *, older_than: timedelta, life: timedelta) -> list[Left]:
    """Those that a job is to do something about, received before `older_than`, and those whose time is over; at most 1,000."""
    rows = await connection.fetch(SQL["list_waiting"], older_than, life)
    return [
        Left(
            row["id"], row["campaign_id"], row["is_over"],
            is_sending=(check := read_check(row["checked"])) is not None and check.asked_by is not None,
        )
        for row in rows
    ]  # fmt: skip
