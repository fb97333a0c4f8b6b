"""`/ops/users`: find somebody, see rights, memberships and sessions, end these, give or take the rights of ops."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from campaigns.errors import CampaignsError
from campaigns.people.agencies import fetch_agency
from campaigns.people.permissions import Action
from campaigns.people.users import User, find_user, set_ops
from console.administration.words import said
from console.errors import GoTo, PageRefused
from console.forms import Form
from console.login.sessions import end_sessions, list_sessions
from console.paths import url
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries

SQL: Final = NamedQueries("console", "administration/people.sql")
_MOST_CAMPAIGNS: Final = 100


async def show_users(visit: Visit) -> Response:
    """Who is one of ops, and a field to find anybody by the address."""
    return await _shown_search(visit)


async def find(visit: Visit) -> Response:
    """Lead to the person of that address. By a form, as no address stands in a path."""
    form = await visit.form()
    try:
        async with visit.connection() as connection:
            user = await find_user(connection, form["email"])
    except CampaignsError as error:
        return await _shown_search(visit, form=form, errors={"email": said(error)})
    raise GoTo(url("ops_user", user_id=user.id))


async def show_user(visit: Visit) -> Response:
    """One person."""
    async with visit.connection() as connection:
        user = await _known(visit, connection)
        agency = None if user.agency_id is None else await fetch_agency(connection, user.agency_id)
        campaigns = await connection.fetch(SQL["list_campaigns"], user.id, _MOST_CAMPAIGNS)
        sessions = await list_sessions(connection, user.id, visit.settings.console)
    return await visit.page(
        "administration/user.html", user=user, agency=agency, campaigns=campaigns, sessions=sessions
    )


async def end_all_sessions(visit: Visit) -> Response:
    """Log somebody out everywhere."""
    form = await visit.form()
    async with visit.connection() as connection:
        user = await _known(visit, connection)
    async with visit.change(form) as connection:
        ended = await end_sessions(connection, user.id, actor=visit.actor)
        sentence = f"{user.email} is logged out: {ended} {'session' if ended == 1 else 'sessions'} ended."
        return await visit.done(connection, url("ops_user", user_id=user.id), sentence)


async def show_ops_right(visit: Visit) -> Response:
    """Ask whether the person shall be one of ops, or no more."""
    async with visit.connection() as connection:
        user = await _known(visit, connection)
    return await visit.page("administration/ops_right.html", user=user, errors={})


async def change_ops_right(visit: Visit) -> Response:
    """Make the person one of ops, or no more. Nobody takes it from themselves: so there is always one."""
    form = await visit.form()
    async with visit.connection() as connection:
        user = await _known(visit, connection)
    is_ops = form["do"] == "give"
    if user.id == visit.user.id and not is_ops:
        errors = {"": "That is you: another one of ops has to take the right from you."}
        return await visit.page("administration/ops_right.html", status=422, user=user, errors=errors)
    async with visit.change(form) as connection:
        try:
            await set_ops(connection, user.email, is_ops=is_ops, actor=visit.actor)
        except CampaignsError as error:
            raise PageRefused(400, said(error)) from None
        sentence = f"{user.email} is one of ops now." if is_ops else f"{user.email} is no more one of ops."
        return await visit.done(connection, url("ops_user", user_id=user.id), sentence)


async def _known(visit: Visit, connection: Connection) -> User:
    """The person that the path names. Raises PageRefused."""
    user_id = visit.parameter("user_id")
    # No id has a zero byte, and the database takes no text that does.
    row = None if "\0" in user_id else await connection.fetchrow(SQL["find_user"], user_id)
    if row is None:
        raise PageRefused(404)
    return User(**row)


async def _shown_search(
    visit: Visit, *, form: Form | None = None, errors: Mapping[str, str] | None = None
) -> Response:
    async with visit.connection() as connection:
        ops = await connection.fetch(SQL["list_ops"])
    typed = form["email"] if form else ""
    return await visit.page(
        "administration/users.html", status=422 if errors else 200, ops=ops, typed=typed, errors=errors or {}
    )


ROUTES: Final = (
    ConsoleRoute("ops_users", "/ops/users", {"GET": show_users, "POST": find}, Action.ADMINISTER),
    ConsoleRoute("ops_user", "/ops/users/{user_id}", {"GET": show_user, "POST": end_all_sessions}, Action.ADMINISTER),
    ConsoleRoute(
        "ops_right", "/ops/users/{user_id}/ops", {"GET": show_ops_right, "POST": change_ops_right}, Action.ADMINISTER,
        is_fresh=True,
    ),
)  # fmt: skip
