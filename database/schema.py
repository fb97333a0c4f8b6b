"""The schema's state: brought up to date by `migrate`, and looked at by every program before it starts.

Its history stands in the table `schema_migrations`, where a program is named by the last migration that it knows. Old and new
programs run side by side during an upgrade, and an old one can come back after it: a program starts on a newer schema as well,
unless a migration says that it needs a newer program.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

import asyncpg

from config.sections import DatabaseSettings
from database.connections import Connection, connect, database_troubles
from database.errors import SchemaError
from database.migration_steps import LOCK_TIMEOUT, SQL, Pace, StepRunner, Tell
from database.migrations.files import Migration, known_number, read_migrations

# Any fixed number: whoever migrates this schema takes this lock. Not the first release's, ..._001: it waits for that one inside a
# statement, and we, holding it, would wait for that statement's end wherever we build an index concurrently.
_LOCK: Final = 7_367_470_004
_LOCK_POLL_SECONDS: Final = 0.5
_LOCK_TELL_SECONDS: Final = 10.0
MINIMUM_SERVER: Final = 140_000


async def migrate(
    settings: DatabaseSettings,
    *,
    migrations: Sequence[Migration] | None = None,
    tell: Tell = lambda _line: None,
    pace: Pace | None = None,
) -> list[str]:
    """Apply what is missing, once, however many nodes call this at once. Returns the labels of the migrations applied.

    `migrations` are those of this program unless told. `tell` is given a line for a person whenever something takes long. Stopped
    at any moment, by whatever, the work goes on at the next call. Raises ServiceUnreachable, ConfigurationError (login, database)
    or SchemaError (the server is too old).
    """
    connection = await connect(settings)
    try:
        with database_troubles():
            await _prepare(connection)
            await _take_lock(connection, tell)
            runner = StepRunner(connection, pace or Pace(), tell)
            return await _apply_missing(runner, migrations or read_migrations())
    finally:
        # The lock ends with its session, also where the connection is broken and could not be asked to let go of it.
        with contextlib.suppress(OSError, TimeoutError, asyncpg.InterfaceError):
            await connection.close(timeout=5)


async def _prepare(connection: Connection) -> None:
    version = int(await connection.fetchval("show server_version_num"))
    if version < MINIMUM_SERVER:
        raise SchemaError(f"PostgreSQL 14 or newer is needed; this server is version {version // 10000}")
    await connection.execute(SQL["prepare_session"])
    with contextlib.suppress(asyncpg.InvalidParameterValueError):
        # Not every operating system can tell the server whether its client is still there.
        await connection.execute(SQL["watch_client"])


async def _take_lock(connection: Connection, tell: Tell) -> None:
    """Wait until nobody else migrates. The lock is the session's: it ends with it, whatever ends it."""
    told = 0.0
    while not await connection.fetchval(SQL["take_lock"], _LOCK):
        if time.monotonic() - told > _LOCK_TELL_SECONDS:
            told = time.monotonic()
            tell("another `sftp-gateway migrate` is at work; waits for its end")
        await asyncio.sleep(_LOCK_POLL_SECONDS)


async def _apply_missing(runner: StepRunner, migrations: Sequence[Migration]) -> list[str]:
    connection = runner.connection
    await connection.execute(SQL["create_history"])
    if not await connection.fetchval(SQL["has_all_columns"]):
        await runner.patiently("schema_migrations", lambda: _add_columns(connection))
    begun = {row["number"]: row for row in await connection.fetch(SQL["list_begun"])}
    applied = []
    for migration in migrations:
        row = begun.get(migration.number)
        if row is None:
            await runner.run(migration, 0, "")
        elif not row["finished"]:
            await runner.run(migration, row["steps_done"], row["position"])
        else:
            continue
        applied.append(migration.label)
    await connection.execute(SQL["limit_build"], LOCK_TIMEOUT)
    return applied + await runner.patiently("pgqueuer", lambda: _migrate_queue(connection))


async def _add_columns(connection: Connection) -> None:
    async with connection.transaction():
        await connection.execute(SQL["limit_statements"], LOCK_TIMEOUT, "0")
        await connection.execute(SQL["add_columns"])


async def _migrate_queue(connection: Connection) -> list[str]:
    """PgQueuer's tables. Its upgrade can't run in one transaction (it says so), but our lock holds all the while."""
    # It takes an eighth of the start of each command that only asks which schema there is.
    from pgqueuer import Queries

    assert isinstance(connection, asyncpg.Connection)  # noqa: S101 - opened by `migrate`
    queries = Queries.from_asyncpg_connection(connection)
    if not await queries.schema_is_installed():
        async with connection.transaction():
            await queries.install()
        return ["pgqueuer"]
    plan = await queries.apply_upgrade()
    return ["pgqueuer upgrade"] if plan.statements else []


async def check_schema(connection: Connection, known: int | None = None) -> None:
    """Raise SchemaError, saying what to do, unless a program may start on the database's schema.

    `known` is the last migration that the program knows: this program's own unless told.
    """
    known = known or known_number()
    if not await connection.fetchval(SQL["has_history"]):
        raise SchemaError("the database has no schema yet: run `sftp-gateway migrate`")
    state = await connection.fetchrow(SQL["fetch_state"])
    assert state is not None  # noqa: S101 - an aggregate has one row
    if state["number"] < known:
        raise SchemaError(
            f"the database's schema is at step {state['number']} of {known}: run `sftp-gateway migrate`"
        )
    if state["oldest_program"] > known:
        raise SchemaError(
            f"the database's schema is too new for this release, which knows its steps up to {known}; "
            f"a release is needed that knows step {state['oldest_program']}"
        )
