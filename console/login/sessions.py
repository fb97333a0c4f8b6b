"""The table `console_sessions`: who is logged in, in which browser. The cookie's value is kept as its SHA-256 alone."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from audit.details import EventDetails
from audit.events import NOBODY, Actor, AuditEvent, record_event
from config.console_section import ConsoleSettings
from config.identifiers import new_identifier
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "login/sessions.sql")
COOKIE: Final = "__Host-session"
_MOST_BROWSER: Final = 200


class Ended(StrEnum):
    """Why a session ended before its time, as the audit trail says it."""

    LOGOUT = "logout"
    # In that browser somebody logged in again.
    LOGIN = "login"
    # By its user, from another one.
    USER = "user"
    OPS = "ops"
    # The address may not log in any more.
    ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Session:
    """A session in force. `flash`: sentences that wait to be shown. Times are aware UTC."""

    id: str
    user_id: str
    code_at: datetime
    flash: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its user sees it. `browser` is what that says it is. Times are aware UTC."""

    id: str
    source_address: str | None
    browser: str
    began_at: datetime
    last_active_at: datetime


async def begin_session(
    connection: Connection,
    user_id: str,
    *,
    source_address: str | None,
    browser: str,
    settings: ConsoleSettings,
) -> str:
    """Begin a session, whose cookie's value is returned: 256 random bits. A code has just been given."""
    value = secrets.token_urlsafe(32)
    await connection.execute(
        SQL["insert_session"],
        new_identifier("session"),
        _digest(value),
        user_id,
        source_address,
        browser[:_MOST_BROWSER],
        timedelta(seconds=settings.session),
    )
    return value


async def find_session(
    connection: Connection, value: str | None, settings: ConsoleSettings, *, is_activity: bool = True
) -> Session | None:
    """The session of a cookie's value, where it is in force. `is_activity`: it lasts `idle` from now on."""
    if not value or len(value) > 128:
        return None
    row = await connection.fetchrow(SQL["find_session"], _digest(value), timedelta(seconds=settings.idle))
    if row is None:
        return None
    if is_activity and row["is_stale"]:
        await connection.execute(SQL["touch_session"], row["id"])
    return Session(row["id"], row["user_id"], row["code_at"], tuple(json.loads(row["flash"])))


async def is_in_force(connection: Connection, session_id: str, settings: ConsoleSettings) -> bool:
    """Whether the session hasn't ended meanwhile."""
    idle = timedelta(seconds=settings.idle)
    return bool(await connection.fetchval(SQL["is_in_force"], session_id, idle))


async def is_fresh(connection: Connection, session_id: str, settings: ConsoleSettings) -> bool:
    """Whether a code was given lately enough for what wants a fresh one."""
    return bool(await connection.fetchval(SQL["is_fresh"], session_id, timedelta(seconds=settings.step_up)))


async def renew_code(connection: Connection, session_id: str) -> None:
    """A code has just been given again."""
    await connection.execute(SQL["renew_code"], session_id)


async def add_flash(connection: Connection, session_id: str, sentence: str) -> None:
    """Have the next page show this sentence."""
    await connection.execute(SQL["add_flash"], session_id, sentence)


async def clear_flash(connection: Connection, session_id: str) -> None:
    """What waited to be shown has been."""
    await connection.execute(SQL["clear_flash"], session_id)


async def end_session(
    connection: Connection, session_id: str, user_id: str, *, actor: Actor, reason: Ended
) -> bool:
    """In the caller's transaction: end one session of this user. False where it isn't the user's, or has ended already."""
    if await connection.fetchval(SQL["end_session"], session_id, user_id) is None:
        return False
    await _record_end(connection, user_id, [session_id], actor, reason)
    return True


async def end_sessions(
    connection: Connection,
    user_id: str,
    *,
    but: str | None = None,
    actor: Actor = NOBODY,
    reason: Ended = Ended.OPS,
) -> int:
    """In the caller's transaction: end all sessions of this user, or all but one; how many that were."""
    ended = [row["id"] for row in await connection.fetch(SQL["end_sessions_of_user"], user_id, but)]
    if ended:
        await _record_end(connection, user_id, ended, actor, reason)
    return len(ended)


async def _record_end(
    connection: Connection, user_id: str, sessions: list[str], actor: Actor, reason: Ended
) -> None:
    details: EventDetails = {"user_id": user_id, "sessions": sessions, "reason": reason.value}
    await record_event(connection, AuditEvent.CONSOLE_SESSION_ENDED, actor=actor, details=details)


async def list_sessions(connection: Connection, user_id: str, settings: ConsoleSettings) -> list[OpenSession]:
    """The user's sessions in force, the one last used first."""
    rows = await connection.fetch(SQL["list_sessions"], user_id, timedelta(seconds=settings.idle))
    return [
        OpenSession(
            row["id"],
            None if row["source_address"] is None else str(row["source_address"]),
            row["browser"],
            row["began_at"],
            row["last_active_at"],
        )
        for row in rows
    ]


async def delete_old_sessions(connection: Connection) -> None:
    """Forget sessions that are over for a month."""
    await connection.execute(SQL["delete_old"])


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()
