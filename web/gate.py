"""What each request passes first: whether it came safely and fits the limits; and what each answer gets: its headers."""

import re
import uuid
from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from config.addresses import Address, Network, is_listed
from config.logs import get_logger
from web import metrics
from web.addresses import caller_address
from web.answers import error_answer
from web.pacing import Pacer

logger = get_logger("api")

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

# What guesses of keys and campaigns are answered.
_PACED: Final = frozenset({401, 403})


class Gate:
    """Wraps the application. `proxies`: TLS fronts from which plain HTTP is taken, as from loopback (8-api.md §1)."""

    def __init__(self, app: ASGIApp, proxies: Sequence[Network], pacer: Pacer) -> None:
        self._app = app
        self._proxies = proxies
        self._pacer = pacer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Only HTTP comes here: there are no WebSockets and no lifespan.

        Of web.protocol, `scope["state"]` has `peer` and `source`: whom the socket is connected with, and whom a listed proxy
        passes on by the PROXY protocol, or else the same. It gets `request_id`, and `address`: the caller's real Address, or None
        where nobody knows it; whoever needs one refuses None.
        """
        request_id = _request_id(scope)
        scope["state"]["request_id"] = request_id
        scope["state"]["address"] = self._caller_of(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] in _PACED:
                    self._pacer.hold(scope)
                metrics.REQUESTS.labels(scope["state"].get("endpoint", "none"), str(message["status"])).inc()
                headers = list(message["headers"])
                if all(name != b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                headers += [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                message["headers"] = headers
            await send(message)

        if scope["scheme"] != "https" and not self._is_near(scope["state"]["peer"]):
            await error_answer(403)(scope, receive, send_with_headers)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            # The application has answered 500 already; a callback's path and body must not get into the log.
            logger.exception("request_crashed", request_id=request_id)

    def _is_near(self, peer: Address) -> bool:
        return peer.is_loopback or is_listed(peer, self._proxies)

    def _caller_of(self, scope: Scope) -> Address | None:
        source: Address = scope["state"]["source"]
        if not self._proxies:
            return source
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return caller_address(source, forwarded, self._proxies)


def _request_id(scope: Scope) -> str:
    """The caller's own where it sent a fit one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex
