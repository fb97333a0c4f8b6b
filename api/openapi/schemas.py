"""What goes in and comes out, as JSON Schemas. Properties stand in the order in which answers have them.

Answers may get further keys at the end of an object one day (8-api.md §1), so their schemas are open; requests are closed, as
a key that the API doesn't know is refused.
"""

from collections.abc import Mapping
from typing import Final

from messages.statuses import ErrorCode, ErrorType, MessageStatus
from rules.codes import FindingCode
from rules.templates import Language

Schema = Mapping[str, object]

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# In Singapore's time, in milliseconds.
_TIME_EXAMPLE: Final = "2026-11-25T09:30:12.417+08:00"
MESSAGE_EXAMPLE: Final = "message_019abc01-7c31-8a52-8d0e-5b1f00000001"
BATCH_EXAMPLE: Final = "batch_0d9c31e2-4b7f-4c58-9a61-7e20c4f1a3b8"


def ref(name: str) -> Schema:
    """A schema of `SCHEMAS` by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def answer_of(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    """An object of an answer, with these keys in this order; all are always there but the optional ones."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def _text(description: str, **more: object) -> Schema:
    return {"type": "string", "description": description, **more}


def _identifier(kind: str, description: str, example: str) -> Schema:
    return _text(description, pattern=f"^{kind}_{_UUID}$", examples=[example])


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


