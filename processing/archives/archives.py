"""The tables `archives` and `archive_files`: what has left the database, and where its files lie.

States move in functions of the database, which drop and attach tables with their owner's rights.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final

import asyncpg

from config.logs import get_logger
from database.connections import Connection, Pool
from database.queries import NamedQueries
from processing.archives.kinds import Kind
from processing.errors import ArchivingBusy
from rules.billing.periods import SINGAPORE

logger = get_logger("processing")

# Before people come to work in Singapore.
_HOURS: Final = range(1, 6)

SQL: Final = NamedQueries("processing", "archives/archives.sql")
# Seconds. The outcomes of some millions of attempts are counted in one statement, and indexes are built on them in another.
_LONGEST: Final = 3600
# Seconds. The function itself gives up waiting for locks sooner; files of some gigabytes are removed after it.
_ROOM_TO_WAIT: Final = 60


class State(StrEnum):
    """Sealed: still in the database, while its files are written. Restored: in the database again."""

    SEALED = "sealed"
    ARCHIVED = "archived"
    RESTORED = "restored"


Key = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive of the numbers from `begins` on and before `ends`, made from `first_at` to `last_at`. Moments are aware UTC.

    `touched_at`: when something of it changed since it was sealed. Its files lie under the number `generation`.
    """

    name: str
    kind: Kind
    begins: int
    ends: int
    state: State
    generation: int
    first_at: datetime
    last_at: datetime
    sealed_at: datetime
    touched_at: datetime | None
    archived_at: datetime | None
    restored_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The first and the last row of a file by their keys: a message's batch number and row, or an event's id.

    Of a file of attempts: of the messages beside it.
    """

    first: Key
    last: Key


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file of an archive: rows of the table `holds`, the `number`th from 1. `sha256` is hexadecimal."""

    holds: str
    number: int
    object_key: str
    sha256: str
    byte_count: int
    rows: int
    bounds: Bounds


@asynccontextmanager
async def work_alone(pool: Pool) -> AsyncIterator[None]:
    """Nobody else archives or restores meanwhile, on any node. Raises ArchivingBusy where somebody does."""
    async with pool.acquire() as lock, lock.transaction():
        await lock.execute(SQL["keep_open"])
        # Held without a snapshot, so that it keeps nothing else waiting.
        if not await lock.fetchval(SQL["try_lock"]):
            raise ArchivingBusy
        yield


async def list_archives(connection: Connection) -> list[Archive]:
    """All there are, those in the database again too."""
    return [_archive_of(row) for row in await connection.fetch(SQL["list_archives"], None)]


async def fetch_archive(connection: Connection, name: str) -> Archive | None:
    """The archive of that name."""
    rows = await connection.fetch(SQL["list_archives"], name)
    return _archive_of(rows[0]) if rows else None


async def seal(
    connection: Connection, kind: Kind, begins: int, ends: int, first_at: datetime, last_at: datetime
) -> None:
    """From now on it is known when something of the range changes.

    Raises asyncpg's LockNotAvailableError where somebody is changing it for long.
    """
    await connection.execute(SQL["seal"], kind.value, begins, ends, first_at, last_at, timeout=_ROOM_TO_WAIT)


async def unseal(connection: Connection, name: str) -> None:
    """The range stays in the database after all."""
    await connection.execute(SQL["unseal"], name)


async def count_usage(connection: Connection, name: str) -> date | None:
    """Write down what the attempts of a sealed range come to; returns the last day that has any."""
    last_day: date | None = await connection.fetchval(SQL["count_usage"], name, timeout=_LONGEST)
    return last_day


async def keep_events(connection: Connection, name: str) -> None:
    """Copy those events of a sealed range that others than readers of the trail ask for."""
    await connection.execute(SQL["keep_events"], name, timeout=_LONGEST)


async def finish(connection: Connection, name: str) -> State:
    """Let the tables of a sealed range go; returns the state, which still is sealed where something of it has changed.

    Raises asyncpg's LockNotAvailableError where others use the tables at that moment.
    """
    return State(await connection.fetchval(SQL["finish"], name, timeout=_ROOM_TO_WAIT))


async def begin_restore(connection: Connection, name: str) -> None:
    """Make empty tables for the archive's rows, which nobody reads yet. Raises ArchivingBusy where it isn't archived any more."""
    with _restored_by_others():
        await connection.execute(SQL["begin_restore"], name)


