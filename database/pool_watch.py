"""Takes a pool's connections away from a server that has fallen silent, without a word and without closing them.

A server that is stopped, or cut off, leaves a statement without an answer until its time-out: a minute where nobody waits.
Whoever holds a connection for some seconds is therefore looked after: another connection is opened, and only if it tells that the
held one is gone is that one ended. Its holder finds the database away, and tries again.
"""

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import asyncpg

from config.errors import ConfigError
from config.logs import get_logger
from database.hosts import Host, host_of
from database.queries import NamedQueries

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

SQL: Final = NamedQueries("database", "pool_watch.sql")
logger = get_logger("database")

# Seconds: between two looks, and after which a connection that is held is asked about.
_PAUSE: Final = 1.0
_HELD_LONG: Final = 3.0


class PoolWatch:
    """Knows which connections of one pool are held, and since when. `connect` opens one that isn't the pool's."""

    def __init__(self, connect: Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]) -> None:
        self._connect: Final = connect
        self._opened: Final[weakref.WeakSet[asyncpg.Connection[asyncpg.Record]]] = weakref.WeakSet()
        # By the number of the server's process, which a connection and its pool's stand-in both tell.
        self._held: Final[dict[int, float]] = {}
        self._own_numbers: Final[set[int]] = set()

    def note_opened(self, connection: "asyncpg.Connection[asyncpg.Record]", server_pid: int) -> None:
        """The pool has a new connection. `server_pid`: what the server calls it, which through a pooler is another number."""
        self._opened.add(connection)
        if connection.get_server_pid() == server_pid:
            self._own_numbers.add(server_pid)

    async def note_taken(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        """It is held from here on."""
        self._held[connection.get_server_pid()] = time.monotonic()

    async def note_given_back(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """It is held no more. One that was lost meanwhile isn't told of, and forgotten at the next look.

        This stands in for the library's `RESET ALL`, a round trip: a session stays as it was prepared.
        """
        self._held.pop(connection.get_server_pid(), None)

    async def run(self) -> None:
        """Look after the connections until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE)
            living = {each.get_server_pid() for each in self._opened if not each.is_closed()}
            for gone in self._held.keys() - living:
                del self._held[gone]
            self._own_numbers.intersection_update(living)
            long_ago = time.monotonic() - _HELD_LONG
            if any(since <= long_ago for since in self._held.values()):
                try:
                    await self._look()
                except Exception:
                    # Whatever it was, the next look may find what this one didn't.
                    logger.exception("pool_look_crashed")

    async def _look(self) -> None:
        try:
            connection = await self._connect()
        except ConfigError:
            # Nobody else takes writes: those who wait may as well go on waiting.
            return
        try:
            dead = await self._dead_ones(connection, host_of(connection))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
            return
        finally:
            connection.terminate()
        for each in dead:
            each.terminate()
        if dead:
            logger.warning("silent_server_left", connections=len(dead))
        now = time.monotonic()
        for number in self._held:
            self._held[number] = now

    async def _dead_ones(
        self, connection: "asyncpg.Connection[asyncpg.Record]", here: Host | None
    ) -> "list[asyncpg.Connection[asyncpg.Record]]":
        """Those to a server that another one has stood in for, and those that the server at their address knows nothing of.

        The second is so where an address moves, to another machine or behind a proxy.
        """
        open_ones = [each for each in self._opened if not each.is_closed()]
        elsewhere = [each for each in open_ones if host_of(each) != here]
        asked = {
            number: each
            for each in open_ones
            if host_of(each) == here and (number := each.get_server_pid()) in self._own_numbers
        }
        known = await connection.fetch(SQL["list_known"], list(asked))
        for row in known:
            del asked[row["pid"]]
        return [*elsewhere, *asked.values()]
