"""The table `uploads`: one row for each upload received, with its status and its outcome.

Every statement on this table that processing runs is run here. The caller owns the transaction.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import asyncpg

from audit.events import Actor
from database.connections import Connection, wait_for_standby
from database.queries import NamedQueries

SQL: Final = NamedQueries("processing", "uploads.sql")


class Source(StrEnum):
    """The ways in. Who sends by another than SFTP waits for the outcome, and is told it there."""

    SFTP = "sftp"
    API = "api"
    CONSOLE = "console"


class UploadStatus(StrEnum):
    """received → validating → accepted, rejected or failed. Failed and interrupted ones may be reopened by ops.

    One that nobody waits for any more is withdrawn instead, where its sender waits for the outcome. One of the console is checked
    before it is accepted (`processing.checked`).
    """

    RECEIVED = "received"
    VALIDATING = "validating"
    CHECKED = "checked"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"


class Reopening(StrEnum):
    """Why ops let an upload be judged anew: it has failed (retry), or was taken for interrupted (release)."""

    RETRY = "retry"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What is known of an upload before its row is written. Times are aware UTC.

    `sha256` (hex) and `object_key` are None where no bytes were kept. `modified_at` is the file's own time, as its
    client set it.
    """

    id: str
    campaign_id: str
    actor: Actor
    file_name: str
    byte_count: int
    sha256: str | None
    object_key: str | None
    received_at: datetime
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UndecidedUpload:
    """An upload that has no outcome yet. `received_at` is aware UTC."""

    id: str
    campaign_id: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A row. Times are aware UTC; `byte_count` is the file's size; `outcome` counts from 1.

    `sha256` is hex, and None where the source isn't SFTP: then it is `content_sha256`. `waiter`: see `processing.awaited`.
    `creator_id`: the user who sent it, if one of the console did, or the maker of the API's key.
    """

    id: str
    campaign_id: str
    file_name: str
    status: UploadStatus
    byte_count: int
    sha256: str | None
    object_key: str | None
    report_name: str
    report_key: str | None
    connection_id: str | None
    received_at: datetime
    deciding_since: datetime | None
    attempts: int
    finished_at: datetime | None
    outcome: int
    refusal_code: str | None
    error_reason: str | None
    batch_id: str | None
    total_messages: int | None
    duplicate_of: str | None
    num_rows: int | None
    num_errors: int | None
    has_avoidable_character: bool | None
    has_unicode: bool | None
    support_id: str | None
    notified_at: datetime | None
    notification_refused_at: datetime | None
    notification_error: str | None
    source: Source
    content_sha256: str | None
    waiter: int | None
    withdrawn_at: datetime | None
    creator_id: str | None
    checked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Twin:
    """An accepted upload of the same bytes under the same name from the same campaign."""

    upload_id: str
    batch_id: str
    total_messages: int


@dataclass(frozen=True, slots=True)
class ListedUpload:
    """What a campaign sees of an upload that it sent in the last 24 hours. Times are aware UTC."""

    file_name: str
    byte_count: int
    modified_at: datetime | None
    received_at: datetime


def _upload(values: dict[str, Any]) -> Upload:
    status = UploadStatus.WITHDRAWN if values["withdrawn_at"] else UploadStatus(values["status"])
    has_check = values.pop("has_check")
    if values["checked_at"] is not None:
        # To the database it has failed while it waits: so no program of the release before does anything with it.
        under_way = UploadStatus.VALIDATING if values["attempts"] else UploadStatus.RECEIVED
        status = UploadStatus.CHECKED if has_check else under_way
        values.update(finished_at=None, support_id=None)
    values.update(status=status, source=Source(values["source"]), byte_count=values.pop("bytes"))
    return Upload(**values)


async def record_received(connection: Connection, upload: NewUpload) -> bool:
    """Write the row of an upload that waits for its verdict. False, and no row, where its campaign has lost its access."""
    inserted = await connection.fetchval(SQL["insert_upload"], *_first_columns(upload), upload.modified_at)
    return inserted is not None


def _first_columns(upload: NewUpload) -> tuple[object, ...]:
    """What a row begins with, whatever becomes of it."""
    actor, sha256, key = upload.actor, upload.sha256, upload.object_key
    told = (upload.id, upload.campaign_id, upload.file_name, upload.byte_count, sha256, key)
    return *told, draw_report_name(), actor.source_address, actor.connection_id, upload.received_at


async def record_refused(
    connection: Connection, upload: NewUpload, *, refusal_code: str, error_reason: str
) -> None:
    """Write the row of an upload refused before any row of it was read: it has its first outcome, rejected, at once."""
    await connection.execute(
        SQL["insert_refused_upload"], *_first_columns(upload), refusal_code, error_reason
    )


def draw_report_name() -> str:
    """128 random bits: nobody can guess the name of another campaign's report."""
    return secrets.token_hex(16)


