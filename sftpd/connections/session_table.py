"""The table `sftp_sessions`: who is connected by SFTP, for the console to show. Each front process tells of its own sessions.

They are written beside the sessions, never by them: once a second, what is new, has moved or has ended, in one statement each.
While the database is away nothing is written, and no session notices. Names of files are never written.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from config.errors import ConfigError
from config.logs import get_logger
from database.connections import Connection, Pool, database_troubles
from database.queries import NamedQueries
from sftpd.connections.live_connections import LiveConnection, LiveSessions
from sftpd.sessions import Session

SQL: Final = NamedQueries("sftpd.connections", "session_table.sql")
logger = get_logger("sftpd")

_WRITE_EVERY: Final = 1.0
# A row that isn't renewed for 30 s counts as one of a front that is gone.
_RENEW_EVERY: Final = 10.0
# Nobody waits for these statements, and they must not hold a connection of the pool for long.
_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Written:
    """What a row says. `at` is by the monotonic clock."""

    receiving_bytes: int | None
    at: float


class SessionTable:
    """Tells the database of this process's live sessions. `run` it in a task, and `finish` after it has ended."""

    def __init__(self, pool: Pool, live_sessions: LiveSessions) -> None:
        self._pool: Final = pool
        self._live_sessions: Final = live_sessions
        self._written: Final[dict[str, _Written]] = {}
        self._swept_at = 0.0
        self._is_away = False

    async def run(self) -> None:
        """Write again and again, until cancelled."""
        while True:
            await asyncio.sleep(_WRITE_EVERY)
            try:
                await self.write()
            except ConfigError as error:
                if not self._is_away:
                    logger.warning("sessions_unwritten", reason=str(error))
                self._is_away = True
            except Exception:  # what can't be shown must not end what is served
                logger.exception("sessions_unwritten")
            else:
                self._is_away = False

    async def write(self) -> None:
        """Write what has changed. Raises ConfigError; then all of it is still to be written."""
        now = time.monotonic()
        live = {
            session.connection_id: (live_connection, session)
            for live_connection in self._live_sessions
            if (session := live_connection.session) is not None
        }
        ended = [connection_id for connection_id in self._written if connection_id not in live]
        due = [pair for connection_id, pair in live.items() if self._is_due(connection_id, pair[1], now)]
        is_sweep_due = now - self._swept_at >= _RENEW_EVERY
        if not (ended or due or is_sweep_due):
            return
        with database_troubles():
            async with asyncio.timeout(_TIMEOUT), self._pool.acquire() as connection:
                if due:
                    await self._renew(connection, due, now)
                if ended:
                    await connection.execute(SQL["delete_sessions"], ended)
                if is_sweep_due:
                    await connection.execute(SQL["sweep_sessions"])
                    self._swept_at = now
        for connection_id in ended:
            del self._written[connection_id]

    async def finish(self) -> None:
        """Take out the rows of this process, which ends; where the database is away, another front does it."""
        try:
            with database_troubles():
                async with asyncio.timeout(1), self._pool.acquire() as connection:
                    await connection.execute(SQL["delete_sessions"], list(self._written))
        except ConfigError as error:
            logger.warning("sessions_unwritten", reason=str(error))
        self._written.clear()

    def _is_due(self, connection_id: str, session: Session, now: float) -> bool:
        written = self._written.get(connection_id)
        return (
            written is None
            or written.receiving_bytes != session.receiving_bytes
            or now - written.at >= _RENEW_EVERY
        )

    async def _renew(
        self, connection: Connection, due: Sequence[tuple[LiveConnection, Session]], now: float
    ) -> None:
        sizes = [session.receiving_bytes for _, session in due]
        sessions = [session for _, session in due]
        for session in sessions:
            # Noted before: what is committed without our being told must be deleted some day, too.
            self._written.setdefault(session.connection_id, _Written(None, -_RENEW_EVERY))
        await connection.execute(
            SQL["renew_sessions"],
            [session.connection_id for session in sessions],
            [session.campaign_id for session in sessions],
            [session.fingerprint for session in sessions],
            [session.source_address for session in sessions],
            [now - live_connection.began for live_connection, _ in due],
            sizes,
        )
        for session, size in zip(sessions, sizes, strict=True):
            self._written[session.connection_id] = _Written(size, now)
