"""The pages about oneself: where one is logged in; and the end of a session."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from console.login.sessions import COOKIE, end_session, list_sessions
from console.paths import url
from console.routes import Access, ConsoleRoute
from console.visits import Visit


async def show_account(visit: Visit) -> Response:
    """Where the visitor is logged in."""
    async with visit.connection() as connection:
        sessions = await list_sessions(connection, visit.user.id, visit.settings.console)
    return await visit.page("login/account.html", sessions=sessions)


async def log_out(visit: Visit) -> Response:
    """End this session, and let the browser forget what it has seen."""
    if visit.visitor is not None:
        async with visit.connection() as connection:
            await end_session(connection, visit.session.id, visit.user.id)
    answer = RedirectResponse(url("login"), 303)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


ROUTES: Final = (
    ConsoleRoute("account", "/account", {"GET": show_account}, Access.USERS),
    ConsoleRoute("logout", "/logout", {"POST": log_out}, Access.ANYBODY),
)
