"""What every answer has: the error shape about a request (shape A of 8-api.md §4), and headers."""

import json
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

# Seconds after which whoever got 503 should ask again.
RETRY_AFTER: Final = 5
_PHRASES: Final = {413: "Payload Too Large", 414: "URI Too Long"}


def error_body(status: int, message: str = "") -> bytes:
    """Shape A: `message`, else the words of the status."""
    words = message or _PHRASES.get(status) or HTTPStatus(status).phrase
    document = {"message": words, "statusCode": status}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


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