async def has_upload(connection: Connection, upload_id: str) -> bool:
    """Whether there is an upload of this id, to stay: an earlier COMMIT's, of which its caller had no answer."""
    found = bool(await connection.fetchval(SQL["upload_exists"], upload_id))
    if found:
        await wait_for_standby(connection)
    return found


async def take_untold(connection: Connection, campaign_id: str) -> list[str]:
    """The codes of the campaign's refusals with a row that no e-mail has told of. They count as told from here on."""
    return [row["refusal_code"] for row in await connection.fetch(SQL["take_untold"], campaign_id)]


async def fetch_upload(connection: Connection, upload_id: str) -> Upload | None:
    """One upload, or None where there is none of this id."""
    row = await connection.fetchrow(SQL["fetch_upload"], upload_id)
    return _upload(dict(row)) if row else None


async def fetch_upload_by_support_id(connection: Connection, support_id: str) -> Upload | None:
    """The failed upload whose sender was told this support id, or None."""
    row = await connection.fetchrow(SQL["fetch_upload_by_support_id"], support_id)
    return _upload(dict(row)) if row else None


async def list_uploads(
    connection: Connection, *, campaign_id: str | None = None, status: UploadStatus | None = None, since: datetime | None = None,
    after: Upload | None = None, limit: int = 50,
) -> list[Upload]:  # fmt: skip
    """Uploads that fit all the conditions given, newest first: those older than `after`, where it is given."""
    place = (after and after.received_at, after and after.id)
    wanted = (campaign_id, status and status.value, since, limit, *place)
    rows = await connection.fetch(SQL["list_uploads"], *wanted)
    return [_upload(dict(row)) for row in rows]


def _listed_upload(row: asyncpg.Record) -> ListedUpload:
    return ListedUpload(row["file_name"], row["bytes"], row["modified_at"], row["received_at"])


async def fetch_listed_uploads(connection: Connection, campaign_id: str, most: int) -> list[ListedUpload]:
    """The newest `most` uploads of the campaign's last 24 hours, whatever their outcome; of each name only the newest."""
    rows = await connection.fetch(SQL["list_campaign_uploads"], campaign_id, most)
    return [_listed_upload(row) for row in rows]


async def fetch_listed_upload(
    connection: Connection, campaign_id: str, file_name: str
) -> ListedUpload | None:
    """The newest upload of that name that the campaign sent in the last 24 hours, or None."""
    row = await connection.fetchrow(SQL["find_campaign_upload"], campaign_id, file_name)
    return _listed_upload(row) if row else None


async def has_upload_since(
    connection: Connection, campaign_id: str, file_names: Sequence[str], since: datetime
) -> bool:
    """Whether the campaign has an upload of one of these names, refused ones included, received since that time."""
    return bool(await connection.fetchval(SQL["has_upload_since"], campaign_id, list(file_names), since))


async def unlist_upload(connection: Connection, campaign_id: str, file_name: str) -> None:
    """Take a name out of the campaign's listing. Its uploads are otherwise left as they are."""
    await connection.execute(SQL["unlist_upload"], campaign_id, file_name)


async def record_modified_at(
    connection: Connection, campaign_id: str, file_name: str, modified_at: datetime
) -> None:
    """Give the newest listed upload of that name the modification time that its client has set."""
    await connection.execute(SQL["set_modified_at"], campaign_id, file_name, modified_at)


async def count_undecided(connection: Connection, campaign_id: str) -> int:
    """How many of the campaign's uploads wait for their outcome, those being judged included."""
    return int(await connection.fetchval(SQL["count_undecided"], campaign_id))


async def sum_recent(connection: Connection, campaign_id: str) -> tuple[float, float]:
    """Bytes and rows that the campaign sent within the last hour; those of before that still wait count too."""
    row = await connection.fetchrow(SQL["sum_recent"], campaign_id)
    return (row["bytes"], row["rows"]) if row else (0.0, 0.0)


async def begin_attempt(connection: Connection, upload: Upload) -> Upload | None:
    """Move to `validating` and count the attempt; the upload as it is then. None where it has its outcome already."""
    begun = await connection.fetchrow(SQL["begin_attempt"], upload.id)
    return None if begun is None else replace(upload, status=UploadStatus.VALIDATING, **begun)


async def begin_first_of_twins(
    connection: Connection, upload_id: str, within: timedelta
) -> tuple[Upload, bool] | None:
    """As `begin_attempt`, of SFTP, and whether it has an accepted twin. None also where an earlier one is undecided."""
    begun = await connection.fetchrow(SQL["begin_first_of_twins"], upload_id, within)
    if begun is None:
        return None
    values = dict(begun)
    has_accepted_twin = bool(values.pop("has_accepted_twin"))
    return _upload(values), has_accepted_twin


