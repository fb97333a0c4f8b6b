"""The servers that one address of a database names: asked one after the other, each for the whole time-out.

The library would share one time-out among all of them, so that the first one, hanging, hides those after it.
"""

import asyncio
import os
import ssl
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from database.caching_connection import CachingConnection

if TYPE_CHECKING:
    Session: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:
    Session = asyncpg.Connection

_PORT: Final = 5432
# What a server says to a login that isn't set up rightly, which no other one's silence may hide.
REFUSED: Final[tuple[type[Exception], ...]] = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)


@dataclass(frozen=True, slots=True)
class Host:
    """One server: a name, an address or a socket's folder, and its port."""

    name: str
    port: int


# A hint that the connections of one process share: in which order the servers of an address are asked next.
_orders: Final[dict[str, list[Host]]] = {}
_host_of: Final["weakref.WeakKeyDictionary[Session, Host]"] = weakref.WeakKeyDictionary()


def read_hosts(url: str) -> tuple[Host, ...]:
    """The servers that `url` names; empty where it leaves them to the library. Raises ValueError."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    # In the query's own words, commas may stand for themselves; a comma between hosts is never encoded.
    named = parts.netloc.rpartition("@")[2] or query.get("host", [""])[-1]
    if not named:
        return ()
    words = [_split_port(unquote(word)) for word in named.split(",")]
    ports = query.get("port", [os.environ.get("PGPORT") or str(_PORT)])[-1].split(",")
    if len(ports) == 1:
        ports *= len(words)
    return tuple(Host(name, int(own or port)) for (name, own), port in zip(words, ports, strict=True))


def _split_port(word: str) -> tuple[str, str]:
    if word.startswith("/"):
        return word, ""
    if word.startswith("["):
        name, _, port = word[1:].partition("]")
        return name, port.removeprefix(":")
    name, _, port = word.partition(":")
    return name, port


def host_of(connection: Session) -> Host | None:
    """The server that a connection of `connect_to_any` was opened to; None where the address names only one."""
    return _host_of.get(connection)


async def connect_to_any(url: str, **options: Any) -> Session:
    """Connect to the first server of `url` that will have us: the last good one first, one that was silent last.

    `options` are those of `asyncpg.connect`; its `timeout` is each server's own. Of several servers only one that takes writes
    will do, unless `target_session_attrs` says otherwise. Raises as the library does, preferring a refusal, which a person must
    mend, to a server that is merely away.
    """
    options["connection_class"] = CachingConnection
    hosts = read_hosts(url)
    if len(hosts) < 2:
        only: Session = await asyncpg.connect(url, **options)
        return only
    if "target_session_attrs" not in parse_qs(urlsplit(url).query) and not os.environ.get(
        "PGTARGETSESSIONATTRS"
    ):
        options["target_session_attrs"] = "read-write"
    order = _orders.setdefault(url, list(hosts))
    away: Exception | None = None
    refused: Exception | None = None
    for host in tuple(order):
        try:
            connection: Session = await asyncpg.connect(url, host=host.name, port=host.port, **options)
        except (TimeoutError, asyncio.CancelledError) as error:
            # Silent, as far as the caller had the patience to wait.
            order.sort(key=host.__eq__)
            if isinstance(error, asyncio.CancelledError):
                raise
            away = error
        except asyncpg.exceptions.ClientConfigurationError:
            raise
        except REFUSED as error:
            refused = refused or error
        except ssl.SSLError as error:
            refused = refused or error
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError) as error:
            away = error
        else:
            order.sort(key=host.__ne__)
            _host_of[connection] = host
            return connection
    last = refused or away
    assert last is not None  # noqa: S101 - there is a server, and each one ended in an error
    raise last
