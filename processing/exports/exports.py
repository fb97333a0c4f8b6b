"""The table `log_exports`: files of message logs that were asked for, how far each is, and where it lies."""

import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

import asyncpg

from database.connections import Connection, json_object
from database.job_queue import enqueue
from database.queries import NamedQueries
from messages.statuses import ErrorCode, MessageStatus

SQL: Final = NamedQueries("processing", "exports/exports.sql")
ENTRYPOINT: Final = "log_export"
MOST_UNFINISHED: Final = 10
_MOST_LISTED: Final = 50


class Form(StrEnum):
    """What is written."""

    CSV = "csv"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class LogRequest:
    """What a log is to have. `errors`: None: whatever it is. `only_of`: what this user has made, None: what anybody has.

    `is_masked`: numbers are masked, and there are no values.
    """

    first: date
    last: date
    form: Form
    statuses: frozenset[MessageStatus] = frozenset(MessageStatus)
    errors: frozenset[ErrorCode] | None = None
    batch_id: str | None = None
    only_of: str | None = None
    is_masked: bool = False

    def document(self) -> dict[str, object]:
        """It as JSON: ids, days and words, nothing of a message."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "form": self.form.value,
            "statuses": [status.word for status in sorted(self.statuses)],
            "errors": None if self.errors is None else sorted(code.value for code in self.errors),
            "batchId": self.batch_id,
            "onlyOf": self.only_of,
            "masked": self.is_masked,
        }

    @classmethod
    def of_document(cls, text: str) -> "LogRequest":
        """What `document` gave, as the database has it."""
        found = json_object(text)
        errors = found["errors"]
        return cls(
            date.fromisoformat(found["from"]),
            date.fromisoformat(found["to"]),
            Form(found["form"]),
            frozenset(MessageStatus[word.upper()] for word in found["statuses"]),
            None if errors is None else frozenset(ErrorCode(code) for code in errors),
            found["batchId"],
            found["onlyOf"],
            found["masked"],
        )


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was asked for. `error`: why there is none, for whoever asked. Times are aware UTC."""

    id: str
    campaign_id: str
    user_id: str
    request: LogRequest
    file_name: str
    requested_at: datetime
    rows_done: int
    rows_expected: int | None
    object_key: str | None
    byte_count: int | None
    finished_at: datetime | None
    error: str | None
    expires_at: datetime

    @property
    def is_ready(self) -> bool:
        """Whether it can be downloaded."""
        return self.finished_at is not None and self.error is None


@dataclass(frozen=True, slots=True)
class Expired:
    """An export whose time is over. `object_key`: where it lies, if anywhere."""

    id: str
    object_key: str | None


async def request_export(
    connection: Connection,
    campaign_id: str,
    user_id: str,
    request: LogRequest,
    *,
    file_name: str,
    rows_expected: int,
    kept_for: timedelta,
) -> str:
    """Ask for a file, in the caller's transaction; returns its id. It is made in the background."""
    export_id = f"log-export_{uuid.uuid4()}"
    await connection.execute(
        SQL["insert_export"], export_id, campaign_id, user_id, json.dumps(request.document()), file_name, rows_expected, kept_for
    )  # fmt: skip
    await enqueue(connection, ENTRYPOINT, export_id)
    return export_id


async def count_unfinished(connection: Connection, user_id: str) -> int:
    """How many of a user's files are being made, or wait for it."""
    count: int = await connection.fetchval(SQL["count_unfinished"], user_id)
    return count


async def list_exports(connection: Connection, user_id: str, campaign_id: str) -> list[Export]:
    """A user's files of a campaign that are kept or being made, newest first."""
    rows = await connection.fetch(SQL["list_exports"], user_id, campaign_id, _MOST_LISTED)
    return [_export_of(row) for row in rows]


async def fetch_export(connection: Connection, export_id: str) -> Export | None:
    """The file of that id, None where there is none or its time is over."""
    row = await connection.fetchrow(SQL["fetch_export"], export_id)
    return None if row is None else _export_of(row)


async def record_progress(connection: Connection, export_id: str, rows: int) -> None:
    """Write down how many rows are written."""
    await connection.execute(SQL["record_progress"], export_id, rows)


async def record_finished(
    connection: Connection,
    export_id: str,
    *,
    rows: int,
    object_key: str,
    byte_count: int,
    kept_for: timedelta,
) -> bool:
    """The file is in the bucket. False where that, or a failure, was recorded already."""
    done = await connection.fetchval(
        SQL["record_finished"], export_id, rows, object_key, byte_count, kept_for
    )
    return done is not None


async def record_failed(connection: Connection, export_id: str, error: str) -> bool:
    """There will be no file; `error` is a fixed sentence for whoever asked. False where its end was recorded already."""
    return await connection.fetchval(SQL["record_failed"], export_id, error) is not None


async def list_unfinished(
    connection: Connection, *, older_than: timedelta, late_after: timedelta
) -> tuple[Sequence[str], Sequence[str]]:
    """Ids of files asked for before `older_than` that have no end yet; and of those even before `late_after`."""
    rows = await connection.fetch(SQL["list_unfinished"], older_than, late_after)
    return (
        [row["id"] for row in rows if not row["is_late"]],
        [row["id"] for row in rows if row["is_late"]],
    )


async def list_expired(connection: Connection) -> list[Expired]:
    """Files whose time is over, some at a time."""
    rows = await connection.fetch(SQL["list_expired"])
    return [Expired(row["id"], row["object_key"]) for row in rows]


async def delete_exports(connection: Connection, export_ids: Collection[str]) -> None:
    """Forget these."""
    await connection.execute(SQL["delete_exports"], list(export_ids))


def _export_of(row: asyncpg.Record) -> Export:
    return Export(
        id=row["id"],
        campaign_id=row["campaign_id"],
        user_id=row["user_id"],
        request=LogRequest.of_document(row["query"]),
        file_name=row["file_name"],
        requested_at=row["requested_at"],
        rows_done=row["rows_done"],
        rows_expected=row["rows_expected"],
        object_key=row["object_key"],
        byte_count=row["bytes"],
        finished_at=row["finished_at"],
        error=row["error"],
        expires_at=row["expires_at"],
    )
