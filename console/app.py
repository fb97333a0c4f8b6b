"""All pages as an ASGI application: each request passes the same checks in the same order, and only then its page is asked.

The order: where it comes from (protection.py), who asks, whether the campaign is there for them (404), whether they may (403),
and whether they gave a code lately.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from campaigns.people.permissions import Action
from config.errors import ConfigError
from config.logs import get_logger
from config.section import networks
from console import metrics
from console.errors import GoTo, PageRefused, archived_words
from console.login.sessions import COOKIE, find_session, is_fresh
from console.login.visitors import fetch_visitor
from console.paths import own_path, url
from console.routes import Access, ConsoleRoute
from console.subjects import fetch_place
from console.technical.protection import Headers, is_own
from console.visits import Services, Visit
from database.errors import OutcomeUnknown
from messages.errors import MessagesArchived
from web import metrics as web_metrics
from web.gate import Gate
from web.pacing import Pacer

logger = get_logger("console")

_SENTENCES: Final = {
    400: "The request could not be read: open the page again.",
    403: "Your role doesn't allow this here: ask an owner of the campaign, or your agency's person in charge.",
    404: "There is no such page, or it isn't there for you: look at the address, or start from your campaigns.",
    405: "This page can't be asked for in this way: open it again from its link.",
    413: "What was sent is too long.",
    500: "Something went wrong here; nothing was changed. Try again, and tell ops if it stays so.",
    503: "The service is away for a moment; nothing was changed. Try again in a minute.",
}
_TITLES: Final = {
    400: "Bad request", 403: "Not allowed", 404: "Page not found", 405: "Not possible", 410: "Archived", 413: "Too long",
    415: "Bad request", 500: "Something went wrong", 503: "Try again in a minute",
}  # fmt: skip
_CROSS_SITE: Final = (
    "This came from another site, and was refused: open the page here, and send it from there."
)


class Application:
    """Turns requests into visits, visits into answers, and what goes wrong into pages that say so."""

    def __init__(self, services: Services) -> None:
        self._services: Final = services

    def endpoint(self, route: ConsoleRoute) -> Route:
        """The route as starlette knows it."""
        # Requests of all parts are counted together, and alerts tell the API's by their names.
        endpoint = f"console_{route.name}"
        for status in ("500", "503"):
            web_metrics.REQUESTS.labels(endpoint, status)
        seconds = metrics.PAGE_SECONDS.labels(route.name)

        async def answer(request: Request) -> Response:
            request.scope["state"]["endpoint"] = endpoint
            began = perf_counter()
            try:
                return await self._answer(route, request)
            finally:
                # A file takes as long as its sender's line does.
                if not route.is_stream and not (route.takes_files and request.method == "POST"):
                    seconds.observe(perf_counter() - began)

        return Route(route.path, answer, methods=list(route.methods), name=route.name)

    async def _answer(self, route: ConsoleRoute, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        visit = Visit(request, self._services)
        try:
            if not is_own(request, self._services.settings.console.url):
                metrics.CROSS_SITE.inc()
                raise PageRefused(403, _CROSS_SITE)
            await self._admit(route, visit, method)
            if route.is_stream and request.method == "HEAD":
                # Nobody would read its events, and it would never end.
                return Response(media_type="text/event-stream")
            return await route.methods[method](visit)
        except GoTo as go:
            return RedirectResponse(go.path, 303)
        except PageRefused as refusal:
            return self.error(refusal.status, refusal.message, visit)
        except MessagesArchived as archived:
            return self.error(410, archived_words(archived.archive), visit)
        except OutcomeUnknown as error:
            logger.warning("page_uncertain", page=route.name, request_id=_id_of(request), reason=str(error))
            return self.error(
                503,
                "It isn't known whether that was done: look whether it was before you do it again.",
                visit,
            )
        except ConfigError as error:
            logger.warning("page_unavailable", page=route.name, request_id=_id_of(request), reason=str(error))
            return self.error(503, "", visit)
        except ClientDisconnect:
            # Nobody reads this.
            return Response(status_code=400)
        except Exception:
            # Its text may hold a value; where it happened is enough.
            logger.exception("page_crashed", page=route.name, request_id=_id_of(request))
            return self.error(500, "", visit)

    async def _admit(self, route: ConsoleRoute, visit: Visit, method: str) -> None:
        """Find out who asks and about what. Raises GoTo (to the login, or to a fresh code), PageRefused (404, 403)."""
        needs = route.needs_for(method)
        if needs is Access.NOBODY:
            return
        request, settings = visit.request, self._services.settings.console
        async with visit.connection() as connection:
            session = await find_session(
                connection, request.cookies.get(COOKIE), settings, is_activity=not route.is_stream
            )
            if session is not None:
                visit.visitor, visit.banner = await fetch_visitor(connection, session, settings)
            if needs is Access.ANYBODY:
                return
            if visit.visitor is None:
                if route.is_stream:
                    raise PageRefused(403, "You are logged out: log in again.")
                raise GoTo(_login_path(route, request))
            await self._services.prices.refresh(connection)
            if route.subject is not None:
                if any("\0" in str(value) for value in request.path_params.values()):
                    # No id has it, and the database takes no text that does.
                    raise PageRefused(404)
                campaign_id = await route.subject(connection, request.path_params)
                visit.place = None if campaign_id is None else await fetch_place(connection, campaign_id)
                if visit.place is None or not visit.may(Action.SEE_CAMPAIGN):
                    raise PageRefused(404)
            if isinstance(needs, tuple) and not any(visit.may(action) for action in needs):
                raise PageRefused(403)
            if route.is_fresh and not await is_fresh(connection, visit.session.id, settings):
                raise GoTo(url("confirm", next=_shown_path(route, request)))

    def error(self, status: int, message: str = "", visit: Visit | None = None) -> Response:
        """A page that says what is wrong."""
        content = self._services.renderer.render(
            "error.html",
            visit=visit,
            flash=(),
            title=_TITLES.get(status, "Not possible"),
            sentence=message or _SENTENCES.get(status, _SENTENCES[400]),
        )
        headers = {"Retry-After": "5"} if status == 503 else None
        return HTMLResponse(content, status, headers)


def make_app(services: Services, routes: Sequence[ConsoleRoute], pacer: Pacer) -> ASGIApp:
    """All pages, behind the gate."""
    application = Application(services)
    settings = services.settings.console

    def answer_error(_request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        answer = application.error(status)
        if isinstance(error, HTTPException) and error.headers and "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer

    pages = Starlette(
        routes=[application.endpoint(route) for route in routes],
        exception_handlers={HTTPException: answer_error, Exception: answer_error},
    )
    pages.router.redirect_slashes = False
    is_secure = settings.tls_certificate is not None or (settings.url or "").startswith("https:")
    return Gate(
        Headers(GZipMiddleware(pages, minimum_size=1000, compresslevel=5), is_secure=is_secure),
        networks(settings.trusted_proxies),
        pacer,
    )


def _own_path(request: Request) -> str:
    """The path and query that were asked for, as a path of ours."""
    path = quote(request.url.path, safe="/:@!$&'()*+,;=-._~")
    return f"{path}?{request.url.query}" if request.url.query else path


def _shown_path(route: ConsoleRoute, request: Request) -> str:
    """The page to go back to: what was asked for, or the page whose form was sent where that is no page by itself."""
    if "GET" in route.methods:
        return _own_path(request)
    referrer = urlsplit(request.headers.get("referer", ""))
    path = f"{referrer.path}?{referrer.query}" if referrer.query else referrer.path
    return own_path(path) or url("home")


def _login_path(route: ConsoleRoute, request: Request) -> str:
    """Where to log in; afterwards the page is shown that was asked for, or whose form was sent."""
    path = _shown_path(route, request)
    return url("login", next=None if path == url("home") else path)


def _id_of(request: Request) -> str:
    return str(request.scope["state"]["request_id"])
