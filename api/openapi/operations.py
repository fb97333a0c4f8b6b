"""The paths and their operations: the seven calls of 8-api.md §2, and the two pages that need no key."""

from collections.abc import Mapping
from typing import Final

from api.openapi.answers import REPLAYED, answer, answers_to
from api.openapi.schemas import BATCH_EXAMPLE, MESSAGE_EXAMPLE, Schema, ref

_CAMPAIGN: Final = "/campaigns/{campaignId}"
# What may happen to any request, and to one with a key.
_ANY: Final[Mapping[int, str]] = {
    400: "BadRequest", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 414: "PathTooLong", 431: "HeadTooLarge",
    500: "InternalError", 503: "Unavailable",
}  # fmt: skip
_CALL: Final[Mapping[int, str]] = {**_ANY, 401: "Unauthorized", 429: "TooManyRequests"}
_SENDING: Final[Mapping[int, str]] = {
    **_CALL, 409: "KeyInUse", 413: "TooLarge", 415: "WrongMediaType", 422: "KeyReused",
}  # fmt: skip


def _parameter(place: str, name: str, description: str, schema: Schema, **more: object) -> Schema:
    return {"name": name, "in": place, "description": description, "schema": schema, **more}


PARAMETERS: Final[Mapping[str, Schema]] = {
    "CampaignId": _parameter("path", "campaignId", "The key's campaign.", ref("CampaignId"), required=True),
    "MessageId": _parameter(
        "path", "messageId", "A message of the campaign.", {"type": "string"}, required=True, example=MESSAGE_EXAMPLE
    ),
    "BatchId": _parameter(
        "path", "batchId", "A batch of the campaign.", {"type": "string"}, required=True, example=BATCH_EXAMPLE
    ),
    "IdempotencyKey": _parameter(
        "header",
        "Idempotency-Key",
        "Makes it safe to send the same request again: within 24 hours it is answered as the first time, byte for byte, and "
        "nothing is sent twice. A new one for each new message.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
        example="3f0c1f3e-8c5e-4b7a-9b55-0d8f3c1c7a10",
    ),
    "Limit": _parameter(
        "query", "limit", "How many, at most.", {"type": "integer", "minimum": 1, "maximum": 1000}, required=True
    ),
    "After": _parameter(
        "query", "after", "The page that follows this cursor: older ones. Not with `before`.", {"type": "string"}
    ),
    "Before": _parameter(
        "query", "before", "The page just before this cursor: newer ones. Not with `after`.", {"type": "string"}
    ),
    "Search": _parameter(
        "query", "search", "Part of the recipient's number.", {"type": "string", "maxLength": 20, "pattern": "^[0-9]*$"}
    ),
}  # fmt: skip


def _operation(
    name: str,
    summary: str,
    description: str,
    answers: Mapping[str, Schema],
    parameters: tuple[str, ...] = (),
    body: Schema | None = None,
) -> dict[str, object]:
    found: dict[str, object] = {"operationId": name, "summary": summary, "description": description}
    if parameters:
        found["parameters"] = [{"$ref": f"#/components/parameters/{one}"} for one in parameters]
    if body is not None:
        found["requestBody"] = body
    found["responses"] = dict(sorted(answers.items()))
    return found


_PAGES: Final = ("Limit", "After", "Before", "Search")
_LIST: Final = (
    "From newest to oldest, by `createdAt` and then `id`. Go on with `after` and `pageData.endCursor` while `hasNextPage` is "
    "true. With `search` a page may hold fewer than `limit`, even none, and still have a next one."
)

