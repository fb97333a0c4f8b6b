"""Brings the database's schema up to date: our numbered migrations, then PgQueuer's own, under one lock."""

import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

import asyncpg
from pgqueuer import Queries

from config.errors import SchemaError
from config.sections import DatabaseSettings
from database.connections import Connection, connect, database_troubles

# Any fixed number: whoever migrates this schema waits for this lock.
_LOCK: Final = 7_367_470_001
_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
MINIMUM_SERVER: Final = 140_000


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step. `number` counts from 1 without gaps."""

    number: int
    name: str
    sql: str


def read_migrations() -> list[Migration]:
    """All the steps that this release knows, in order."""
    found = [
        Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"))
        for entry in resources.files("database.migrations").iterdir()
        if (match := _FILE_NAME.fullmatch(entry.name))
    ]
    return sorted(found, key=lambda migration: migration.number)


async def migrate(settings: DatabaseSettings) -> list[str]:
    """Apply what is missing, once, however many nodes call this at once. Returns the names of the steps applied.

    Raises ServiceUnreachable, ConfigurationError (login, database) or SchemaError (server too old, or schema too new).
    """
    connection = await connect(settings)
    try:
        with database_troubles():
            return await _migrate_locked(connection)
    finally:
        await connection.close()


async def _migrate_locked(connection: Connection) -> list[str]:
    version = int(await connection.fetchval("show server_version_num"))
    if version < MINIMUM_SERVER:
        raise SchemaError(f"PostgreSQL 14 or newer is needed; this server is version {version // 10000}")
    await connection.execute("select pg_advisory_lock($1)", _LOCK)
    try:
        applied = []
        await connection.execute(
            "create table if not exists schema_migrations "
            "(number integer primary key, name text not null, applied_at timestamptz not null default now())"
        )
        done = {row["number"] for row in await connection.fetch("select number from schema_migrations")}
        for migration in read_migrations():
            if migration.number not in done:
                await _apply(connection, migration)
                applied.append(f"{migration.number:04}_{migration.name}")
        return applied + await _migrate_queue(connection)
    finally:
        await connection.execute("select pg_advisory_unlock($1)", _LOCK)


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        # A busy table makes this step fail and be tried again, rather than queue everybody behind it.
        await connection.execute("set local lock_timeout = '5s'; set local statement_timeout = '5min'")
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into schema_migrations (number, name) values ($1, $2)", migration.number, migration.name
        )


async def _migrate_queue(connection: Connection) -> list[str]:
    """PgQueuer's tables. Its upgrade can't run in one transaction (it says so), but our lock holds all the while."""
    assert isinstance(connection, asyncpg.Connection)  # noqa: S101 - opened by `migrate`
    queries = Queries.from_asyncpg_connection(connection)
    if not await queries.schema_is_installed():
        async with connection.transaction():
            await queries.install()
        return ["pgqueuer"]
    plan = await queries.apply_upgrade()
    return ["pgqueuer upgrade"] if plan.statements else []


async def check_schema(connection: Connection) -> None:
    """Raise SchemaError, saying what to do, unless the database's schema is the one that this release needs."""
    known = max(migration.number for migration in read_migrations())
    if await connection.fetchval("select to_regclass('schema_migrations')") is None:
        raise SchemaError("the database has no schema yet: run `sftp-gateway migrate`")
    found = await connection.fetchval("select max(number) from schema_migrations")
    if found is None or found < known:
        raise SchemaError(
            f"the database's schema is at step {found or 0} of {known}: run `sftp-gateway migrate`"
        )
