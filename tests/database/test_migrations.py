"""The runner of migrations on a database in use: steps of each kind, interrupted, kept waiting, and gone on with."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.connections import Connection
from database.errors import SchemaError, ServiceUnreachable
from database.migration_steps import Pace
from database.migrations.files import Migration, parse_migration, read_migrations
from database.schema import check_schema, migrate

TABLE = """
-- oldest program: 1
-- step: transaction
create table parcels (id text primary key, code integer, weighed integer not null default 0);
insert into parcels (id, code) select 'parcel ' || lpad(n::text, 4, '0'), n from generate_series(1, 1000) as n
"""
BACKFILL = """
-- step: pieces
with piece as (select id from parcels where id > $1 order by id limit $2),
     weighed as (update parcels p set weighed = weighed + 1 from piece where p.id = piece.id)
select max(id) as position, count(*) as rows from piece
"""
INDEX = """
-- step: alone
create unique index concurrently parcels_by_code on parcels (code)
"""
FIRST = parse_migration(1, "parcels", TABLE)


def second(*steps: str, oldest: int = 1) -> Migration:
    return parse_migration(2, "weights", f"-- oldest program: {oldest}\n" + "\n".join(steps))


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Ask until the answer is true; TimeoutError after 30 s."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - it happens inside PostgreSQL, which tells nobody
            await asyncio.sleep(0.01)


class Database:
    """A test's own database, and what its migrations told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.told: list[str] = []

    async def migrate(self, *migrations: Migration, patience: float = 30, piece_rows: int = 100) -> list[str]:
        settings = DatabaseSettings(url=SecretStr(self.url))
        pace = Pace(patience=patience, piece_rows=piece_rows)
        return await migrate(settings, migrations=migrations, tell=self.told.append, pace=pace)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await asyncpg.connect(self.url, command_timeout=30)
        try:
            yield connection
        finally:
            await connection.close()

    async def until_told(self, part: str) -> None:
        async def is_told() -> bool:
            return any(part in line for line in self.told)

        await until(is_told)

    async def weights(self) -> set[int]:
        async with self.connection() as connection:
            return {row["weighed"] for row in await connection.fetch("select distinct weighed from parcels")}


@pytest.fixture
async def database(empty_database_url: str) -> Database:
    opened = Database(empty_database_url)
    await opened.migrate(FIRST)
    return opened


async def test_steps_of_each_kind_are_carried_out_once_and_written_down(database: Database) -> None:
    migration = second(
        "-- step: transaction\nalter table parcels add column note text", BACKFILL, INDEX, oldest=2
    )
    assert await database.migrate(FIRST, migration) == ["0002_weights"]
    assert await database.migrate(FIRST, migration) == []
    assert await database.weights() == {1}
    async with database.connection() as connection:
        row = await connection.fetchrow("select * from schema_migrations where number = 2")
        assert row is not None
        assert (row["name"], row["oldest_program"], row["steps_done"]) == ("weights", 2, 3)
        assert row["finished"]
        index = await connection.fetchval(
            "select indisvalid from pg_index where indexrelid = 'parcels_by_code'::regclass"
        )
        assert index is True


async def test_a_back_fill_that_had_to_stop_is_gone_on_with_where_it_stood(database: Database) -> None:
    async with database.connection() as holder, holder.transaction():
        await holder.execute("select from parcels where id = 'parcel 0550' for update")
        with pytest.raises(ServiceUnreachable, match="step 1 of 1: others have held locks"):
            await database.migrate(FIRST, second(BACKFILL), patience=0.1)
    assert await database.weights() == {0, 1}
    assert await database.migrate(FIRST, second(BACKFILL)) == ["0002_weights"]
    assert any("goes on with the back-fill behind parcel 0500" in line for line in database.told)
    assert await database.weights() == {1}


