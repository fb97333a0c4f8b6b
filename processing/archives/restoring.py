"""An archive's rows come back into the database: all of them at one moment, when all are there.

Its tables are filled where nobody sees them. Killed in the middle, the next call begins with empty ones, and where there is none
a worker empties them (`archives.empty_unfinished`). The files stay in the bucket until the range is archived once more.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from config.fault_points import reach
from database.connections import Connection, Pool
from processing.archives import archives
from processing.archives.archives import Archive, State
from processing.archives.archiving import details_of, fetch_file
from processing.archives.files import FORMS, RowForm, read_columns, read_pieces
from processing.errors import ArchiveUnknown
from processing.object_store import ObjectStore

# A file's rows at a time.
_COPY_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Restored:
    """A range that is in the database again. `rows`: how many each of its tables has."""

    name: str
    rows: Mapping[str, int]


async def restore(
    pool: Pool,
    store: ObjectStore,
    name: str,
    *,
    actor: Actor,
    tell: Callable[[str], None] = lambda _line: None,
) -> Restored:
    """Bring an archive back; the caller works alone. Raises ArchiveUnknown, ArchiveDamaged, StoreUnavailable."""
    async with pool.acquire() as connection:
        archive = await _fetch_archived(connection, name)
        files = await archives.list_files(connection, archive)
        await archives.begin_restore(connection, name)
    forms = {form.table: form for form in FORMS[archive.kind]}
    rows = dict.fromkeys(forms, 0)
    for file in files:
        form = forms[file.holds]
        content = await fetch_file(store, file)
        async with pool.acquire() as connection, aclosing(_lines_of(form, content, file.rows)) as lines:
            await connection.copy_to_table(
                f"{form.table}_to_{archive.ends}",
                source=lines,
                columns=read_columns(content),
                format="csv",
                timeout=_COPY_SECONDS,
            )
        rows[file.holds] += file.rows
        reach("restore.file_copied")
        if form is FORMS[archive.kind][0]:
            tell(f"{name}: {rows[file.holds]:,} {form.noun}s copied")
    async with pool.acquire() as connection, connection.transaction():
        await archives.finish_restore(connection, name)
        await record_event(
            connection,
            AuditEvent.RANGE_RESTORED,
            actor=actor,
            details=details_of(archive, rows),
        )
    reach("restore.restored")
    return Restored(name, rows)


async def _lines_of(form: RowForm, content: bytes, rows: int) -> AsyncGenerator[bytes, None]:
    """A file's rows as lines of CSV, piece by piece.

    They aren't handed over as a file, as asyncpg makes a class around each file that it reads: a cycle, which holds the file's
    bytes until Python looks for cycles, and that depends on how many objects there are, not on how large they are.
    """
    pieces = read_pieces(content, rows)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield await asyncio.to_thread(form.lines, piece)


async def _fetch_archived(connection: Connection, name: str) -> Archive:
    archive = await archives.fetch_archive(connection, name)
    if archive is None:
        raise ArchiveUnknown(f"there is no archive {name!r:.80}: see `sftp-gateway archive list`")
    if archive.state is not State.ARCHIVED:
        raise ArchiveUnknown(f"{name} is in the database: there is nothing to restore")
    return archive
