"""Who a session belongs to, with all that this person may do as of now; and what ops tell everybody."""

from typing import Final

from campaigns.people.members import fetch_person
from campaigns.people.users import fetch_user
from config.console_section import ConsoleSettings
from console.login.admission import is_user_admitted
from console.login.sessions import Ended, Session, end_sessions
from console.visits import Visitor
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "login/visitors.sql")


async def fetch_visitor(
    connection: Connection, session: Session, settings: ConsoleSettings
) -> tuple[Visitor | None, str | None]:
    """The session's user, and the banner if there is one. Whoever may not log in any more is nobody, and loses all sessions."""
    user = await fetch_user(connection, session.user_id)
    if not await is_user_admitted(connection, user, settings):
        async with connection.transaction():
            await end_sessions(connection, user.id, reason=Ended.ACCESS)
        return None, await connection.fetchval(SQL["fetch_banner"])
    person = await fetch_person(connection, user)
    return Visitor(session, user, person), await connection.fetchval(SQL["fetch_banner"])
