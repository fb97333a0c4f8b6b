"""An archive's rows come back into the database: all of them at one moment, when all are there.

Its tables are filled where nobody sees them. Killed in the middle, the next call begins with empty ones. The files stay in the
bucket until the range is archived once more.
"""

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from config.fault_points import reach
from database.connections import Connection, Pool
from processing.archives import archives
from processing.archives.archives import Archive, State
from processing.archives.archiving import fetch_file
from processing.archives.files import ATTEMPTS, MESSAGES, read_parquet
from processing.errors import ArchiveUnknown
from processing.object_store import ObjectStore

_FORMS: Final = {form.table: form for form in (MESSAGES, ATTEMPTS)}
# A file's rows at a time.
_COPY_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Restored:
    """A range that is in the database again."""

    name: str
    rows: int
    attempts: int


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
    rows = dict.fromkeys(_FORMS, 0)
    for file in files:
        form = _FORMS[file.holds]
        content = await fetch_file(store, file)
        frame = await asyncio.to_thread(read_parquet, content)
        lines = await asyncio.to_thread(form.lines, frame)
        async with pool.acquire() as connection:
            await connection.copy_to_table(
                f"{form.table}_to_{archive.ends}",
                source=io.BytesIO(lines),
                columns=frame.columns,
                format="csv",
                timeout=_COPY_SECONDS,
            )
        rows[file.holds] += frame.height
        reach("restore.file_copied")
        if form is MESSAGES:
            tell(f"{name}: {rows[file.holds]:,} messages copied")
    async with pool.acquire() as connection, connection.transaction():
        await archives.finish_restore(connection, name)
        await record_event(
            connection,
            AuditEvent.RANGE_RESTORED,
            actor=actor,
            details={"archive": name, "messages": rows[MESSAGES.table]},
        )
    reach("restore.restored")
    return Restored(name, rows[MESSAGES.table], rows[ATTEMPTS.table])


async def _fetch_archived(connection: Connection, name: str) -> Archive:
    archive = await archives.fetch_archive(connection, name)
    if archive is None:
        raise ArchiveUnknown(f"there is no archive {name!r:.80}: see `sftp-gateway archive list`")
    if archive.state is not State.ARCHIVED:
        raise ArchiveUnknown(f"{name} is in the database: there is nothing to restore")
    return archive
