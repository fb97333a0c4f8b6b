"""Rows of the lists of uploads, and of who is connected by SFTP, as read from the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from console.paths import url
from console.uploads.scopes import Scope
from console.uploads.words import STATUSES, WAYS, counted, link_to
from database.connections import Connection, planned_anew
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "uploads/rows.sql")
# Whoever sees more campaigns than that has the newest uploads of all looked through first, rather than each campaign's.
_MANY_CAMPAIGNS: Final = 5_000
_WINDOW: Final = 10_000
ON_A_PAGE: Final = 100


@dataclass(frozen=True, slots=True)
class Filters:
    """What of the uploads is asked for. Times are aware, from the first up to the second one."""

    campaign_id: str | None = None
    status: str | None = None
    way: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of the list ends: its last upload."""

    received_at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload as lists show it. `received_at` is aware UTC."""

    id: str
    campaign_id: str
    campaign_name: str
    file_name: str
    received_at: datetime
    source: str
    status: str
    bytes: int
    total_messages: int | None
    batch_id: str | None
    duplicate_of: str | None
    num_rows: int | None
    num_errors: int | None
    error_reason: str | None
    support_id: str | None
    has_report: bool
    is_held: bool
    has_batch: bool

    @property
    def place(self) -> Place:
        """Where a page ends that ends with it."""
        return Place(self.received_at, self.id)

    @property
    def element_id(self) -> str:
        """A short name of its element on the page."""
        return f"u{self.id.removeprefix('upload_')[:18]}"

    @property
    def order(self) -> str:
        """Texts of which the greatest is the newest."""
        return f"{self.received_at:%Y%m%d%H%M%S%f}"

    @property
    def way(self) -> str:
        """The way in, in words."""
        return WAYS.get(self.source, self.source)

    @property
    def tag(self) -> tuple[str, str]:
        """The status in words, and the kind of its tag."""
        return STATUSES.get(self.status, (self.status, "grey"))

    @property
    def outcome(self) -> str:
        """What became of it, in a few words; empty where that isn't decided."""
        if self.is_held:
            return "Held since a restore"
        if self.status == "accepted" and self.total_messages is not None:
            return f"{counted(self.total_messages, 'message')}{' (sent before)' if self.duplicate_of else ''}"
        if self.status == "failed" and self.support_id:
            return f"Support id {self.support_id}"
        if self.status == "rejected" and self.error_reason:
            return self.error_reason
        if self.status == "rejected" and self.num_errors and self.num_rows:
            return f"{counted(self.num_errors, 'error')} in {counted(self.num_rows, 'row')}"
        return ""

    @property
    def outcome_path(self) -> str | None:
        """Where more is told of that: the batch, or the report."""
        if self.status == "accepted" and self.has_batch:
            return link_to("batch", batch_id=self.batch_id)
        if self.status == "rejected" and self.has_report:
            return link_to("upload_report", upload_id=self.id)
        return None

    @property
    def path(self) -> str:
        """Its own page."""
        return url("upload", upload_id=self.id)


@dataclass(frozen=True, slots=True)
class Connected:
    """A client that is connected by SFTP. `began_at` is aware UTC; `receiving_bytes`: of the upload that is under way."""

    connection_id: str
    campaign_id: str
    campaign_name: str
    source_address: str | None
    began_at: datetime
    receiving_bytes: int | None
    total: int


async def list_uploads(
    connection: Connection,
    scope: Scope,
    filters: Filters,
    *,
    after: Place | None = None,
    most: int = ON_A_PAGE,
) -> Sequence[UploadRow]:
    """The newest uploads that are seen and asked for; `after`: those older than that one."""
    seen = scope.narrowed(filters.campaign_id)
    wanted = (
        seen.is_all,
        list(seen.campaign_ids),
        list(seen.own_ids),
        seen.creator_id,
        filters.status,
        filters.way,
        filters.since,
        filters.before,
        after and after.received_at,
        after and after.id,
        most,
    )
    async with planned_anew(connection):
        ids = await _choose_among_newest(connection, seen, wanted, most)
        if ids is None:
            ids = [row["id"] for row in await connection.fetch(SQL["choose_uploads"], *wanted)]
        rows = await connection.fetch(SQL["show_uploads"], ids)
    return [UploadRow(**row) for row in rows]


async def _choose_among_newest(
    connection: Connection, seen: Scope, wanted: Sequence[object], most: int
) -> Sequence[str] | None:
    """Where many campaigns are seen, what they have among the newest uploads of all; None where that may not be enough."""
    if seen.is_all or len(seen.campaign_ids) <= _MANY_CAMPAIGNS:
        return None
    found = await connection.fetchrow(SQL["choose_among_newest"], *wanted, _WINDOW)
    assert found is not None  # noqa: S101 - it counts, so there is a row
    ids: Sequence[str] = found["ids"]
    return ids if len(ids) == most or found["looked"] < _WINDOW else None


async def list_connected(connection: Connection, scope: Scope, most: int = ON_A_PAGE) -> Sequence[Connected]:
    """Who is connected by SFTP, on all nodes, the newest first. Each row tells how many there are in all."""
    rows = await connection.fetch(SQL["list_connected"], scope.is_all, list(scope.campaign_ids), most)
    return [Connected(**row) for row in rows]
