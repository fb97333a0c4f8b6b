"""What every connection of a pool brings along, whatever the server's own defaults are, and what counts as trouble for now."""

from datetime import date
from ipaddress import ip_address

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from config.settings import Settings
from database import caching_connection
from database.connections import connect, database_troubles, open_pool
from database.errors import ServiceUnreachable
from gateway.embedded.postgres import PostgreSQLServer


async def test_who_waited_for_a_lock_sees_what_the_other_wrote_whatever_the_server_s_default(
    own_postgres: PostgreSQLServer,
) -> None:
    own_postgres.run_sql("alter database postgres set default_transaction_isolation = 'serializable'")
    database = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    async with (
        open_pool(database, name="test") as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        assert await connection.fetchval("show transaction_isolation") == "read committed"


async def test_the_locks_of_a_machine_that_died_are_not_held_for_hours(postgres: PostgreSQLServer) -> None:
    database = DatabaseSettings(url=SecretStr(postgres.tcp_url("postgres")))
    async with open_pool(database, name="test") as pool:
        row = await pool.fetchrow(
            "select current_setting('tcp_keepalives_idle') as idle, current_setting('tcp_keepalives_count') as count,"
            " current_setting('tcp_keepalives_interval') as pause, current_setting('tcp_user_timeout') as unanswered"
        )
    assert row is not None
    assert dict(row) == {"idle": "15", "count": "3", "pause": "5", "unanswered": "30000"}


async def test_servers_of_which_none_takes_writes_yet_are_away_for_now(postgres: PostgreSQLServer) -> None:
    """As during a failover, with `target_session_attrs` in the address."""
    url = f"{postgres.tcp_url('postgres')}?target_session_attrs=standby"
    with pytest.raises(ServiceUnreachable):
        await connect(DatabaseSettings(url=SecretStr(url)))


async def test_a_database_that_takes_no_connections_is_away_for_a_pool_too(
    postgres: PostgreSQLServer,
) -> None:
    postgres.run_sql("create database closed_for_now allow_connections false")
    database = DatabaseSettings(url=SecretStr(postgres.socket_url("closed_for_now")))
    async with open_pool(database, name="test") as pool:
        with pytest.raises(ServiceUnreachable), database_troubles():
            await pool.fetchval("select 1")


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(asyncpg.InternalClientError("protocol is in the failed state"), id="lost-in-its-answer"),
        pytest.param(asyncpg.IdleSessionTimeoutError("x"), id="idle-session"),
        pytest.param(asyncpg.IdleInTransactionSessionTimeoutError("x"), id="idle-in-transaction"),
        pytest.param(asyncpg.TransactionTimeoutError("x"), id="transaction-timeout"),
        pytest.param(asyncpg.QueryCanceledError("x"), id="statement-timeout"),
        pytest.param(asyncpg.AdminShutdownError("x"), id="shutdown"),
        pytest.param(asyncpg.CannotConnectNowError("x"), id="starting"),
    ],
)
def test_a_server_in_trouble_may_answer_the_same_call_later(error: Exception) -> None:
    with pytest.raises(ServiceUnreachable), database_troubles():
        raise error


def test_who_waited_for_a_lock_is_not_told_that_the_database_is_away() -> None:
    with (
        pytest.raises(ServiceUnreachable, match=r"^others hold .* \(LockNotAvailableError\): try again"),
        database_troubles(),
    ):
        raise asyncpg.LockNotAvailableError


async def test_what_postgresql_has_built_in_is_asked_for_once_a_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching_connection, "_known", {})
    counts = []
    for _ in range(2):
        connection = await connect(settings.database)
        asked: list[str] = []
        # The library's own questions come here too.
        connection.add_query_logger(lambda query, asked=asked: asked.append(query.query))
        days = await connection.fetchval("select array['2026-11-28'::date, null]")
        assert days == [date(2026, 11, 28), None]
        assert await connection.fetchval("select $1::inet[]", [ip_address("192.0.2.1")]) is not None
        await connection.close()
        counts.append(len([query for query in asked if "typeinfo" in query]))
    assert counts == [2, 0]


async def test_a_type_of_the_database_s_own_is_asked_for_again(settings: Settings) -> None:
    """It may have changed, and the same number is another type in another database."""
    for change, row, expected in (
        ("create type kept as (a integer)", "row(1)", {"a": 1}),
        ("alter type kept add attribute b text", "row(1, 'x')", {"a": 1, "b": "x"}),
    ):
        connection = await connect(settings.database)
        await connection.execute(change)
        assert dict(await connection.fetchval(f"select {row}::kept")) == expected
        await connection.close()