async def test_what_an_interrupted_index_build_left_is_dropped_before_the_index_is_built_again(
    database: Database,
) -> None:
    async with database.connection() as connection:
        await connection.execute("insert into parcels values ('twin', 7)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.migrate(FIRST, second(INDEX))
        find = "select indisvalid from pg_index where indexrelid = to_regclass('parcels_by_code')"
        assert await connection.fetchval(find) is False
        await connection.execute("delete from parcels where id = 'twin'")
        assert await database.migrate(FIRST, second(INDEX)) == ["0002_weights"]
        assert await connection.fetchval(find) is True
    assert any("drops parcels_by_code" in line for line in database.told)


async def test_an_index_that_was_whole_before_its_step_was_written_down_is_kept(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("create unique index parcels_by_code on parcels (code)")
        before = await connection.fetchval("select 'parcels_by_code'::regclass::oid")
        await database.migrate(FIRST, second(INDEX))
        assert await connection.fetchval("select 'parcels_by_code'::regclass::oid") == before


async def test_a_step_that_waits_for_a_lock_lets_others_pass_and_is_done_when_it_is_free(
    database: Database,
) -> None:
    migration = second("-- step: transaction\nalter table parcels add column note text")
    async with database.connection() as reader, database.connection() as passer:
        transaction = reader.transaction()
        await transaction.start()
        await reader.execute("select from parcels")
        migrating = asyncio.create_task(database.migrate(FIRST, migration))
        await database.until_told("others hold a lock (LockNotAvailableError)")
        # Were the migration to wait until it gets its lock, this one would queue behind it for ever.
        assert await passer.fetchval("select count(*) from parcels", timeout=10) == 1000
        await transaction.rollback()
        assert await migrating == ["0002_weights"]


async def test_a_deadlock_with_others_is_tried_again(database: Database) -> None:
    """The migration has the first row and wants the last, another transaction has the last and wants the first."""
    both = (
        "-- step: transaction\nupdate parcels set weighed = 1 where id = 'parcel 0001';\n"
        "select pg_sleep(0.5);\nupdate parcels set weighed = 1 where id = 'parcel 1000'"
    )
    async with database.connection() as other, database.connection() as asker:
        await other.execute("set deadlock_timeout = '1min'")
        name = await asker.fetchval("select current_database()")
        await asker.execute(f"alter database {name} set deadlock_timeout = '50ms'")
        transaction = other.transaction()
        await transaction.start()
        await other.execute("update parcels set weighed = 2 where id = 'parcel 1000'")
        migrating = asyncio.create_task(database.migrate(FIRST, second(both)))
        is_locked = "select count(*) = 0 from (select from parcels where id = 'parcel 0001' for update skip locked) free"
        await until(lambda: asker.fetchval(is_locked))
        await other.execute("update parcels set weighed = 2 where id = 'parcel 0001'")
        await database.until_told("others hold a lock (DeadlockDetectedError)")
        await transaction.commit()
        assert await migrating == ["0002_weights"]


async def test_limits_that_the_role_brings_along_end_no_long_step(database: Database) -> None:
    async with database.connection() as connection:
        name = await connection.fetchval("select current_database()")
        await connection.execute(f"alter database {name} set statement_timeout = '100ms'")
    assert await database.migrate(FIRST, second("-- step: alone\nselect pg_sleep(0.4)")) == ["0002_weights"]


async def test_a_role_whose_idle_sessions_are_ended_can_wait_for_a_lock(database: Database) -> None:
    migration = second("-- step: transaction\nalter table parcels add column note text")
    async with database.connection() as reader:
        name = await reader.fetchval("select current_database()")
        await reader.execute(f"alter database {name} set idle_session_timeout = '100ms'")
        transaction = reader.transaction()
        await transaction.start()
        await reader.execute("select from parcels")
        migrating = asyncio.create_task(database.migrate(FIRST, migration))
        await database.until_told("tries again in 0.4 s")
        await transaction.rollback()
        assert await migrating == ["0002_weights"]


async def test_a_step_that_is_cancelled_says_which_and_is_carried_out_at_the_next_call(
    database: Database,
) -> None:
    migrating = asyncio.create_task(
        database.migrate(FIRST, second("-- step: transaction\nselect pg_sleep(300)"))
    )
    cancel = (
        "select pg_cancel_backend(pid) from pg_stat_activity "
        "where query = 'select pg_sleep(300)' and datname = current_database()"
    )
    async with database.connection() as connection:
        await until(lambda: connection.fetchval(cancel))
    with pytest.raises(ServiceUnreachable, match="step 1 of 1: it was cancelled"):
        await migrating
    assert await database.migrate(FIRST, second("-- step: alone\nselect 1")) == ["0002_weights"]


async def test_a_migration_whose_connection_died_is_one_line_and_bars_nobody(database: Database) -> None:
    migrating = asyncio.create_task(database.migrate(FIRST, second("-- step: alone\nselect pg_sleep(300)")))
    terminate = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where query = 'select pg_sleep(300)' and datname = current_database()"
    )
    async with database.connection() as connection:
        await until(lambda: connection.fetchval(terminate))
    with pytest.raises(ServiceUnreachable):
        await migrating
    assert await database.migrate(FIRST, second("-- step: alone\nselect 1")) == ["0002_weights"]


async def test_who_comes_second_says_what_it_waits_for_and_keeps_no_index_build_waiting(
    database: Database,
) -> None:
    """Two at once, one of them building an index: a waiting statement's snapshot would stop it for ever."""
    steps = ("-- step: alone\nselect pg_sleep(1)", INDEX)
    applied = await asyncio.gather(*(database.migrate(FIRST, second(*steps)) for _ in range(2)))
    assert sorted(map(len, applied)) == [0, 1]
    assert any("another `sftp-gateway migrate` is at work" in line for line in database.told)


async def test_only_programs_older_than_the_oldest_allowed_refuse_to_start(database: Database) -> None:
    third = parse_migration(3, "later", "-- oldest program: 2\n-- step: alone\nselect 1")
    await database.migrate(FIRST, second(INDEX), third)
    async with database.connection() as connection:
        await check_schema(connection, known=3)
        await check_schema(connection, known=2)
        with pytest.raises(SchemaError, match="too new for this release, which knows its steps up to 1"):
            await check_schema(connection, known=1)
        with pytest.raises(SchemaError, match="at step 3 of 4: run `sftp-gateway migrate`"):
            await check_schema(connection, known=4)


async def test_a_program_that_is_too_old_refuses_as_soon_as_the_first_step_has_begun(
    database: Database,
) -> None:
    migration = second(INDEX, oldest=2)
    async with database.connection() as connection:
        await connection.execute("insert into parcels values ('twin', 7)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await database.migrate(FIRST, migration)
        with pytest.raises(SchemaError, match="too new"):
            await check_schema(connection, known=1)
        with pytest.raises(SchemaError, match="at step 1 of 2"):
            await check_schema(connection, known=2)


async def test_the_history_of_the_first_release_is_taken_over_and_it_still_reads_and_writes_it(
    empty_database_url: str,
) -> None:
    database = Database(empty_database_url)
    async with database.connection() as connection:
        # The statements of the first release, to the letter.
        await connection.execute(
            "create table if not exists schema_migrations "
            "(number integer primary key, name text not null, applied_at timestamptz not null default now())"
        )
        await connection.execute(
            "create table parcels (id text primary key, code integer, weighed integer default 0)"
        )
        write = "insert into schema_migrations (number, name) values ($1, $2)"
        await connection.execute(write, 1, "parcels")
        await check_schema(connection, known=1)
        with pytest.raises(SchemaError, match="at step 1 of 2"):
            await check_schema(connection, known=2)
        assert "0001_parcels" not in await database.migrate(FIRST, second(INDEX))
        assert await connection.fetchval("select max(number) from schema_migrations") == 2
        await connection.execute("delete from schema_migrations where number = 1")
        await connection.execute(write, 1, "parcels")
        assert await database.migrate(FIRST, second(INDEX)) == []
        await check_schema(connection, known=1)


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [migration.number for migration in read_migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("-- step: transaction\nselect 1", id="no-oldest-program"),
        pytest.param("-- oldest program: 1\nselect 1", id="no-steps"),
        pytest.param("-- oldest program: 3\n-- step: alone\nselect 1", id="older-than-itself"),
        pytest.param("-- oldest program: 1\n-- step: later\nselect 1", id="unknown-kind"),
    ],
)
def test_a_file_without_the_form_of_migrations_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_migration(2, "weights", text)
