"""The pages of this room as an ASGI application. Whatever isn't one of them is 404, also with a slash at its end."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api.answers import error_answer
from api.callback_keys import CallbackKeys
from api.callbacks import Callbacks
from api.gate import Gate
from api.receipt_groups import ReceiptGroups
from config.section import networks
from config.sending_sections import APISettings


def make_app(settings: APISettings, keys: CallbackKeys, groups: ReceiptGroups) -> ASGIApp:
    """All pages, behind the gate."""

    async def show_health(_request: Request) -> Response:
        """200 while a callback could be recorded."""
        return JSONResponse({"status": "ok"}) if keys.is_up else error_answer(503)

    pages = Starlette(
        routes=[
            Route("/api/v2/health", show_health, methods=["GET"]),
            Route("/callbacks/{rest:path}", Callbacks(keys, groups).take, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _answer_error, Exception: _answer_crash},
    )
    pages.router.redirect_slashes = False
    return Gate(pages, networks(settings.trusted_proxies))


def _answer_error(_request: Request, error: Exception) -> Response:
    """Shape A for what the router refuses: no such page, or not by this method."""
    if not isinstance(error, HTTPException):
        return error_answer(500)
    return error_answer(error.status_code, dict(error.headers or {}))


def _answer_crash(_request: Request, _error: Exception) -> Response:
    return error_answer(500)
