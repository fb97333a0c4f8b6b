"""A range of messages, or of audit events, leaves the database for the bucket.

The steps, each of which may be the last that a process lives to do: the range is sealed, so that a change of it is noticed; its
files are written, each read back and compared before it is written down; what is still asked of it is written down, as what its
attempts come to; and in one transaction its tables go, unless something has changed. Until that commits all of it is in the
database, where everybody reads and changes it as before.
"""

import asyncio
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg
import polars as pl

from audit.details import EventDetails
from audit.events import NOBODY, Actor, AuditEvent, record_event
from config.fault_points import reach
from database.connections import Connection, Pool
from processing.archives import archives
from processing.archives.archives import Archive, ArchiveFile, Bounds, Key, State
from processing.archives.files import AUDIT_EVENTS, FORMS, MESSAGES, RowForm, read_parquet, write_parquet
from processing.archives.kinds import Kind
from processing.archives.ranges import RecordRange, Terms, check_range, count_rows, find_unposted
from processing.errors import ArchiveDamaged, ObjectMissing, RangeInUse, RangeStays
from processing.object_store import ObjectStore, archive_key

# So many messages, or events, are in a file: what `message show` fetches whole, and what is held at once.
ROWS_AT_ONCE: Final = 100_000
# The tables go when nobody uses them. At each try whoever writes, or reads other ranges alone, waits for a third of a second at
# most; whoever reads this one, as who asks for all events of an upload or of a campaign, for three more, while old readers end.
_TRIES: Final = 12
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
_IN_USE: Final = "others use its tables: look for old transactions in pg_stat_activity, then run it again"
# A command asks for one file's rows at a time.
_COPY_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Archived:
    """A range that is archived now. `rows`: how many each of its tables had; `byte_count` is that of its files."""

    name: str
    rows: Mapping[str, int]
    files: int
    byte_count: int


