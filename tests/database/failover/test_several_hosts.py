"""An address with several servers: none hides another, whatever state it is in, and an open connection leaves one that hangs."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from config.errors import ConfigurationError
from config.sections import DatabaseSettings
from database import pool_watch
from database.connections import UNREACHABLE, Pool, connect, open_pool
from database.errors import ServiceUnreachable
from database.hosts import Host, read_hosts
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from tests.chaos.testbed.testbed import until
from tests.database.failover.servers import moving_address, silent_server, stopped

# Far more than any of these needs, and less than the minute that a worker's statement may take.
PATIENCE = 40


_numbers = itertools.count()


def reaching(*ports: int, password: str, query: str = "", connect_timeout: float = 2) -> DatabaseSettings:
    """An address that no test has asked before, so that nothing is known of its servers."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    query = f"?application_name=asked-{next(_numbers)}{query}"
    return DatabaseSettings(
        url=SecretStr(f"postgresql://postgres:{password}@{hosts}/postgres{query}"),
        connect_timeout=connect_timeout,
    )


@pytest.fixture(scope="module")
def leader(short_folder: Path, postgres: PostgreSQLServer) -> Iterator[PostgreSQLServer]:
    """A server beside the common one, its successor, which takes the same password. No test leaves it stopped or changed."""
    with postgres_server(short_folder / "leader", durable=False) as server:
        server.run_sql(f"alter role postgres password '{postgres.password}'")
        yield server


@pytest.fixture
def read_only(leader: PostgreSQLServer) -> Iterator[PostgreSQLServer]:
    """The same, as a standby is: it takes no writes."""
    leader.run_sql("alter database postgres set default_transaction_read_only = on")
    yield leader
    leader.run_sql("alter database postgres reset default_transaction_read_only", database="template1")


async def port_of(settings: DatabaseSettings) -> int:
    connection = await asyncio.wait_for(connect(settings), PATIENCE)
    try:
        return int(await connection.fetchval("select inet_server_port()"))
    finally:
        await connection.close()


async def test_a_first_host_that_says_nothing_hides_no_other_and_is_asked_last_from_then_on(
    postgres: PostgreSQLServer,
) -> None:
    async with silent_server() as silent:
        settings = reaching(silent.port, postgres.port, password=postgres.password, connect_timeout=0.5)
        for _ in range(3):
            assert await port_of(settings) == postgres.port
        async with open_pool(settings, name="test") as pool:
            assert await pool.fetchval("select inet_server_port()") == postgres.port
        # TLS is asked for once, and then a connection without it isn't tried: it was silent.
        assert silent.asked == 1


async def test_a_host_that_nobody_waited_for_to_the_end_is_asked_last_too(postgres: PostgreSQLServer) -> None:
    async with silent_server() as silent:
        settings = reaching(silent.port, postgres.port, password=postgres.password, connect_timeout=PATIENCE)
        asking = asyncio.create_task(connect(settings))

        async def is_asked() -> bool:
            return silent.asked > 0

        await until(is_asked, "the silent one asked", PATIENCE)
        asking.cancel()
        await asyncio.wait({asking})
        assert asking.cancelled()
        assert await port_of(settings) == postgres.port
        assert silent.asked == 1


async def test_each_host_has_the_whole_time_out(postgres: PostgreSQLServer) -> None:
    async with silent_server() as first, silent_server() as second:
        settings = reaching(
            first.port, second.port, postgres.port, password=postgres.password, connect_timeout=0.5
        )
        assert await port_of(settings) == postgres.port
        assert (first.asked, second.asked) == (1, 1)


async def test_of_several_hosts_one_that_takes_writes_is_taken(
    read_only: PostgreSQLServer, postgres: PostgreSQLServer
) -> None:
    ports = (read_only.port, postgres.port)
    for query, expected in (
        ("&target_session_attrs=any", read_only.port),
        ("&target_session_attrs=primary", read_only.port),
        ("&target_session_attrs=read-write", postgres.port),
        ("", postgres.port),
    ):
        assert await port_of(reaching(*ports, password=postgres.password, query=query)) == expected