async def lock_undecided(connection: Connection, upload: Upload) -> bool:
    """Lock the upload and its content until the transaction ends. False where it has its outcome already."""
    await lock_content(connection, upload)
    return await connection.fetchrow(SQL["lock_upload"], upload.id) is not None


async def lock_content(connection: Connection, upload: Upload) -> None:
    """Let nobody else give an outcome to the same content until the transaction ends."""
    content = upload.sha256 or upload.id
    await connection.execute(SQL["lock_content"], upload.campaign_id, upload.file_name, content)


async def has_earlier_undecided(connection: Connection, upload_id: str, within: timedelta) -> bool:
    """Whether the same content, received before this upload, still waits for its outcome."""
    return await connection.fetchval(SQL["fetch_earlier_undecided"], upload_id, within) is not None


async def fetch_waiting_twins(connection: Connection, upload_id: str, within: timedelta) -> list[Upload]:
    """The same content, received after this upload, that waits for its outcome: oldest first, locked."""
    rows = await connection.fetch(SQL["lock_waiting_twins"], upload_id, within)
    return [_upload(dict(row)) for row in rows]


async def fetch_accepted_twin(connection: Connection, upload_id: str, within: timedelta) -> Twin | None:
    """The upload that made a batch of the same content, if one was received within that time of this one."""
    row = await connection.fetchrow(SQL["fetch_accepted_twin"], upload_id, within)
    return Twin(row["id"], row["batch_id"], row["total_messages"]) if row else None


async def record_accepted(
    connection: Connection,
    upload_id: str,
    *,
    batch_id: str,
    total_messages: int,
    duplicate_of: str | None,
    has_unicode: bool,
) -> int:
    """Give the upload its outcome. Returns the outcome's number."""
    return int(
        await connection.fetchval(
            SQL["record_accepted"], upload_id, batch_id, total_messages, duplicate_of, has_unicode
        )
    )


async def record_rejected(
    connection: Connection,
    upload_id: str,
    *,
    report_key: str | None,
    num_rows: int,
    num_errors: int,
    has_avoidable: bool,
    has_unicode: bool,
    error_reason: str | None,
) -> int:
    """Give the upload its outcome. `num_rows` counts rows with findings, `num_errors` all findings."""
    return int(
        await connection.fetchval(
            SQL["record_rejected"],
            upload_id, report_key, num_rows, num_errors, has_avoidable, has_unicode, error_reason,
        )
    )  # fmt: skip


async def record_failed(connection: Connection, upload_id: str, support_id: str) -> int:
    """Give the upload its outcome: the service was at fault. Returns the outcome's number."""
    return int(await connection.fetchval(SQL["record_failed"], upload_id, support_id))


async def reopen_upload(connection: Connection, upload_id: str, reopening: Reopening) -> bool:
    """Take the outcome from an upload, so that it waits for a verdict again.

    False, and no change, where the upload doesn't exist, isn't in the state that this reopening asks for or left no bytes.
    """
    return await connection.fetchval(SQL["reopen_upload"], upload_id, reopening.value) is not None


async def list_undecided(
    connection: Connection,
    *,
    older_than: timedelta,
    twins_within: timedelta,
    after: UndecidedUpload | None,
    limit: int,
) -> list[UndecidedUpload]:
    """Uploads that wait for their outcome and were received before that, oldest first; `after`: the last one seen.

    Those that wait for the same content, received up to `twins_within` before, are left out.
    """
    seen = (after.received_at, after.id) if after else (None, None)
    rows = await connection.fetch(SQL["list_undecided"], older_than, *seen, limit, twins_within)
    return [UndecidedUpload(**row) for row in rows]


async def forget_originals(connection: Connection, older_than: timedelta) -> None:
    """Uploads with an outcome, received longer ago than that, no longer name their original: it may be deleted."""
    await connection.execute(SQL["forget_originals"], older_than)


async def forget_superseded(connection: Connection) -> list[tuple[str, str]]:
    """Interrupted uploads no longer name their original where a newer one of the same name has one too.

    Returns the id and campaign of each: what lies under its key may be deleted.
    """
    return [(row["id"], row["campaign_id"]) for row in await connection.fetch(SQL["forget_superseded"])]


async def list_kept_originals(connection: Connection, older_than: timedelta) -> frozenset[str]:
    """Keys of old originals that must stay: their uploads have no outcome, or still name them."""
    rows = await connection.fetch(SQL["list_kept_originals"], older_than)
    return frozenset(row["object_key"] for row in rows)
