"""Which batches' messages have left the database for the bucket: so that nobody takes what is archived for what never was.

Rows are looked for first, and only then it is asked here: an archive's rows leave in the transaction that says so. They are
read and brought back by `processing/archives/`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries
from messages.errors import MessagesArchived
from messages.identifiers import parse_message_id

SQL: Final = NamedQueries("messages", "archived/ranges.sql")


@dataclass(frozen=True, slots=True)
class ArchivedRange:
    """Batches from the number `begins` on and before `ends`, all of whose messages are in the archive of that name."""

    name: str
    begins: int
    ends: int


async def list_archived(connection: Connection) -> tuple[ArchivedRange, ...]:
    """All that is archived now, by number."""
    return tuple(ArchivedRange(**row) for row in await connection.fetch(SQL["list_archived"]))


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


def archives_of(ranges: Iterable[ArchivedRange], batch_numbers: Iterable[int]) -> list[str]:
    """The names of those archives that have messages of these batches."""
    numbers = set(batch_numbers)
    return [part.name for part in ranges if any(part.begins <= number < part.ends for number in numbers)]
