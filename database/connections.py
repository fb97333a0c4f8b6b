"""Connections to PostgreSQL: the pool, single connections for listeners, and the one place that names its troubles."""

import asyncio
import contextlib
import json
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg
from pydantic import SecretStr

from config.errors import ConfigurationError
from config.network import DATABASE_FORM
from config.sections import DatabaseSettings
from database.errors import ServiceUnreachable
from database.hosts import REFUSED, connect_to_any
from database.pool_watch import PoolWatch
from database.queries import NamedQueries

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

SQL: Final = NamedQueries("database", "connections.sql")

# What whoever waited for somebody else's lock is told.
_BUSY: Final = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
# What a database that is away, restarting, full or out of connections looks like: the same call may succeed later.
UNREACHABLE: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # A server lost in the middle of its answer; or, of several servers, none that takes writes yet.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    # Shut down, crashed, starting, cancelled, idle for too long.
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TransactionTimeoutError,
    asyncpg.InsufficientResourcesError,
    *_BUSY,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,
)


@contextlib.contextmanager
def database_troubles() -> Iterator[None]:
    """Translate asyncpg's troubles: unreachable → ServiceUnreachable, login refused → ConfigurationError.

    The texts are our own: asyncpg's may hold a row, a host or a password.
    """
    try:
        yield
    except REFUSED as error:
        message = f"the database refuses this login ({type(error).__name__}): see SFTP_GATEWAY_DATABASE__URL"
        raise ConfigurationError(message) from None
    except (ssl.SSLError, asyncpg.exceptions.ClientConfigurationError) as error:
        message = (
            f"no secure connection to the database ({type(error).__name__}): "
            "see sslmode and sslrootcert in SFTP_GATEWAY_DATABASE__URL"
        )
        raise ConfigurationError(message) from None
    except _BUSY as error:
        message = (
            f"others hold what this needs in the database ({type(error).__name__}): try again in a minute"
        )
        raise ServiceUnreachable(message) from None
    except UNREACHABLE as error:
        message = f"the database can't be reached ({type(error).__name__}): see SFTP_GATEWAY_DATABASE__URL"
        raise ServiceUnreachable(message) from None


async def connect(
    settings: DatabaseSettings, *, command_timeout: float | None = None
) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection of its own, for a listener, a queue or a migration: no time-out on its statements unless told.

    It goes past a pooler, where `direct_url` tells the way.
    """
    return await _connect_apart(settings, settings.direct_url or settings.url, command_timeout)


async def connect_as_a_pool(settings: DatabaseSettings) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection of its own by the way that pools take, which may lead through a pooler."""
    return await _connect_apart(settings, settings.url, settings.connect_timeout)


async def _connect_apart(
    settings: DatabaseSettings, url: SecretStr, command_timeout: float | None
) -> "asyncpg.Connection[asyncpg.Record]":
    with database_troubles(), _readable_url(url):
        try:
            return await connect_to_any(
                url.get_secret_value(),
                timeout=settings.connect_timeout,
                command_timeout=command_timeout,
            )
        except asyncpg.PostgresError as error:
            if isinstance(error, (*REFUSED, *UNREACHABLE)):
                raise
            # Closed for maintenance, for one: whoever keeps a connection open must go on asking for it.
            message = (
                f"the database takes no connections ({type(error).__name__}): see SFTP_GATEWAY_DATABASE__URL"
            )
            raise ServiceUnreachable(message) from None


