"""What every connection of a pool brings along, whatever the server's own defaults are."""

from pydantic import SecretStr

from config.database import open_pool
from config.sections import DatabaseSettings
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