async def list_unfinished(connection: Connection) -> list[str]:
    """The archives of which somebody brings rows back, or was stopped when some were there. `begin_restore` lets these go."""
    return [row["name"] for row in await connection.fetch(SQL["list_unfinished"])]


async def finish_restore(connection: Connection, name: str) -> None:
    """Let these tables be a range again, with all their rows at one moment. Raises ArchivingBusy where rows are missing."""
    with _restored_by_others():
        await connection.execute(SQL["finish_restore"], name, timeout=_LONGEST)


async def record_files(connection: Connection, archive: Archive, files: Sequence[ArchiveFile]) -> None:
    """Write down files that were read back from the bucket, all or none."""
    async with connection.transaction():
        for file in files:
            await connection.execute(
                SQL["insert_file"], archive.name, archive.generation, file.holds, file.number, file.object_key, file.sha256,
                file.byte_count, file.rows, *_columns_of(archive.kind, file.bounds),
            )  # fmt: skip


async def list_files(connection: Connection, archive: Archive) -> list[ArchiveFile]:
    """The files of this generation, in their order; those of messages before those of their attempts."""
    rows = await connection.fetch(SQL["list_files"], archive.name, archive.generation)
    return [_file_of(row) for row in rows]


async def find_files(connection: Connection, name: str, key: tuple[int, int]) -> list[ArchiveFile]:
    """The files that have a message, and its attempts, if the archive has it."""
    return [_file_of(row) for row in await connection.fetch(SQL["find_files"], name, *key)]


async def list_older_keys(connection: Connection, archive: Archive) -> list[str]:
    """Where the files of earlier generations lie."""
    rows = await connection.fetch(SQL["list_older_files"], archive.name, archive.generation)
    return [row["object_key"] for row in rows]


async def forget_older_files(connection: Connection, archive: Archive) -> None:
    """Forget the files of earlier generations."""
    await connection.execute(SQL["delete_older_files"], archive.name, archive.generation)


async def sum_up(connection: Connection) -> Mapping[str, tuple[int, int]]:
    """Rows (of messages, not of their attempts) and bytes of each archive's files."""
    return {row["archive"]: (row["rows"] or 0, row["bytes"]) for row in await connection.fetch(SQL["sum_up"])}


@contextmanager
def _restored_by_others() -> Iterator[None]:
    """Whoever restores is alone, unless the connection was cut that kept others away: then the database says that it isn't."""
    try:
        yield
    except asyncpg.NoDataFoundError:
        raise ArchivingBusy from None


def _archive_of(row: asyncpg.Record) -> Archive:
    columns = dict(row)
    return Archive(kind=Kind(columns.pop("kind")), state=State(columns.pop("state")), **columns)


def _columns_of(kind: Kind, bounds: Bounds) -> tuple[int | None, ...]:
    """As the table has them: the first and the last batch number and row, and the first and the last id."""
    match kind:
        case Kind.MESSAGES:
            return (*bounds.first, *bounds.last, None, None)
        case Kind.AUDIT_EVENTS:
            return (None, None, None, None, *bounds.first, *bounds.last)


def _file_of(row: asyncpg.Record) -> ArchiveFile:
    if row["first_id"] is None:
        bounds = Bounds((row["first_batch_no"], row["first_row"]), (row["last_batch_no"], row["last_row"]))
    else:
        bounds = Bounds((row["first_id"],), (row["last_id"],))
    return ArchiveFile(
        holds=row["holds"],
        number=row["number"],
        object_key=row["object_key"],
        sha256=row["sha256"],
        byte_count=row["bytes"],
        rows=row["rows"],
        bounds=bounds,
    )


def is_night(now: datetime) -> bool:
    """Whether archiving by itself begins at this time."""
    return now.astimezone(SINGAPORE).hour in _HOURS


async def empty_unfinished(pool: Pool) -> None:
    """Let go what restores have copied that were stopped half-way, unless somebody archives or restores at this moment."""
    async with pool.acquire() as connection:
        if not await list_unfinished(connection):
            return
    try:
        async with work_alone(pool), pool.acquire() as connection:
            # Asked again, as whoever was about it may have come to the end meanwhile.
            for name in await list_unfinished(connection):
                await begin_restore(connection, name)
                logger.info("unfinished_restore_emptied", archive=name)
    except ArchivingBusy:
        return
