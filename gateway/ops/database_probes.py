"""What `check` looks at in a database beyond whether it answers: standbys that lag, and poolers that keep something from us."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable
from enum import Enum, auto
from typing import Final, assert_never

import asyncpg

from config.errors import ConfigError
from config.sections import DatabaseSettings
from config.settings import variable_of
from database.connections import Connection, connect, connect_as_a_pool, database_troubles
from database.errors import ServiceUnreachable
from database.queries import NamedQueries
from gateway.errors import ExitStatus
from gateway.ops.probes import Answer

SQL: Final = NamedQueries("gateway.ops", "database_probes.sql")

# Seconds in which an announcement comes back.
_HEARD_WITHIN: Final = 3.0
# So many connections take a free server each from a pooler, the last used one first.
_OTHERS: Final = 4
# One connection of so many is expected to lock the ranges at a time.
_PLANNING: Final = 4
_READ_COMMITTED: Final = "read committed"


class _Mode(Enum):
    SESSION = auto()
    TRANSACTION = auto()
    FORGETS_STATEMENTS = auto()
    FORGETS_ISOLATION = auto()


async def examine_database(settings: DatabaseSettings) -> list[Answer]:
    """A line for the standbys and one for the pooler, where there are any, and one where locks may run out.

    Nothing where the database is away: that is told.
    """
    try:
        async with asyncio.timeout(8 * settings.connect_timeout + _HEARD_WITHIN):
            return [
                *await _examine_standbys(settings),
                *await _examine_locks(settings),
                *await _examine_poolers(settings),
            ]
    except (ConfigError, TimeoutError):
        return []


async def _examine_standbys(settings: DatabaseSettings) -> list[Answer]:
    async with _opened(connect(settings)) as connection:
        with database_troubles():
            row = await connection.fetchrow(SQL["look_at_standbys"])
    assert row is not None  # noqa: S101 - a statement without a table
    if not row["standbys"]:
        return []
    if not row["synchronous"]:
        detail = (
            "a standby follows asynchronously (synchronous_standby_names is empty): uploads that were acknowledged in the "
            "moments before it takes over are lost; name it there, by synchronous_mode where Patroni does so"
        )
    elif row["commit"] in {"off", "local"}:
        detail = (
            f"synchronous_commit is {row['commit']}: no COMMIT waits for the standby, and uploads that were acknowledged in the "
            "moments before it takes over are lost; set it to on"
        )
    else:
        return [Answer("standbys", ExitStatus.DONE, f"{row['standbys']}, of which a COMMIT waits for one")]
    return [Answer("standbys", ExitStatus.DONE, detail, is_warning=True)]


async def _examine_locks(settings: DatabaseSettings) -> list[Answer]:
    async with _opened(connect(settings)) as connection:
        with database_troubles():
            row = await connection.fetchrow(SQL["look_at_locks"])
    assert row is not None  # noqa: S101 - an aggregate has one row
    # The server has room for so many locks of each connection on average. Not all of them plan at the same moment.
    if row["relations"] <= _PLANNING * row["locks"]:
        return []
    enough = 1 << (row["relations"] * 2 // _PLANNING).bit_length()
    detail = (
        f"messages and audit events have {row['relations']} tables and indexes by now, and a statement may lock them all: with "
        f"many at once the server may run out of locks. Set max_locks_per_transaction, which is {row['locks']}, to {enough}"
    )
    return [Answer("locks", ExitStatus.DONE, detail, is_warning=True)]


async def _examine_poolers(settings: DatabaseSettings) -> list[Answer]:
    """First the way of listeners and queues, then that of the pools."""
    url, direct_url = variable_of("database.url"), variable_of("database.direct_url")
    try:
        hears = await _hears_announcements(settings)
    except asyncpg.PostgresError:
        # In transaction mode the statements of two connections meet on one server, and some of them fail.
        hears = False
    if not hears:
        return _refuse(
            f"{url if settings.direct_url is None else direct_url} leads to a pooler in transaction mode, which passes no "
            f"announcements on and keeps no session locks: let {direct_url} lead past it, to PostgreSQL itself"
        )
    if settings.direct_url is not None and not await _leads_to_one_server(settings):
        return _refuse(f"{url} and {direct_url} lead to different databases")
    mode = await _find_mode(settings)
    match mode:
        case None:
            return []
        case _Mode.SESSION:
            return [Answer("pooler", ExitStatus.DONE, "in session mode, which keeps all that is needed")]
        case _Mode.TRANSACTION:
            return [Answer("pooler", ExitStatus.DONE, "in transaction mode, with prepared statements")]
        case _Mode.FORGETS_STATEMENTS:
            return _refuse(
                f"{url} leads to a pooler in transaction mode that loses prepared statements: put it into session mode, or take "
                "PgBouncer 1.21 or newer and set max_prepared_statements"
            )
        case _Mode.FORGETS_ISOLATION:
            return _refuse(
                f"{url} leads to a pooler in transaction mode, and the role's default isn't read committed: "
                "`alter role … set default_transaction_isolation = 'read committed'`"
            )
        case _:
            assert_never(mode)


def _refuse(detail: str) -> list[Answer]:
    return [Answer("pooler", ExitStatus.CONFIGURATION, detail)]


async def _leads_to_one_server(settings: DatabaseSettings) -> bool:
    async with _opened(connect(settings)) as direct, _opened(connect_as_a_pool(settings)) as pooled:
        with database_troubles():
            return tuple(await _row(direct)) == tuple(await _row(pooled))


async def _row(connection: Connection) -> asyncpg.Record:
    # In a transaction, so that a pooler doesn't prepare it on one server and ask another one.
    async with connection.transaction():
        row = await connection.fetchrow(SQL["name_server"])
    assert row is not None  # noqa: S101 - a statement without a table
    return row


async def _find_mode(settings: DatabaseSettings) -> "_Mode | None":
    """None where there is no pooler: its connections have other numbers than the server's processes behind them."""
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(_opened(connect_as_a_pool(settings)))
        with database_troubles():
            try:
                server = await first.fetchval(SQL["ask_server"])
                if server == first.get_server_pid():
                    return None
                # Others take free servers in transactions. In transaction mode one gets that of the first connection.
                for _ in range(_OTHERS):
                    try:
                        other = await stack.enter_async_context(_opened(connect_as_a_pool(settings)))
                        await other.transaction().start()
                        if await other.fetchval(SQL["ask_server"]) == server:
                            break
                    except (TimeoutError, ServiceUnreachable):
                        # In session mode a pooler has no more servers than connections that use them.
                        return _Mode.SESSION
                else:
                    return _Mode.SESSION
                # Prepared at the server that is taken now.
                await first.fetchval(SQL["ask_server"])
                isolation = await first.fetchval(SQL["look_at_isolation"])
            except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
                return _Mode.FORGETS_STATEMENTS
    return _Mode.TRANSACTION if isolation == _READ_COMMITTED else _Mode.FORGETS_ISOLATION


async def _hears_announcements(settings: DatabaseSettings) -> bool:
    channel = f"sftp_gateway_check_{secrets.token_hex(8)}"
    heard = asyncio.Event()
    async with _opened(connect(settings)) as listening, _opened(connect(settings)) as telling:
        with database_troubles():
            await listening.add_listener(channel, lambda *_announcement: heard.set())
            await telling.execute(SQL["announce"], channel)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEARD_WITHIN):
                await heard.wait()
    return heard.is_set()


@contextlib.asynccontextmanager
async def _opened(
    connecting: Awaitable["asyncpg.Connection[asyncpg.Record]"],
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await connecting
    try:
        yield connection
    finally:
        connection.terminate()
