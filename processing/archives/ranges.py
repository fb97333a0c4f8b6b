"""Which ranges there are, and whether one may leave the database: nothing of it may be under way, or change a bill.

Audit events never change once they are written: a range of them only has to be old enough.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, LiteralString, Self

from config.environment import Environment
from config.sections import BillingSettings
from database.connections import Connection
from database.queries import NamedQueries
from processing.archives.archives import Archive
from processing.archives.kinds import Kind
from rules.billing.periods import Month, day_of

SQL: Final = NamedQueries("processing", "archives/ranges.sql")
# What people still ask about, and providers might still tell news of.
REST: Final = timedelta(days=90)
# Seconds. A range may have as many batches as messages, where all are single sends.
_LONGEST: Final = 600
_COUNTS: Final[Mapping[Kind, LiteralString]] = {
    Kind.MESSAGES: SQL["count_messages"],
    Kind.AUDIT_EVENTS: SQL["count_events"],
}


class Place(StrEnum):
    """Where the numbers that are given out now are, as seen from a range: behind it, in it, or before it."""

    ENDED = "ended"
    OPEN = "open"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class RecordRange:
    """A range in the database: numbers from `begins` on and before `ends`. Rows are estimated; moments are aware UTC."""

    name: str
    kind: Kind
    begins: int
    ends: int
    place: Place
    first_at: datetime | None
    last_at: datetime | None
    rows: int
    byte_count: int

    def is_of_before(self, month: Month) -> bool:
        """Whether it has been left, and its last batch or event was made before that month."""
        return self.place is Place.ENDED and self.last_at is not None and self.last_at < month.begins_at


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be archived: what was made before the month `before` and, where anything is charged, is posted.

    `charged_from`: the first day that is charged, or None.
    """

    before: Month
    charged_from: date | None

    @classmethod
    def of(cls, environment: Environment, billing: BillingSettings, before: Month) -> Self:
        """These settings' terms: only in production anything is charged."""
        return cls(before, billing.starts if environment is Environment.PRODUCTION else None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look at a range says: why it stays, or None; when what is in it was made."""

    obstacle: str | None
    first_at: datetime | None = None
    last_at: datetime | None = None


async def list_ranges(connection: Connection) -> list[RecordRange]:
    """All ranges, those of messages first, by number."""
    return [
        RecordRange(
            name=row["name"],
            kind=Kind(row["kind"]),
            begins=row["begins"],
            ends=row["ends"],
            place=Place(row["state"]),
            first_at=row["first_at"],
            last_at=row["last_at"],
            rows=row["rows"],
            byte_count=row["bytes"],
        )
        for row in await connection.fetch(SQL["list_ranges"])
    ]


async def check_range(connection: Connection, range_: RecordRange, terms: Terms, *, now: datetime) -> Finding:
    """Whether the range may leave, and if not, why: a sentence for ops, which names a batch where there is one to name."""
    if range_.place is not Place.ENDED:
        return Finding("its numbers are still given out, or not yet")
    match range_.kind:
        case Kind.MESSAGES:
            return await _check_messages(connection, range_, terms, now)
        case Kind.AUDIT_EVENTS:
            return await _check_events(connection, range_, terms)


async def _check_messages(
    connection: Connection, range_: RecordRange, terms: Terms, now: datetime
) -> Finding:
    if range_.last_at is not None and range_.last_at >= terms.before.begins_at:
        return Finding(f"its newest batch is of {Month.of(range_.last_at)}")
    row = await connection.fetchrow(
        SQL["fetch_obstacles"], range_.begins, range_.ends, now - REST, timeout=_LONGEST
    )
    assert row is not None  # noqa: S101 - it counts, so there is a row
    obstacle: str | None = None
    if not row["batches"]:
        obstacle = "nothing is in it"
    elif row["last_at"] >= terms.before.begins_at:
        obstacle = f"its newest batch is of {Month.of(row['last_at'])}"
    elif row["unfinished"]:
        obstacle = f"{row['unfinished']} has messages without an end"
    elif row["ended_lately"]:
        obstacle = f"{row['ended_lately']} had its end less than {REST.days} days ago"
    elif row["due"]:
        obstacle = f"{row['due']} has messages that are to go again"
    elif row["uncounted"]:
        obstacle = f"{row['uncounted']} isn't counted for billing yet: `sftp-gateway migrate` does it"
    else:
        obstacle = await find_unposted(connection, day_of(row["ended_at"]), terms)
    return Finding(obstacle, row["first_at"], row["last_at"])


async def _check_events(connection: Connection, range_: RecordRange, terms: Terms) -> Finding:
    row = await connection.fetchrow(SQL["look_at_events"], range_.begins, range_.ends, timeout=_LONGEST)
    assert row is not None  # noqa: S101 - it counts, so there is a row
    obstacle: str | None = None
    if not row["events"]:
        obstacle = "nothing is in it"
    elif row["last_at"] >= terms.before.begins_at:
        obstacle = f"its newest event is of {Month.of(row['last_at'])}"
    return Finding(obstacle, row["first_at"], row["last_at"])


async def find_unposted(connection: Connection, last_day: date, terms: Terms) -> str | None:
    """Why what was used up to this day may not leave yet, as its month may still change; None where it may."""
    if terms.charged_from is None or last_day < terms.charged_from:
        return None
    closed_before = await connection.fetchval(SQL["fetch_closed_before"])
    if closed_before is not None and last_day < closed_before:
        return None
    return f"the month {Month.of(last_day)} isn't posted: `sftp-gateway billing close --month {Month.of(last_day)}`"


async def count_rows(connection: Connection, archive: Archive) -> dict[str, int]:
    """How many rows each of a range's tables has in the database."""
    row = await connection.fetchrow(_COUNTS[archive.kind], archive.begins, archive.ends, timeout=_LONGEST)
    assert row is not None  # noqa: S101 - it counts, so there is a row
    return dict(row)
