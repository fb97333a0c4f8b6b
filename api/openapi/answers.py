"""The answers that are no success, and the headers of all, as components of the document (8-api.md §1, §4)."""

from collections.abc import Mapping
from typing import Final

from api.openapi.schemas import Schema, ref

# The codes of shape B, and when each comes.
DOMAIN_CODES: Final[Mapping[str, str]] = {
    "parameter_invalid": (
        "a value has unsupported characters (English only), white space at an end or control characters; or a parameter is "
        "missing or unknown"
    ),
    "recipient_invalid": "the recipient's number can't be texted; the text is that of a report",
    "language_unavailable": "the template has no such language",
    "language_unknown": "there is no such language",
    "message_too_long": "over 1,000 characters once filled in",
    "nric_not_enabled": "the campaign may not send by NRIC",
    "nric_invalid": "that is no NRIC",
    "nric_mobile_not_found": "no mobile number is known for that NRIC",
    "message_not_retryable": "its last attempt has not failed, it was stopped, or its batch is not ready",
    "retry_limit_reached": "it was retried as often as it may be",
    "batch_not_retryable": "some of its messages have not begun, or its status does not allow it",
    "idempotency_key_reused": "the Idempotency-Key came before, with another request",
    "idempotency_key_in_use": "the first request with this Idempotency-Key is still under way",
}


def _header(description: str, **schema: object) -> Schema:
    return {"description": description, "required": True, "schema": {"type": "string", **schema}}


# On every answer.
_ALWAYS: Final[Mapping[str, Schema]] = {
    "X-Request-Id": {"$ref": "#/components/headers/RequestId"},
    "Cache-Control": {"$ref": "#/components/headers/CacheControl"},
}
HEADERS: Final[Mapping[str, Schema]] = {
    "RequestId": _header(
        "The request's own X-Request-Id if it sent a fit one, else ours. It is in the log.",
        pattern="^[A-Za-z0-9._-]{1,64}$",
    ),
    "CacheControl": _header("Nothing is to be cached.", const="no-store"),
    "RetryAfter": _header("Seconds after which to come again.", pattern="^[1-9][0-9]*$"),
    "WWWAuthenticate": _header("How to log in.", const="Bearer"),
    "Allow": _header("The methods that this path has."),
    "IdempotencyReplayed": {
        "description": "There where this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"const": "true", "type": "string"},
    },
}
_RETRY: Final[Mapping[str, Schema]] = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
REPLAYED: Final[Mapping[str, Schema]] = {
    "Idempotency-Replayed": {"$ref": "#/components/headers/IdempotencyReplayed"}
}


def answer(
    description: str, schema: Schema | None, headers: Mapping[str, Schema] | None = None
) -> dict[str, object]:
    """An answer of JSON, or without a body."""
    found: dict[str, object] = {"description": description, "headers": {**_ALWAYS, **(headers or {})}}
    if schema is not None:
        found["content"] = {"application/json": {"schema": schema}}
    return found


def _about_request(description: str, headers: Mapping[str, Schema] | None = None) -> Schema:
    return answer(f"{description}.", ref("RequestError"), headers)


# By the name under which operations refer to them.
ANSWERS: Final[Mapping[str, Schema]] = {
    "BadRequest": _about_request("The request is malformed. `message` names what is wrong"),
    "BadSingleSend": answer(
        "The body is malformed, or the message can't be sent: nothing was accepted.",
        {"anyOf": [ref("RequestError"), ref("DomainError")]},
        REPLAYED,
    ),
    "BadBatch": answer(
        "The request is malformed, or the file was refused: nothing was accepted.",
        {"anyOf": [ref("RefusedBatch"), ref("RequestError")]},
        REPLAYED,
    ),
    "BadRetry": answer(
        "The request is malformed, or this can't be retried now.",
        {"anyOf": [ref("RequestError"), ref("DomainError")]},
    ),
    "Unauthorized": _about_request(
        "No key, a wrong key, or one that was deleted",
        {"WWW-Authenticate": {"$ref": "#/components/headers/WWWAuthenticate"}},
    ),
    "Forbidden": _about_request(
        "The key is another campaign's, the call comes from an address that is not allowed, or the campaign is suspended",
    ),
    "NotFound": _about_request("There is no such page, message or batch"),
    "Archived": _about_request(
        "The messages are archived: nothing is to be sent again. Ask the operators for them"
    ),
    "MethodNotAllowed": _about_request(
        "The path has no such method",
        {"Allow": {"$ref": "#/components/headers/Allow"}},
    ),
    "KeyInUse": answer(
        "The first request with this Idempotency-Key is still under way: `idempotency_key_in_use`.",
        ref("DomainError"),
    ),
    "TooLarge": _about_request("The body is too large"),
    "PathTooLong": _about_request("The path is longer than 2 KiB"),
    "WrongMediaType": _about_request("The body's media type is another one"),
    "KeyReused": answer(
        "The Idempotency-Key came before, with another request: `idempotency_key_reused`.", ref("DomainError")
    ),
    "TooManyRequests": _about_request(
        "Over the campaign's rate; the call was dropped, and does not count", _RETRY
    ),
    "HeadTooLarge": _about_request("The headers are larger than 32 KiB"),
    "InternalError": _about_request("Our fault. Nothing was accepted"),
    "Unavailable": _about_request("Not now. Nothing was accepted: send it again", _RETRY),
}


def answers_to(status_names: Mapping[int, str]) -> dict[str, Schema]:
    """References to components by status, for an operation."""
    return {
        str(status): {"$ref": f"#/components/responses/{name}"}
        for status, name in sorted(status_names.items())
    }
