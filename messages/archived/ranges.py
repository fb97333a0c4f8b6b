"""Which batches' messages have left the database for the bucket: so that nobody takes what is archived for what never was.

Rows are looked for first, and only then it is asked here: an archive's rows leave in the transaction that says so. They are
read and brought back by `processing/archives/`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries
from messages.errors import MessagesArchived
from messages.identifiers import parse_message_id

SQL: Final = NamedQueries("messages", "archived/ranges.sql")


# Numbers are given out in the order of time, but a batch is made when its last message is copied in.
_LONGEST_COPY: Final = timedelta(days=1)
_EVER: Final = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ArchivedRange:
    """Batches from the number `begins` on and before `ends`, all of whose messages are in the archive of that name.

    They were made from `first_at` to `last_at`, aware UTC.
    """

    name: str
    begins: int
    ends: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Archived:
    """All that is archived, as lists pass it over: all batches of before `floor`, and those of these numbers."""

    ranges: tuple[ArchivedRange, ...] = ()
    floor: datetime = _EVER[0]

    @property
    def numbers(self) -> str:
        """The numbers, as PostgreSQL writes a set of ranges."""
        return "{" + ",".join(f"[{part.begins},{part.ends})" for part in self.ranges) + "}"

    def find(self, batch_no: int) -> str | None:
        """The archive that has a batch's messages."""
        return next((part.name for part in self.ranges if part.begins <= batch_no < part.ends), None)


async def fetch_archived(connection: Connection) -> Archived:
    """All that is archived now."""
    ranges = tuple(ArchivedRange(**row) for row in await connection.fetch(SQL["list_archived"]))
    floor, end = _EVER[0], 0
    for part in ranges:
        # Before the floor nothing may be left in the database.
        if part.begins > end and await connection.fetchval(SQL["has_batches"], end, part.begins):
            break
        floor, end = max(floor, part.last_at - _LONGEST_COPY), part.ends
    return Archived(ranges, floor)


async def list_left_out(
    connection: Connection, campaign_id: str, *, since: datetime | None = None, until: datetime | None = None
) -> tuple[str, ...]:
    """The archives that have messages of a campaign which were made from `since` on and before `until`."""
    rows = await connection.fetch(SQL["list_left_out"], campaign_id, since or _EVER[0], until or _EVER[1])
    return tuple(row["name"] for row in rows)


async def refuse_used(connection: Connection, batch_numbers: Sequence[int], since: datetime) -> None:
    """Raise MessagesArchived where messages of these batches are archived that had their end only after that moment."""
    name = await connection.fetchval(SQL["find_used"], batch_numbers, since)
    if name is not None:
        raise MessagesArchived(name)


async def find_archive(connection: Connection, batch_no: int) -> str | None:
    """The archive that has a batch's messages; None where they are in the database."""
    name: str | None = await connection.fetchval(SQL["find_archive"], batch_no)
    return name


async def find_archive_of_message(
    connection: Connection, identifier: str, campaign_id: str | None = None
) -> str | None:
    """The archive in which a message of that id lies, if there is one; None also where no batch of that campaign has it."""
    key = parse_message_id(identifier)
    number = None if key is None else await connection.fetchval(SQL["find_batch_no"], key.stem, campaign_id)
    return None if number is None else await find_archive(connection, number)


async def refuse_archived(connection: Connection, batch_no: int) -> None:
    """Raise MessagesArchived where the batch's messages are archived."""
    if (name := await find_archive(connection, batch_no)) is not None:
        raise MessagesArchived(name)
