"""The table `uploads`, as far as only a restore concerns it. The caller owns the transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from database.connections import Connection
from database.queries import NamedQueries
from processing.awaited.uploads import new_support_id
from processing.checked.counts import Counts
from processing.checked.uploads import Check
from processing.reconcile.marks import Mark, Marked
from processing.uploads import Upload, fetch_upload

SQL: Final = NamedQueries("processing", "reconcile/uploads.sql")
_STATUSES: Final = {Marked.ACCEPTED: "accepted", Marked.REJECTED: "rejected", Marked.FAILED: "failed"}
# What a mark, or a twin, tells of an outcome, by the columns of the row.
OUTCOME_COLUMNS: Final = (
    "batch_id", "total_messages", "num_rows", "num_errors", "has_avoidable_character", "has_unicode", "report_key",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Undecided:
    """An upload without an outcome: how many it had before, and how often it was tried."""

    id: str
    campaign_id: str
    received_at: datetime
    outcome: int
    attempts: int


async def list_missing(connection: Connection, upload_ids: Sequence[str]) -> set[str]:
    """Those of these uploads that have no row."""
    return {row["id"] for row in await connection.fetch(SQL["list_missing"], list(upload_ids))}


async def list_undecided(
    connection: Connection, before: datetime, after: Undecided | None, *, checked: bool, limit: int
) -> list[Undecided]:
    """Uploads received before that time without an outcome, or, with `checked`, of the console that wait; behind `after`."""
    query = SQL["list_checked" if checked else "list_undecided"]
    seen = (after.campaign_id, after.id) if after else ("", "")
    return [Undecided(**row) for row in await connection.fetch(query, before, *seen, limit)]


async def newest_before_start(connection: Connection) -> datetime | None:
    """When the last thing was recorded before this database's server was started; None in a new database."""
    found: datetime | None = await connection.fetchval(SQL["newest_before_start"])
    return found


async def is_of_before_start(connection: Connection, upload_id: str) -> bool:
    """Whether the upload was received before this database's server was started, so that it may be one of a restored database."""
    return bool(await connection.fetchval(SQL["is_of_before_start"], upload_id))


async def has_campaign(connection: Connection, campaign_id: str) -> bool:
    """Whether there is such a campaign, and it isn't deleted."""
    return bool(await connection.fetchval(SQL["campaign_exists"], campaign_id))


async def insert_restored(connection: Connection, columns: Mapping[str, Any]) -> bool:
    """Write the row of an upload that had one. False where it has one again."""
    return await connection.fetchval(SQL["insert_restored"], _document(columns)) is not None


async def hold_undecided(connection: Connection, upload_id: str, columns: Mapping[str, Any]) -> bool:
    """Give an upload the outcome that these columns say, and hold it. False where it has one."""
    return await connection.fetchval(SQL["hold_undecided"], upload_id, _document(columns)) is not None


async def fetch_held_twin(
    connection: Connection,
    campaign_id: str,
    sha256: str | None,
    file_name: str,
    received_at: datetime,
    within: timedelta,
) -> Mapping[str, Any] | None:
    """The outcome of a held upload of the same content, received up to `within` before or after, by the columns of its row."""
    row = await connection.fetchrow(
        SQL["fetch_held_twin"], campaign_id, sha256, file_name, received_at, within
    )
    return None if row is None else dict(row)


async def list_held(
    connection: Connection,
    *,
    campaign_id: str | None = None,
    since: datetime | None = None,
    after: Upload | None = None,
    limit: int = 50,
) -> list[Upload]:
    """Uploads whose outcome is held, newest first: those older than `after`, where it is given."""
    rows = await connection.fetch(
        SQL["list_held"], campaign_id, since, limit, after and after.received_at, after and after.id
    )
    return [upload for row in rows if (upload := await fetch_upload(connection, row["id"]))]


async def fetch_hold(connection: Connection, upload_id: str) -> dict[str, Any] | None:
    """Why the upload's outcome is held, and what was told of it; None where it isn't."""
    text = await connection.fetchval(SQL["fetch_hold"], upload_id)
    return None if text is None else dict(json.loads(text))


async def release_held(connection: Connection, upload_id: str) -> bool:
    """Let a held upload of SFTP be judged. False where nothing is held, or its bytes aren't kept."""
    return await connection.fetchval(SQL["release_held"], upload_id) is not None


async def release_held_unmailed(connection: Connection, upload_id: str, asked_by: str) -> bool:
    """Let the batch of a held upload of another source be made, in this user's name; "" is the campaign's creator."""
    asked = Check(Counts(), asked_by=asked_by).document()
    found = await connection.fetchval(SQL["release_held_unmailed"], upload_id, new_support_id(), asked)
    return found is not None


async def refuse_held(connection: Connection, upload_id: str) -> bool:
    """Let a held outcome stand untold. False where nothing is held."""
    return await connection.fetchval(SQL["refuse_held"], upload_id) is not None


def outcome_columns(mark: Mark) -> dict[str, Any]:
    """What a row says whose upload has the outcome that the mark tells, and has it held."""
    columns: dict[str, Any] = {name: value for name, value in mark.facts.items() if name in OUTCOME_COLUMNS}
    status = _STATUSES[mark.says]
    columns |= {"status": status, "finished_at": mark.at, "held": {"because": "marked", "at": mark.at}}
    if mark.says is Marked.ACCEPTED:
        columns |= {"num_rows": 0, "num_errors": 0, "has_avoidable_character": False}
    if mark.says is Marked.FAILED:
        columns["support_id"] = new_support_id()
    return columns


def _document(columns: Mapping[str, Any]) -> str:
    return json.dumps(columns, default=datetime.isoformat)
