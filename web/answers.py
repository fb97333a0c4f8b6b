"""What every answer has: the error shape about a request (shape A of 8-api.md §4), and headers."""

import json
import re
import uuid
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

# Seconds after which whoever got 503 should ask again.
RETRY_AFTER: Final = 5
_PHRASES: Final = {413: "Payload Too Large", 414: "URI Too Long"}

_REQUEST_ID: Final = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._-]{1,64})[ \t]*\r\n", re.IGNORECASE)
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """An answer's first line."""
    return _STATUS_LINES[status]


def error_body(status: int, message: str = "") -> bytes:
    """Shape A: `message`, else the words of the status."""
    words = message or _PHRASES.get(status) or HTTPStatus(status).phrase
    document = {"message": words, "statusCode": status}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def raw_error(status: int, headers: Iterable[tuple[bytes, bytes]], received: bytes) -> bytes:
    """A whole answer of shape A to what is no request, as it is written. It ends the connection.

    Its X-Request-Id is the caller's own as far as that can be made out in `received`, else a new one.
    """
    body = error_body(status)
    named = _REQUEST_ID.search(received)
    lines = (
        *headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", named[1] if named else uuid.uuid4().hex.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    )
    return status_line(status) + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n" + body


def error_answer(status: int, headers: dict[str, str] | None = None, *, message: str = "") -> Response:
    """An answer of shape A; 429 and 503 say when to come again, and one to a request that wasn't read ends the connection."""
    more = dict(headers or {})
    if status in {429, 503}:
        more.setdefault("Retry-After", str(RETRY_AFTER))
    if status in {413, 414, 431}:
        more["Connection"] = "close"
    return Response(
        error_body(status, message), status_code=status, headers=more, media_type="application/json"
    )
