"""Who a session belongs to, with all that this person may do as of now; and what ops tell everybody."""

from typing import Final

from campaigns.people.members import fetch_person
from campaigns.people.users import fetch_user
from console.login.sessions import Session
from console.visits import Visitor
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "login/visitors.sql")


async def fetch_visitor(connection: Connection, session: Session) -> tuple[Visitor, str | None]:
    """The session's user, and the banner if there is one."""
    user = await fetch_user(connection, session.user_id)
    person = await fetch_person(connection, user)
    return Visitor(session, user, person), await connection.fetchval(SQL["fetch_banner"])
