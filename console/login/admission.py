"""Which addresses may log in: those below the settings' domains, and below the domains that agencies have (9-console.md §2)."""

from typing import Final

from campaigns.people.addresses import domain_of, is_below
from campaigns.people.agencies import find_domain
from campaigns.people.users import User
from config.console_section import ConsoleSettings
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "login/admission.sql")


async def is_admitted(connection: Connection, email: str, settings: ConsoleSettings) -> bool:
    """Whether this parsed address may log in. The same is asked of the database for every one, so that the time tells nothing."""
    is_service = bool(await connection.fetchval(SQL["is_service"], email))
    listed = await find_domain(connection, email)
    return (listed is not None or _is_own_domain(email, settings)) and not is_service


async def is_user_admitted(connection: Connection, user: User, settings: ConsoleSettings) -> bool:
    """Whether this user still may, as asked at each request."""
    if user.is_service:
        return False
    return _is_own_domain(user.email, settings) or await find_domain(connection, user.email) is not None


def _is_own_domain(email: str, settings: ConsoleSettings) -> bool:
    domain = domain_of(email)
    return any(is_below(domain, parent) for parent in settings.login_domains)
