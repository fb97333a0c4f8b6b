"""The fourteenth migration: the table of audit events becomes the first range of a partitioned one, beneath those who use it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.connections import Connection
from database.migrations.files import read_migrations
from database.schema import migrate

# As every release writes and reads events.
WRITE = "insert into audit_events (event, campaign_id, upload_id, details) values ($1, $2, $3, '{}')"
READ = "select at, event, details from audit_events where upload_id = $1 order by id"
LAST_MONTH = "insert into audit_events (at, event) values (now() - interval '40 days', 'campaign_created')"
BEFORE, MIGRATION = read_migrations()[:13], read_migrations()[13]


@pytest.fixture
async def before(empty_database_url: str) -> AsyncIterator[Connection]:
    """A database of the release before."""
    connection = await asyncpg.connect(empty_database_url, command_timeout=60)
    await bring(empty_database_url, 0)
    yield connection
    await connection.close()


async def bring(database_url: str, steps: int) -> None:
    """Carry out the first steps of the migration, as if it had been stopped behind them."""
    settings = DatabaseSettings(url=SecretStr(database_url))
    if steps == 0:
        await migrate(settings, migrations=BEFORE)
        return
    await migrate(
        settings, migrations=[*BEFORE, dataclasses.replace(MIGRATION, steps=MIGRATION.steps[:steps])]
    )
    connection = await asyncpg.connect(database_url)
    finished = steps == len(MIGRATION.steps)
    await connection.execute("update schema_migrations set finished = $1 where number = 14", finished)
    await connection.close()


async def test_old_programs_write_and_read_all_the_while_and_no_event_is_lost(
    before: Connection, empty_database_url: str
) -> None:
    await before.execute(LAST_MONTH)
    written, stop = 0, asyncio.Event()

    async def write() -> None:
        nonlocal written
        connection = await asyncpg.connect(empty_database_url, command_timeout=60)
        while not stop.is_set():
            # Each statement is planned once for the connection.
            await connection.execute(WRITE, "upload_received", "clinic", "upload_1")
            written += 1
            assert len(await connection.fetch(READ, "upload_1")) >= written
        await connection.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        for steps in range(1, len(MIGRATION.steps) + 1):
            seen = written
            await bring(empty_database_url, steps)
            async with asyncio.timeout(30):
                while written < seen + 20:  # noqa: ASYNC110 - the writer has nothing to tell but its count
                    await asyncio.sleep(0.01)
        stop.set()
    assert await before.fetchval("select count(*) from audit_events") == written + 1
    first, second = await before.fetch(
        "select count(*) as rows, min(id) as first from audit_events group by tableoid order by 2"
    )
    assert (first["first"], second["first"]) == (1, 1_000_000_000_000)
    assert first["rows"] + second["rows"] == written + 1
    ids = await before.fetchval("select count(distinct id) from audit_events")
    assert ids == written + 1


async def test_the_table_is_not_read_while_writers_wait(before: Connection, empty_database_url: str) -> None:
    await before.execute(LAST_MONTH)
    await bring(empty_database_url, 2)
    file = "select pg_relation_filenode($1::text::regclass)"
    old = await before.fetchval(file, "audit_events")
    indexes = "select array_agg(pg_relation_filenode(indexrelid) order by 1) from pg_index where indrelid = $1::text::regclass"
    old_indexes = await before.fetchval(indexes, "audit_events")
    notices: list[str] = []
    before.add_log_listener(lambda _connection, message: notices.append(str(message)))
    await before.execute("set client_min_messages = debug1")
    await before.execute(MIGRATION.steps[2].sql)
    assert any("is implied by existing constraints" in notice for notice in notices)
    table = "audit_events_to_1000000000000"
    assert await before.fetchval(file, table) == old
    # No index was built: each was there, and is a part of one of the partitioned table.
    assert await before.fetchval(indexes, table) == old_indexes
    assert len(old_indexes) == await before.fetchval(
        "select count(*) from pg_index i join pg_inherits h on h.inhrelid = i.indexrelid where i.indrelid = $1::text::regclass",
        table,
    )
    assert (
        await before.fetchval("select count(*) from pg_constraint where conname = 'audit_events_first_range'")
        == 0
    )


async def test_owner_and_rights_go_over(before: Connection, empty_database_url: str) -> None:
    roles = ("reader_of_before", "writer_of_before", "owner_of_before")
    for role in roles:
        await before.execute(f"create role {role}")
    try:
        await before.execute(
            "grant create, usage on schema public to owner_of_before; alter table audit_events owner to owner_of_before;"
            "grant select (id, upload_id, event, actor) on audit_events to reader_of_before;"
            "grant insert on audit_events to writer_of_before with grant option"
        )
        await bring(empty_database_url, len(MIGRATION.steps))
        has = "select has_table_privilege($1, $2, $3)"
        column = "select has_column_privilege('reader_of_before', 'audit_events', $1, 'select')"
        assert await before.fetchval(has, "writer_of_before", "audit_events", "insert with grant option")
        assert not await before.fetchval(has, "writer_of_before", "audit_events", "select")
        assert [await before.fetchval(column, name) for name in ("actor", "details")] == [True, False]
        first = "audit_events_to_1000000000000"
        assert not await before.fetchval(has, "writer_of_before", first, "insert")
        assert not await before.fetchval(
            "select has_any_column_privilege('reader_of_before', $1, 'select')", first
        )
        owners = await before.fetch(
            "select pg_get_userbyid(relowner) as owner from pg_class where relname in ('audit_events', 'audit_events_id_seq')"
        )
        assert [row["owner"] for row in owners] == ["owner_of_before"] * 2
        await before.execute("set role writer_of_before")
        await before.execute(WRITE, "key_added", "clinic", None)
        await before.execute("reset role")
    finally:
        await before.execute("reset role")
        await before.execute(f"reassign owned by {roles[2]} to current_user")
        for role in roles:
            await before.execute(f"drop owned by {role}; drop role {role}")