_TIME: Final = ref("Time")
_CREATED_AT: Final = {"createdAt": _TIME, "updatedAt": _TIME}
_CREATOR: Final = {"creatorId": ref("UserId")}
_VALUES: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "description": "The template's parameters and their values.",
}
# A message as every answer shows it, up to the place where the answers differ.
_MESSAGE: Final[Mapping[str, Schema]] = {
    **_CREATED_AT,
    "id": ref("MessageId"),
    "recipient": _text("The mobile number: digits with the country code.", examples=["6591234567"]),
    "values": _VALUES,
    **_CREATOR,
    "fullMessage": _text(
        "The text as it is sent, with header and footer; in the test environment its first line is the training sentence."
    ),
    "latestStatus": ref("MessageStatus"),
    "templateBodyId": ref("TemplateBodyId"),
    "campaignId": ref("CampaignId"),
}
_LANGUAGE: Final = ref("Language")
_EMAIL: Final = _text("Mail address of the user who made the message.")
_ITEM_END: Final[Mapping[str, Schema]] = {
    "creatorEmail": _EMAIL,
    "numAttempts": {"type": "integer", "minimum": 1, "description": "How many attempts there are."},
}
_ATTEMPTS: Final[Schema] = {
    "type": "array", "items": ref("MessageAttempt"), "minItems": 1, "description": "Newest first.",
}  # fmt: skip
_BATCHES: Final[Schema] = {
    "type": "array", "items": ref("Batch"), "maxItems": 1,
    "description": "The batch that the message belongs to; empty for a single message.",
}  # fmt: skip
_VERDICT: Final[Mapping[str, Schema]] = {
    "isValid": {"const": False, "type": "boolean"},
    "reportURL": _or_null(
        _text("Link to the file with one column more, `Error Reason`. It holds personal data, and expires.")
    ),
    "numRows": {"type": "integer", "minimum": 0, "description": "Rows with a fault."},
    "numErrors": {"type": "integer", "minimum": 1, "description": "Faults."},
    "fileHasAvoidableExpensiveCharacter": {"type": "boolean"},
    "fileHasUnicode": {"type": "boolean"},
    "errorReason": _text("Where the file as a whole is at fault: why."),
    "errors": {
        "type": "array", "items": ref("Finding"), "maxItems": 100, "description": "The first 100 faults, row by row.",
    },
}  # fmt: skip

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Time": _text(
        "Milliseconds, always +08:00.",
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}\+08:00$",
        examples=[_TIME_EXAMPLE],
    ),
    "CampaignId": _text("A campaign's id.", examples=["campaign_3f6d1f0e-0d0a-4a0e-9d43-5b1b5c8f7a11"]),
    "MessageId": _identifier("message", "A message's id.", MESSAGE_EXAMPLE),
    "BatchId": _identifier("batch", "A batch's id.", BATCH_EXAMPLE),
    "UserId": _identifier(
        "user",
        "The user who made it; for an API key's messages, the user who made the key.",
        "user_5f0c8a74-3f53-5d0a-8a3c-0b6f1d2e4c11",
    ),
    "TemplateId": _identifier(
        "template", "The campaign's template.", "template_8f14e45f-ceea-567a-9a3e-1c2d3e4f5a6b"
    ),
    "TemplateBodyId": _identifier(
        "template-body",
        "What the template says in the message's language.",
        "template-body_c9f0f895-fb98-5b91-a59f-1a2b3c4d5e6f",
    ),
    "Language": {"type": "string", "enum": [language.value for language in Language]},
    "MessageStatus": {
        "type": "string",
        "enum": [status.word for status in MessageStatus],
        "description": (
            "created → enqueued → sending → sent → sent_to_telco → success | failure. The last two are final; for numbers "
            "abroad sent_to_telco is final too."
        ),
    },
    "SingleSend": {
        "type": "object",
        "properties": {
            "recipient": {
                "description": "Mobile number: digits with the country code and no +. Or a person by NRIC, if the campaign may.",
                "anyOf": [
                    {"type": "string", "pattern": "^[0-9]+$"},
                    {"type": "integer", "minimum": 0},
                    ref("NRICRecipient"),
                ],
            },
            "language": _text(
                "One of english, chinese, malay, tamil, in any case, that the template has.",
                pattern="^([Ee][Nn][Gg][Ll][Ii][Ss][Hh]|[Cc][Hh][Ii][Nn][Ee][Ss][Ee]|[Mm][Aa][Ll][Aa][Yy]|[Tt][Aa][Mm][Ii][Ll])$",
            ),
            "values": {
                **_VALUES,
                "description": (
                    "Exactly the template's parameters; {} where it has none. No white space at either end, line breaks as \\n; "
                    "in English no unsupported character; at most 1,000 characters of text once filled in."
                ),
            },
        },
        "required": ["recipient", "language", "values"],
        "additionalProperties": False,
    },
    "NRICRecipient": {
        "type": "object",
        "properties": {
            "value": _text("Case-sensitive. In the test environment an identifier that ops registered."),
            "type": {"const": "nric", "type": "string"},
        },
        "required": ["value", "type"],
        "additionalProperties": False,
    },
    "CreatedMessage": answer_of({**_MESSAGE, "language": _LANGUAGE}),
    "RetriedMessage": answer_of(_MESSAGE),
    "Message": answer_of(
        {
            **_MESSAGE,
            "templateBody": ref("TemplateBody"),
            "batches": _BATCHES,
            "language": _LANGUAGE,
            "creatorEmail": _EMAIL,
            "attempts": {
                "type": "array",
                "items": ref("Attempt"),
                "minItems": 1,
                "description": "Newest first.",
            },
        }
    ),
    "TemplateBody": answer_of(
        {
            **_CREATED_AT,
            "id": ref("TemplateBodyId"),
            "templateId": ref("TemplateId"),
            "language": _LANGUAGE,
            "body": _text("The body, with its parameters as {{name}}."),
            **_CREATOR,
        }
    ),
    "Attempt": {
        **answer_of(
            {
                "status": ref("MessageStatus"),
                "createdAt": _TIME,
                "sentAt": ref("TimeOrNull"),
                "deliveredAt": ref("TimeOrNull"),
                "error": ref("AttemptError"),
            },
            optional=("error",),
        ),
        "description": "`error` stands where the status is failure.",
    },
    "TimeOrNull": {"anyOf": [_TIME, {"type": "null"}], "description": "Null where it isn't known."},
    "AttemptError": answer_of(
        {
            "type": {"type": "string", "enum": [kind.value for kind in ErrorType]},
            "code": {"type": "string", "enum": [code.value for code in ErrorCode]},
        }
    ),
    "AttemptMetadata": {
        "type": "object",
        "properties": {"expiredBy": {"const": "postman", "type": "string"}},
        "description": "Empty but for a message that expired here.",
    },
    "MessageAttempt": answer_of(
        {
            "sentAt": ref("TimeOrNull"),
            "deliveredAt": ref("TimeOrNull"),
            **_CREATED_AT,
            "id": _text("The attempt's id."),
            "messageId": ref("MessageId"),
            "externalAttemptId": _text("The provider's own id; empty where there is none."),
            "status": ref("MessageStatus"),
            "errorType": {"enum": [*(kind.value for kind in ErrorType), None]},
            "errorCode": {"enum": [*(code.value for code in ErrorCode), None]},
            "metadata": ref("AttemptMetadata"),
            **_CREATOR,
            "creator": answer_of({"email": _EMAIL}),
        }
    ),
    "Batch": answer_of(
        {
            **_CREATED_AT,
            "id": ref("BatchId"),
            "originalFileName": _text("The name that the file came with."),
            "status": _text(
                "How far it is with being handed to the sending core.",
                enum=["messages_enqueued", "messages_enqueuing_failed"],
            ),
            "campaignId": ref("CampaignId"),
            **_CREATOR,
            "totalMessages": {"type": "integer", "minimum": 1},
            "BatchMessage": answer_of(
                {
                    **_CREATED_AT,
                    "id": _text("The message's row in the batch.", pattern="^[1-9][0-9]*$", examples=["3"]),
                    "batchId": ref("BatchId"),
                    "messageId": ref("MessageId"),
                }
            ),
        }
    ),
    "MessageOfBatch": answer_of(
        {
            **_MESSAGE,
            "templateBody": ref("TemplateBody"),
            "messageAttempts": _ATTEMPTS,
            "language": _LANGUAGE,
            **_ITEM_END,
        }
    ),
    "MessageOfCampaign": answer_of(
        {
            **_MESSAGE,
            "templateBody": ref("TemplateBody"),
            "batches": _BATCHES,
            "messageAttempts": _ATTEMPTS,
            "language": _LANGUAGE,
            "batchId": ref("BatchId"),
            **_ITEM_END,
        },
        optional=("batchId",),
    ),
    "PageOfBatch": answer_of(
        {"data": {"type": "array", "items": ref("MessageOfBatch")}, "pageData": ref("PageData")}
    ),
    "PageOfCampaign": answer_of(
        {
            "data": {"type": "array", "items": ref("MessageOfCampaign")},
            "pageData": ref("PageData"),
            "archived": _text("On the last page, where older messages are archived: that they are."),
        },
        optional=("archived",),
    ),
    "PageData": answer_of(
        {
            "hasNextPage": {
                "type": "boolean",
                "description": "Whether there are older ones, to be had by `after`.",
            },
            "hasPreviousPage": {
                "type": "boolean",
                "description": "Whether there are newer ones, to be had by `before`.",
            },
            "startCursor": _or_null(
                _text(
                    "That of the first one of `data`; where a search towards newer ones was over before its page was full, of "
                    "the last one looked at. Null where there is none."
                )
            ),
            "endCursor": _or_null(
                _text(
                    "That of the last one of `data`; where a search was over before its page was full, of the last one looked at."
                    " Null where there is none."
                )
            ),
        }
    ),
    "AcceptedBatch": answer_of({"isValid": {"const": True, "type": "boolean"}, "batchId": ref("BatchId")}),
    "RefusedBatch": answer_of(_VERDICT, optional=("errorReason",)),
    "Finding": answer_of(
        {
            "row": {
                "type": ["integer", "null"],
                "description": "The row as a spreadsheet shows it: 1 is the header. Null for the file.",
            },
            "column": _or_null(_text("The column's name; null where no single one is at fault.")),
            "code": {"type": "string", "enum": [code.value for code in FindingCode]},
            "text": _text("What is wrong and what to do, for people."),
        }
    ),
    "RequestError": {
        **answer_of({"message": {"type": "string"}, "statusCode": {"type": "integer"}}),
        "description": "Something about the request.",
    },
    "DomainError": {
        **answer_of({"error": ref("DomainErrorBody")}),
        "description": "The request is in order, and what it asks for can't be done.",
    },
    "DomainErrorBody": answer_of(
        {
            "code": _text("Stable: what programs look at."),
            "message": _text("What is wrong, for people. It may change."),
            "type": {"const": "domain_error", "type": "string"},
            "id": _text("Tell it to support: it finds the line in the log.", pattern="^[0-9]{1,19}$"),
        }
    ),
    "Health": answer_of({"status": {"const": "ok", "type": "string"}}),
}
