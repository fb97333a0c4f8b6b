"""The pages about oneself: where one is logged in; and the end of a session."""

from typing import Final

from starlette.responses import RedirectResponse, Response

from console.login.sessions import COOKIE, Ended, end_session, end_sessions, list_sessions
from console.paths import url
from console.routes import Access, ConsoleRoute
from console.visits import Visit


async def show_account(visit: Visit) -> Response:
    """Where the visitor is logged in."""
    async with visit.connection() as connection:
        sessions = await list_sessions(connection, visit.user.id, visit.settings.console)
    return await visit.page("login/account.html", sessions=sessions)


async def end_one(visit: Visit) -> Response:
    """End one of the visitor's sessions."""
    form = await visit.form()
    async with visit.change(form) as connection:
        is_ended = await end_session(
            connection, form["session"], visit.user.id, actor=visit.actor, reason=Ended.USER
        )
        sentence = "That session has ended." if is_ended else "That session had ended already."
        return await visit.done(connection, url("account"), sentence)


async def end_others(visit: Visit) -> Response:
    """End all of the visitor's sessions but this one."""
    form = await visit.form()
    async with visit.change(form) as connection:
        count = await end_sessions(
            connection, visit.user.id, but=visit.session.id, actor=visit.actor, reason=Ended.USER
        )
        sentence = "1 other session has ended." if count == 1 else f"{count} other sessions have ended."
        return await visit.done(connection, url("account"), sentence)


async def log_out(visit: Visit) -> Response:
    """End this session, and let the browser forget what it has seen."""
    if visit.visitor is not None:
        async with visit.connection() as connection, connection.transaction():
            await end_session(
                connection, visit.session.id, visit.user.id, actor=visit.actor, reason=Ended.LOGOUT
            )
    answer = RedirectResponse(url("login"), 303)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


ROUTES: Final = (
    ConsoleRoute("account", "/account", {"GET": show_account}, Access.USERS),
    ConsoleRoute("end-session", "/account/sessions/end", {"POST": end_one}, Access.USERS),
    ConsoleRoute("end-other-sessions", "/account/sessions/end-others", {"POST": end_others}, Access.USERS),
    ConsoleRoute("logout", "/logout", {"POST": log_out}, Access.ANYBODY),
)