async def test_hosts_of_which_none_takes_writes_are_away_for_now(
    read_only: PostgreSQLServer, postgres: PostgreSQLServer
) -> None:
    async with silent_server() as silent:
        settings = reaching(read_only.port, silent.port, password=postgres.password, connect_timeout=0.5)
        with pytest.raises(ServiceUnreachable):
            await connect(settings)


async def test_a_refused_login_is_told_whatever_the_other_hosts_do(postgres: PostgreSQLServer) -> None:
    async with silent_server() as silent:
        for ports in ((silent.port, postgres.port), (postgres.port, silent.port)):
            with pytest.raises(ConfigurationError, match="refuses this login"):
                await connect(reaching(*ports, password="wrong", connect_timeout=0.5))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        pytest.param("u:p@a,b:6432", [("a", 5432), ("b", 6432)], id="ports-of-their-own"),
        pytest.param("u:p%40@[::1]:1,[fe80::2]", [("::1", 1), ("fe80::2", 5432)], id="ipv6"),
    ],
)
def test_hosts_and_ports_are_read_as_the_library_reads_them(
    address: str, expected: list[tuple[str, int]]
) -> None:
    assert read_hosts(f"postgresql://{address}/db") == tuple(Host(*each) for each in expected)


def test_hosts_may_stand_in_the_query() -> None:
    assert read_hosts("postgresql://u@/db?host=a,/run/pg&port=1,2") == (Host("a", 1), Host("/run/pg", 2))
    assert read_hosts("postgresql://u@/db?host=a,b&port=7") == (Host("a", 7), Host("b", 7))
    assert read_hosts("postgresql:///db") == ()


async def _is_sleeping(pool: Pool) -> bool:
    asleep = "select exists (select from pg_stat_activity where query ~ '^select pg_sleep')"
    return bool(await pool.fetchval(asleep))


async def test_a_statement_that_a_stopped_leader_never_answers_ends_once_another_takes_writes(
    leader: PostgreSQLServer, postgres: PostgreSQLServer
) -> None:
    settings = reaching(leader.port, postgres.port, password=postgres.password)
    async with open_pool(settings, name="test", command_timeout=10 * PATIENCE) as pool:
        assert await pool.fetchval("select inet_server_port()") == leader.port
        asking = asyncio.create_task(pool.fetchval("select pg_sleep(600)"))
        async with asyncio.timeout(PATIENCE):
            await until(lambda: _is_sleeping(pool), "a statement under way", PATIENCE)
            with stopped(leader):
                with pytest.raises(UNREACHABLE):
                    await asking
                # Those that lay idle were ended with it.
                assert pool.get_size() == 0
                assert await pool.fetchval("select inet_server_port()") == postgres.port


async def test_a_statement_lost_behind_an_address_that_moved_ends(
    leader: PostgreSQLServer, postgres: PostgreSQLServer
) -> None:
    async with moving_address(leader.port) as address:
        settings = reaching(address.port, password=postgres.password)
        async with open_pool(settings, name="test", command_timeout=10 * PATIENCE) as pool:
            await pool.fetchval("select 1")
            asking = asyncio.create_task(pool.fetchval("select pg_sleep(600)"))
            address.move(postgres.port)
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(UNREACHABLE):
                    await asking
                assert await pool.fetchval("select inet_server_port()") == postgres.port


async def test_a_long_statement_of_a_server_that_lives_is_left_alone(
    postgres: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_watch, "_PAUSE", 0.05)
    monkeypatch.setattr(pool_watch, "_HELD_LONG", 0.1)
    settings = reaching(postgres.port, password=postgres.password)
    async with open_pool(settings, name="test") as pool, pool.acquire() as connection:
        async with asyncpg.create_pool(postgres.socket_url("postgres"), min_size=1, max_size=1) as other:
            looked: set[int] = set()
            async with asyncio.timeout(PATIENCE):
                # One is the question itself, the other one is a look at what is held.
                while len(looked) < 2:
                    await connection.fetchval("select pg_sleep(0.1)")
                    found = await other.fetch(
                        "select pid from pg_stat_activity where query ~ 'pg_stat_activity'"
                    )
                    looked |= {row["pid"] for row in found}
        assert not connection.is_closed()
        assert await connection.fetchval("select 1") == 1
