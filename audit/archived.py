"""Audit events that have left the database for the bucket: who reads the trail says so, and never shows less as if it were all.

Rows are looked for first, and only then it is asked here: an archive's rows leave in the transaction that says so. Archives are
made, and brought back, by `processing/archives/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.periods import day_of

SQL: Final = NamedQueries("audit", "archived.sql")
# An event's time is that of its transaction's beginning, by the server's clock; what began it may tell that of another clock.
_OTHER_CLOCKS: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ArchivedEvents:
    """An archive of that name with all events of a range, which were recorded from `first_at` to `last_at`, aware UTC."""

    name: str
    first_at: datetime
    last_at: datetime


async def list_archived(
    connection: Connection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    begun_at: datetime | None = None,
) -> tuple[ArchivedEvents, ...]:
    """The archives, oldest first, that may have events from `since` on and before `until`, by the events' own times.

    `begun_at`: when that began, by whichever clock, which the events are about.
    """
    begins = [since] if since is not None else []
    if begun_at is not None:
        begins.append(begun_at - _OTHER_CLOCKS)
    rows = await connection.fetch(SQL["list_archived"], max(begins, default=None), until)
    return tuple(ArchivedEvents(**row) for row in rows)


def describe_archived(archives: Sequence[ArchivedEvents]) -> str:
    """Which events are where, by Singapore's days, and the way back of the first archive, for ops. There is one at least."""
    first, last = min(each.first_at for each in archives), max(each.last_at for each in archives)
    # Those of years are many: `archive list` has them all.
    more = f", and {len(archives) - 1} more" if len(archives) > 1 else ""
    name = archives[0].name
    return (
        f"events of {day_of(first)} to {day_of(last)} are archived, in {name}{more}: "
        f"`sftp-gateway archive restore {name}` brings it back"
    )