_SEND: Final = _operation(
    "send_message",
    "Send one message",
    "201 is said once the message is stored; anything else means that nothing was accepted.",
    {
        **answers_to({**_SENDING, 400: "BadSingleSend"}),
        "201": answer("The message was accepted.", ref("CreatedMessage"), REPLAYED),
    },
    ("IdempotencyKey",),
    {"required": True, "content": {"application/json": {"schema": ref("SingleSend")}}},
)
_SEND_BATCH: Final = _operation(
    "send_batch",
    "Send many messages, from a CSV",
    "The answer waits for the verdict on the file, up to 25 s. Either every row becomes a message, or none. "
    "The file is smaller than 30 MiB; its name ends in `.csv`. 5xx means that nothing was accepted.",
    {
        **answers_to({**_SENDING, 400: "BadBatch"}),
        "201": answer("The file was accepted: a message for each row.", ref("AcceptedBatch"), REPLAYED),
    },
    ("IdempotencyKey",),
    {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "contentMediaType": "text/csv",
                            "description": "CSV in UTF-8: `recipient`, `language`, and a column for each parameter.",
                        }
                    },
                    "required": ["file"],
                },
                "encoding": {"file": {"contentType": "text/csv"}},
            }
        },
    },
)
_RETRIEVE: Final = _operation(
    "retrieve_message",
    "One message, its status and its attempts",
    "Ask for it until `latestStatus` is `success` or `failure`.",
    {**answers_to({**_CALL, 410: "Archived"}), "200": answer("The message.", ref("Message"))},
)
_RETRY: Final = _operation(
    "retry_message",
    "Send a failed message again",
    "Under the same id, as a new attempt. No body.",
    {**answers_to({**_CALL, 400: "BadRetry"}), "201": answer("It goes again.", ref("RetriedMessage"))},
)
_RETRY_BATCH: Final = _operation(
    "retry_batch",
    "Send all failed messages of a batch again",
    "Under the same ids. No body. Those that were retried as often as they may be are left out.",
    {**answers_to({**_CALL, 400: "BadRetry"}), "201": answer("Recorded. The answer has no body.", None)},
)
_LIST_OF_BATCH: Final = _operation(
    "list_batch_messages",
    "A batch's messages, paged",
    _LIST,
    {**answers_to({**_CALL, 410: "Archived"}), "200": answer("A page.", ref("PageOfBatch"))},
    _PAGES,
)
_LIST_OF_CAMPAIGN: Final = _operation(
    "list_messages",
    "A campaign's messages, paged",
    _LIST,
    {**answers_to(_CALL), "200": answer("A page.", ref("PageOfCampaign"))},
    _PAGES,
)


def _path(parameters: tuple[str, ...], **operations: Schema) -> dict[str, object]:
    shared = [{"$ref": f"#/components/parameters/{name}"} for name in parameters]
    return {**({"parameters": shared} if shared else {}), **operations}


def _page(name: str, summary: str, answers: Mapping[str, Schema]) -> dict[str, object]:
    """A page that needs no key."""
    return {**_operation(name, summary, "Needs no key.", answers), "security": []}


PATHS: Final[Mapping[str, Schema]] = {
    f"{_CAMPAIGN}/messages": _path(("CampaignId",), post=_SEND, get=_LIST_OF_CAMPAIGN),
    f"{_CAMPAIGN}/messages/{{messageId}}": _path(("CampaignId", "MessageId"), get=_RETRIEVE),
    f"{_CAMPAIGN}/messages/{{messageId}}/retry": _path(("CampaignId", "MessageId"), post=_RETRY),
    f"{_CAMPAIGN}/batch/messages": _path(("CampaignId",), post=_SEND_BATCH),
    f"{_CAMPAIGN}/batch/{{batchId}}/retry": _path(("CampaignId", "BatchId"), post=_RETRY_BATCH),
    f"{_CAMPAIGN}/batch/{{batchId}}/messages": _path(("CampaignId", "BatchId"), get=_LIST_OF_BATCH),
    "/health": _path(
        (),
        get=_page(
            "show_health",
            "Whether calls are accepted",
            {**answers_to(_ANY), "200": answer("They are.", ref("Health"))},
        ),
    ),
    "/openapi.json": _path(
        (),
        get=_page(
            "show_openapi",
            "This document",
            {**answers_to(_ANY), "200": answer("This document.", {"type": "object"})},
        ),
    ),
}