@dataclass(frozen=True)
class Archiver:
    """Archives ranges, one at a time: the caller works alone (`archives.work_alone`)."""

    pool: Pool
    store: ObjectStore
    terms: Terms
    actor: Actor = NOBODY
    rows_at_once: int = ROWS_AT_ONCE
    tell: Callable[[str], None] = lambda _line: None
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def archive(self, range_: RecordRange, *, now: datetime) -> Archived:
        """Archive a range, or go on where somebody stopped.

        Raises RangeStays, where something speaks against it; RangeInUse, where others use it at this moment; StoreUnavailable.
        """
        archive = await self._seal(range_, now)
        reach("archive.sealed")
        files = await self._write_files(archive)
        done = Archived(
            archive.name,
            _count_by_table(archive.kind, files),
            len(files),
            sum(file.byte_count for file in files),
        )
        await self._settle(archive, done)
        reach("archive.counted")
        await self._let_go(archive, done)
        reach("archive.archived")
        return done

    async def check(self, range_: RecordRange, *, now: datetime) -> None:
        """Change nothing. Raises RangeStays, where something speaks against archiving the range."""
        async with self.pool.acquire() as connection:
            finding = await check_range(connection, range_, self.terms, now=now)
        if finding.obstacle is not None:
            raise RangeStays(range_.name, finding.obstacle)

    async def _seal(self, range_: RecordRange, now: datetime) -> Archive:
        """The sealed range: one that an earlier call has sealed, if nothing of it has changed since.

        Raises RangeInUse, RangeStays.
        """
        async with self.pool.acquire() as connection:
            finding = await check_range(connection, range_, self.terms, now=now)
            if finding.obstacle is None and finding.first_at is not None and finding.last_at is not None:
                known = await archives.fetch_archive(connection, range_.name)
                if known is None or not await self._is_good(connection, known):
                    try:
                        await archives.seal(
                            connection,
                            range_.kind,
                            range_.begins,
                            range_.ends,
                            finding.first_at,
                            finding.last_at,
                        )
                    except asyncpg.LockNotAvailableError:
                        raise RangeInUse(range_.name, _IN_USE) from None
                # Whatever has changed before it was sealed is seen now, and what changes later is noticed.
                finding = await check_range(connection, range_, self.terms, now=now)
            archive = await archives.fetch_archive(connection, range_.name)
        if finding.obstacle is not None or archive is None:
            if archive is not None and archive.state is State.SEALED:
                await self._unseal(archive)
            raise RangeStays(range_.name, finding.obstacle or "nothing is in it")
        await self._delete_older(archive)
        return archive

    async def _is_good(self, connection: Connection, archive: Archive) -> bool:
        """Whether it is sealed, unchanged since, and all files are in the bucket that an earlier call has written."""
        if archive.state is not State.SEALED or archive.touched_at is not None:
            return False
        try:
            for file in await archives.list_files(connection, archive):
                await fetch_file(self.store, file)
        except ArchiveDamaged:
            return False
        return True

    async def _unseal(self, archive: Archive) -> None:
        async with self.pool.acquire() as connection:
            files = await archives.list_files(connection, archive)
        # They are personal data: as long as one may be there, the database knows of it.
        for file in files:
            await self.store.delete(file.object_key)
        async with self.pool.acquire() as connection:
            await archives.unseal(connection, archive.name)

    async def _delete_older(self, archive: Archive) -> None:
        """What an archive had in its files before it was restored, or touched, goes: all of it is in the database."""
        async with self.pool.acquire() as connection:
            keys = await archives.list_older_keys(connection, archive)
        for key in keys:
            await self.store.delete(key)
        if keys:
            async with self.pool.acquire() as connection:
                await archives.forget_older_files(connection, archive)

    async def _write_files(self, archive: Archive) -> list[ArchiveFile]:
        """Write the files that an earlier call hasn't written."""
        async with self.pool.acquire() as connection:
            files = await archives.list_files(connection, archive)
        forms = FORMS[archive.kind]
        main = forms[0]
        behind = files[-1].bounds.last if files else (archive.begins - 1, *(0 for _ in main.key[1:]))
        number = files[-1].number + 1 if files else 1
        while True:
            if self.stop.is_set():
                raise RangeInUse(archive.name, "this process stops")
            async with self.pool.acquire() as connection:
                frames = await self._read_rows(connection, archive, behind)
            if frames[0].is_empty():
                break
            bounds = Bounds(main.key_of(frames[0], 0), main.key_of(frames[0], -1))
            written = [
                await self._write_file(archive, form, number, frame, bounds)
                for form, frame in zip(forms, frames, strict=True)
            ]
            async with self.pool.acquire() as connection:
                await archives.record_files(connection, archive, written)
            reach("archive.file_written")
            files += written
            behind, number = bounds.last, number + 1
            self.tell(
                f"{archive.name}: {_count_by_table(archive.kind, files)[main.table]:,} {main.noun}s written"
            )
        return files

    async def _read_rows(self, connection: Connection, archive: Archive, behind: Key) -> list[pl.DataFrame]:
        """The next rows behind a place, and all that belong to them, all of one moment; nothing else where there are no more."""
        main, *others = FORMS[archive.kind]
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = await _copy(connection, main, archive.begins, archive.ends, *behind, self.rows_at_once)
            if rows.is_empty():
                return [rows]
            first, last = main.key_of(rows, 0), main.key_of(rows, -1)
            return [rows, *[await _copy(connection, form, *first, *last) for form in others]]

    async def _write_file(
        self, archive: Archive, form: RowForm, number: int, frame: pl.DataFrame, bounds: Bounds
    ) -> ArchiveFile:
        """Put one file into the bucket, fetch it again and compare it with the rows that it was made of."""
        content = await asyncio.to_thread(write_parquet, frame)
        key = archive_key(archive.name, archive.generation, form.table, number)
        sha256 = await self.store.put(key, io.BytesIO(content), download_name=key)
        file = ArchiveFile(form.table, number, key, sha256, len(content), frame.height, bounds)
        stored = await fetch_file(self.store, file)
        if not (await asyncio.to_thread(read_parquet, stored)).equals(frame):
            raise ArchiveDamaged(key)
        return file

    async def _settle(self, archive: Archive, done: Archived) -> None:
        """Write down what is asked of it later. Raises RangeStays where a month isn't posted, or the files lack a row."""
        async with self.pool.acquire() as connection:
            rows = await count_rows(connection, archive)
            obstacle: str | None = None
            match archive.kind:
                case Kind.MESSAGES:
                    obstacle = await self._count_usage(connection, archive)
                case Kind.AUDIT_EVENTS:
                    await archives.keep_events(connection, archive.name)
        if rows != done.rows:
            obstacle = (
                f"its tables have {_told(archive.kind, rows)}, its files {_told(archive.kind, done.rows)}"
            )
        if obstacle is not None:
            await self._unseal(archive)
            raise RangeStays(archive.name, obstacle)

    async def _count_usage(self, connection: Connection, archive: Archive) -> str | None:
        """Write down what the attempts come to; why they can't leave, where their month isn't posted."""
        last_day = await archives.count_usage(connection, archive.name)
        return None if last_day is None else await find_unposted(connection, last_day, self.terms)

    async def _let_go(self, archive: Archive, done: Archived) -> None:
        """Let the tables go, when nobody uses them. Raises RangeInUse, RangeStays."""
        pause = _FIRST_PAUSE
        for tried in range(1, _TRIES + 1):
            try:
                async with self.pool.acquire() as connection, connection.transaction():
                    state = await archives.finish(connection, archive.name)
                    if state is State.ARCHIVED:
                        await record_event(
                            connection,
                            AuditEvent.RANGE_ARCHIVED,
                            actor=self.actor,
                            details=details_of(archive, done.rows),
                        )
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                if tried == _TRIES or self.stop.is_set():
                    raise RangeInUse(archive.name, _IN_USE) from None
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.stop.wait(), pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if state is State.SEALED:
                raise RangeInUse(archive.name, "something of it has changed meanwhile: run it again")
            return


def details_of(archive: Archive, rows: Mapping[str, int]) -> EventDetails:
    """What the audit trail tells of an archive."""
    match archive.kind:
        case Kind.MESSAGES:
            return {"archive": archive.name, "messages": rows[MESSAGES.table]}
        case Kind.AUDIT_EVENTS:
            return {"archive": archive.name, "events": rows[AUDIT_EVENTS.table]}


async def fetch_file(store: ObjectStore, file: ArchiveFile) -> bytes:
    """A file's bytes, which are those that were written. Raises ArchiveDamaged where they aren't, or it is gone."""
    target = io.BytesIO()
    try:
        await store.fetch(file.object_key, target)
    except ObjectMissing:
        raise ArchiveDamaged(file.object_key) from None
    content = target.getvalue()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ArchiveDamaged(file.object_key)
    return content


async def _copy(connection: Connection, form: RowForm, *arguments: int) -> pl.DataFrame:
    target = io.BytesIO()
    await connection.copy_from_query(
        form.statement, *arguments, output=target, format="csv", timeout=_COPY_SECONDS
    )
    return await asyncio.to_thread(form.parse, target.getvalue())


def _count_by_table(kind: Kind, files: Iterable[ArchiveFile]) -> dict[str, int]:
    rows = {form.table: 0 for form in FORMS[kind]}
    for file in files:
        rows[file.holds] += file.rows
    return rows


def _told(kind: Kind, rows: Mapping[str, int]) -> str:
    return " and ".join(f"{rows[form.table]:,} {form.noun}s" for form in FORMS[kind])
