"""What keeps other sites out of pages: where an unsafe request comes from, and the headers of every answer (9-console.md §2)."""

from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
)
REPORTS_PATH: Final = "/reports/csp"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = (
    (b"content-security-policy", f"{POLICY}; report-to csp; report-uri {REPORTS_PATH}".encode()),
    (b"reporting-endpoints", f'csp="{REPORTS_PATH}"'.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"x-frame-options", b"DENY"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")


def is_own(request: Request, url: str | None) -> bool:
    """Whether a request may change something: it is a safe one, or comes from a page of ours.

    Browsers say so by `Sec-Fetch-Site`; those that don't, by `Origin`, which must be `url` or, without it, the address that the
    request was sent to. Whoever says neither is refused.
    """
    if request.method in _SAFE:
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return False
    if url is not None:
        return origin == _origin_of(url)
    return urlsplit(origin).netloc == request.headers.get("host", "")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Headers:
    """Wraps the application: gives each answer its headers. `is_secure`: browsers reach us by TLS alone."""

    def __init__(self, app: ASGIApp, *, is_secure: bool) -> None:
        self._app: Final = app
        self._headers: Final = (*_HEADERS, _HSTS) if is_secure else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)
