"""Somebody else is about the same range: what comes back comes back once and whole, and nobody waits without end."""

import asyncio
import dataclasses
import gc
import tracemalloc
from collections.abc import Iterator
from typing import cast

import asyncpg
import polars as pl
import pytest

from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from processing.archives import archives
from processing.archives.archives import State, empty_unfinished, fetch_archive, work_alone
from processing.archives.files import ATTEMPTS, FORMS, MESSAGES, read_pieces, write_parquet
from processing.archives.kinds import Kind
from processing.archives.restoring import restore
from processing.errors import ArchivingBusy, ObjectMissing, RangeInUse, RangeStays, StoreUnavailable
from processing.object_store import S3ObjectStore, open_store
from tests.conftest import ADMIN
from tests.processing.archives.conftest import NAME, NOW, MakeArchiver, Old, first_range, rows_of
from tests.processing.conftest import read_object


async def test_who_begins_while_another_one_ends_drops_nothing(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    before = await rows_of(connection)
    await make_archiver().archive(await first_range(connection), now=NOW)

    async def begin_too() -> None:
        async with pool.acquire() as other:
            await archives.begin_restore(other, NAME)

    async with connection.transaction():
        # As the first one is, once all rows are there: its end waits to be committed.
        await connection.execute("select from archives where name = $1 for update", NAME)
        second = asyncio.create_task(begin_too())
        await _wait_for_lock(pool, second)
        await connection.execute("update archives set state = 'restored' where name = $1", NAME)
    with pytest.raises(ArchivingBusy):
        await second
    await connection.execute("update archives set state = 'archived' where name = $1", NAME)
    await restore(pool, store, NAME, actor=ADMIN)
    assert await rows_of(connection) == before


async def test_a_table_that_has_got_a_column_since_takes_its_old_rows_back(
    connection: Connection,
    pool: Pool,
    store: S3ObjectStore,
    old: Old,
    make_archiver: MakeArchiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = await rows_of(connection)
    await make_archiver().archive(await first_range(connection), now=NOW)
    await connection.execute("alter table attempts add column channel text")
    newer = dataclasses.replace(ATTEMPTS, schema={**ATTEMPTS.schema, "channel": pl.String()})
    monkeypatch.setitem(cast("dict[Kind, object]", FORMS), Kind.MESSAGES, (MESSAGES, newer))
    await restore(pool, store, NAME, actor=ADMIN)
    assert await connection.fetchval("select count(*) from attempts where channel is null") > 0
    await connection.execute("alter table attempts drop column channel")
    assert await rows_of(connection) == before


async def test_a_range_that_lacks_a_row_of_its_files_does_not_come_back(
    connection: Connection, old: Old, make_archiver: MakeArchiver
) -> None:
    await make_archiver().archive(await first_range(connection), now=NOW)
    await archives.begin_restore(connection, NAME)
    with pytest.raises(ArchivingBusy):
        await archives.finish_restore(connection, NAME)
    archive = await fetch_archive(connection, NAME)
    assert archive is not None
    assert archive.state is State.ARCHIVED


async def test_whoever_works_alone_does_so_where_the_server_ends_idle_transactions(
    connection: Connection, settings: Settings
) -> None:
    name = await connection.fetchval("select quote_ident(current_database())")
    await connection.execute(f"alter database {name} set idle_in_transaction_session_timeout = '100ms'")
    async with open_pool(settings.database, name="test") as pool, work_alone(pool):
        # Another one is idle for less long, and is ended.
        idle = await asyncpg.connect(settings.database.url.get_secret_value())
        ended = asyncio.Event()
        idle.add_termination_listener(lambda _connection: ended.set())
        await idle.execute("begin")
        async with asyncio.timeout(10):
            await ended.wait()
        with pytest.raises(ArchivingBusy):
            async with work_alone(pool):
                raise AssertionError


async def test_an_open_transaction_that_changed_the_range_is_not_waited_for_without_end(
    connection: Connection, pool: Pool, old: Old, make_archiver: MakeArchiver
) -> None:
    range_ = await first_range(connection)
    async with pool.acquire() as writer, writer.transaction():
        await writer.execute("update attempts set expired = expired where batch_no = $1", old.first.batch_no)
        with pytest.raises(RangeInUse, match="others use its tables: look for old transactions"):
            await make_archiver().archive(range_, now=NOW)
    await make_archiver().archive(range_, now=NOW)


async def test_files_of_a_range_that_stays_are_known_until_they_are_gone(
    connection: Connection, settings: Settings, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    range_ = await first_range(connection)
    archiver = make_archiver()
    archive = await archiver._seal(range_, NOW)
    [first, *_] = await archiver._write_files(archive)
    await connection.execute("update batches set finished_at = $1", NOW)
    nowhere = settings.s3.model_copy(update={"endpoint_url": "http://127.0.0.1:1"})
    async with open_store(nowhere) as away:
        with pytest.raises(StoreUnavailable):
            await make_archiver(store=away).archive(range_, now=NOW)
    assert first in await archives.list_files(connection, archive)
    with pytest.raises(RangeStays):
        await archiver.archive(range_, now=NOW)
    assert await connection.fetchval("select count(*) from archives") == 0
    with pytest.raises(ObjectMissing):
        await read_object(store, first.object_key)


@pytest.fixture
def traced() -> Iterator[None]:
    """Python's memory is counted, and only what nothing refers to any more is given back."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("traced")
async def test_what_one_file_took_is_given_back_before_the_next(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    of_a_file = 1_000_000
    await connection.execute(
        "update messages set values = jsonb_build_object('text', repeat(row_number::text, $1))",
        of_a_file // 2,
    )
    await make_archiver().archive(await first_range(connection), now=NOW)
    held: list[int] = []
    await restore(
        pool, store, NAME, actor=ADMIN, tell=lambda _line: held.append(tracemalloc.get_traced_memory()[0])
    )
    assert len(held) == 4
    # The first file has what is imported and opened once.
    assert held[-1] - held[1] < of_a_file / 2


def test_a_file_is_read_in_pieces_that_its_size_does_not_change() -> None:
    frame = pl.DataFrame({"row_number": range(25_000)})
    pieces = list(read_pieces(write_parquet(frame), frame.height))
    assert [piece.height for piece in pieces] == [10_000, 10_000, 5_000]
    assert pl.concat(pieces).equals(frame)


async def test_what_a_killed_restore_has_left_goes_unless_somebody_is_about_it(
    connection: Connection,
    pool: Pool,
    worker_pool: Pool,
    store: S3ObjectStore,
    old: Old,
    make_archiver: MakeArchiver,
) -> None:
    before = await rows_of(connection)
    await make_archiver().archive(await first_range(connection), now=NOW)
    await archives.begin_restore(connection, NAME)
    assert await archives.list_unfinished(connection) == []
    await connection.execute(
        "insert into attempts_to_4000000 (batch_no, row_number, attempt, status, created_at, updated_at)"
        " values (1, 2, 1, 6, now(), now())"
    )
    async with work_alone(pool):
        await empty_unfinished(pool)
        assert await archives.list_unfinished(connection) == [NAME]
    await empty_unfinished(worker_pool)
    assert await archives.list_unfinished(connection) == []
    assert await connection.fetchval("select count(*) from attempts_to_4000000") == 0
    await restore(pool, store, NAME, actor=ADMIN)
    assert await archives.list_unfinished(connection) == []
    assert await rows_of(connection) == before


async def _wait_for_lock(pool: Pool, call: "asyncio.Task[None]") -> None:
    """Until a call that begins to restore waits for a lock, or is done."""
    waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like '%begin_restore%')"
    async with pool.acquire() as watcher, asyncio.timeout(10):
        while not await watcher.fetchval(waits):
            if (await asyncio.wait([call], timeout=0.01))[0]:
                return