@contextlib.asynccontextmanager
async def open_pool(
    settings: DatabaseSettings, *, name: str, command_timeout: float | None = None
) -> AsyncIterator[Pool]:
    """A pool whose connections announce themselves as `sftp-gateway <name>`. Nothing is asked of the server yet.

    `command_timeout`, in seconds, stands in for the setting where no client waits for the answer. Whatever it is, connections to
    a server that has fallen silent are ended as soon as another one answers in its place: see `PoolWatch`.
    """
    watch = PoolWatch(lambda: connect_as_a_pool(settings))

    async def prepare_session(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """Once per connection: see the statement. As a statement, since poolers refuse such parameters at the start."""
        server_pid = await connection.fetchval(SQL["prepare_session"], timeout=settings.connect_timeout)
        watch.note_opened(connection, server_pid)

    with _readable_url(settings.url):
        pool: Pool = asyncpg.create_pool(
            settings.url.get_secret_value(),
            min_size=0,
            max_size=settings.pool_size,
            timeout=settings.connect_timeout,
            command_timeout=command_timeout or settings.command_timeout,
            server_settings={"application_name": f"sftp-gateway {name}"},
            connect=_connect,
            init=prepare_session,
            setup=watch.note_taken,
            reset=watch.note_given_back,
        )
    with database_troubles():
        _ = await pool
    watching = asyncio.create_task(watch.run(), name=f"watch over the pool of {name}")
    try:
        yield pool
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        try:
            await asyncio.wait_for(pool.close(), timeout=5)
        except TimeoutError:
            pool.terminate()


async def _connect(dsn: str | None = None, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """The pool's way. A database that takes no connections, as while it is maintained, is one that is away."""
    try:
        return await connect_to_any(dsn or "", **options)
    except asyncpg.PostgresError as error:
        if isinstance(error, (*REFUSED, *UNREACHABLE)):
            raise
        raise asyncpg.CannotConnectNowError(type(error).__name__) from None


@contextlib.contextmanager
def _readable_url(url: SecretStr) -> Iterator[None]:
    _check_certificates(url.get_secret_value())
    try:
        yield
    except ssl.SSLError:
        # A ValueError too, where it is the server's certificate that is wrong.
        raise
    except (ValueError, asyncpg.exceptions.ClientConfigurationError):
        message = f"SFTP_GATEWAY_DATABASE__URL is not of the form {DATABASE_FORM}"
        raise ConfigurationError(message) from None


def _check_certificates(url: str) -> None:
    """What the server is verified with must be there: asyncpg tells a missing file as it tells a server that is away."""
    query = parse_qs(urlsplit(url).query)
    if query.get("sslmode", [""])[-1] not in {"verify-ca", "verify-full"}:
        return
    named = query.get("sslrootcert", [os.environ.get("PGSSLROOTCERT")])[-1]
    file = Path(named) if named else Path("~/.postgresql/root.crt").expanduser()
    if not os.access(file, os.R_OK):
        raise ConfigurationError(
            f"the database can't be verified, as {file} can't be read: add &sslrootcert=FILE to "
            "SFTP_GATEWAY_DATABASE__URL, such as /etc/ssl/certs/ca-certificates.crt or your own authority's certificate"
        )


@contextlib.asynccontextmanager
async def planned_anew(connection: Connection) -> AsyncIterator[None]:
    """A transaction that only reads, with each statement planned for its values.

    A plan for any filters could use the index of none.
    """
    async with connection.transaction(readonly=True):
        await connection.execute(SQL["plan_anew"])
        yield


async def wait_for_standby(connection: Connection) -> None:
    """Wait until what this server has committed so far is on its synchronous standby too, if it has one.

    Whoever finds by a question that a COMMIT without an answer was carried out must not rely on it before: the question may have
    been answered by the one server that is about to die, on which a cancelled wait has left the rows. Inside a transaction it is
    its COMMIT that waits, although it writes nothing else.
    """
    await connection.execute(SQL["write_a_mark"])


def affected(status: str) -> int:
    """How many rows a statement changed, from its command tag, such as `UPDATE 1`."""
    return int(status.rsplit(" ", 1)[-1])


def json_object(value: Any) -> dict[str, Any]:
    """A jsonb column's object: asyncpg hands jsonb over as text."""
    loaded = json.loads(value)
    assert isinstance(loaded, dict)  # noqa: S101 - our own columns hold objects
    return loaded
