"""The pages of this room as an ASGI application. Whatever isn't one of them is 404, also with a slash at its end."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from api import metrics
from api.admission import Admission
from api.calls import Endpoint, Work
from api.health import Health
from api.openapi.document import openapi_json
from api.provider_callbacks.callback_keys import CallbackKeys
from api.provider_callbacks.callbacks import Callbacks
from api.provider_callbacks.receipt_groups import ReceiptGroups
from config.section import networks
from config.sending_sections import APISettings
from web import metrics as web_metrics
from web.answers import error_answer
from web.gate import Gate
from web.pacing import Pacer

# An endpoint's name in metrics and logs, its method, and its path below /api/v2/campaigns/{campaign_id} (8-api.md §2).
ENDPOINTS: Final = (
    ("send_message", "POST", "/messages"),
    ("retrieve_message", "GET", "/messages/{message_id}"),
    ("retry_message", "POST", "/messages/{message_id}/retry"),
    ("send_batch", "POST", "/batch/messages"),
    ("retry_batch", "POST", "/batch/{batch_id}/retry"),
    ("list_batch_messages", "GET", "/batch/{batch_id}/messages"),
    ("list_messages", "GET", "/messages"),
)
# An alert on an increase sees the first event only where the series was there before it, at 0.
for _name, _, _ in ENDPOINTS:
    metrics.CALL_SECONDS.labels(_name)
    for _status in ("500", "503"):
        web_metrics.REQUESTS.labels(_name, _status)
_CAMPAIGN: Final = "/api/v2/campaigns/{campaign_id}"


def make_app(
    settings: APISettings,
    health: Health,
    keys: CallbackKeys,
    groups: ReceiptGroups,
    admission: Admission,
    works: Mapping[str, Work],
    pacer: Pacer,
) -> ASGIApp:
    """All pages, behind the gate. `works` has the work of each endpoint by its name."""

    async def show_health(_request: Request) -> Response:
        """200 while a call could be accepted."""
        return JSONResponse({"status": "ok"}) if health.is_well else error_answer(503)

    async def show_openapi(_request: Request) -> Response:
        return Response(openapi_json(), media_type="application/json")

    pages = Starlette(
        routes=[
            *_endpoint_routes(admission, works),
            Route("/api/v2/health", show_health, methods=["GET"]),
            Route("/api/v2/openapi.json", show_openapi, methods=["GET"]),
            Route("/callbacks/{rest:path}", Callbacks(keys, groups).take, methods=["POST"]),
        ],
        exception_handlers={HTTPException: _answer_error, Exception: _answer_crash},
    )
    pages.router.redirect_slashes = False
    return Gate(pages, networks(settings.trusted_proxies), pacer)


def _endpoint_routes(admission: Admission, works: Mapping[str, Work]) -> list[Route]:
    """A route for each path, so that a wrong method's answer allows all that the path has."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for name, method, path in ENDPOINTS:
        by_path.setdefault(path, {})[method] = Endpoint(name, admission, works[name])
    return [
        Route(_CAMPAIGN + path, _by_method(endpoints), methods=list(endpoints))
        for path, endpoints in by_path.items()
    ]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        # A HEAD is a GET without its body, which the server leaves out.
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method].answer(request)

    return answer


def _answer_error(_request: Request, error: Exception) -> Response:
    """Shape A for what the router refuses: no such page, or not by this method."""
    if not isinstance(error, HTTPException):
        return error_answer(500)
    return error_answer(error.status_code, dict(error.headers or {}))


def _answer_crash(_request: Request, _error: Exception) -> Response:
    return error_answer(500)
