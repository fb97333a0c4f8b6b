"""The JSON document of a message, key by key in the order of its contract (8-api.md §2.3, 7-sending.md §5).

Pure: values in, documents out. Where the contract says what must stand in a place that nothing fills yet, such as a message's
creator while there are no users, the place's value is decided here.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from campaigns.campaigns import Campaign
from messages.identifiers import message_id, template_body_id, template_id, user_id
from messages.retrieval import Attempt, Message
from messages.statuses import ErrorCode, MessageStatus
from rules.messages import render_body
from rules.templates import Language

_SINGAPORE: Final = timezone(timedelta(hours=8))
# Campaigns made at the command line belong to this service user (9-console.md §7), and what comes in by SFTP to the campaign's
# creator (8-api.md §6). The migration that brings users gives it this very id.
CREATOR_EMAIL: Final = "service@localhost"
CREATOR_ID: Final = user_id(CREATOR_EMAIL)


def api_time(at: datetime | None) -> str | None:
    """A time as the API shows it: `2026-11-25T09:30:12.417+08:00`, milliseconds cut, not rounded."""
    return None if at is None else at.astimezone(_SINGAPORE).isoformat(timespec="milliseconds")


def full_message(message: Message, campaign: Campaign, frame: Mapping[str, object]) -> str:
    """The text as it is sent: the body within the frame that it was validated with.

    `frame` stands in for that of a batch that has none yet.
    """
    around = message.batch.frame or frame
    language = Language(message.language)
    after = around["after"]
    assert isinstance(after, Mapping)  # noqa: S101 - `Frame.document` made it
    body = render_body(campaign.template.bodies[language], message.values)
    return f"{around['before']}{body}{after[language.value]}"


def message_document(message: Message, campaign: Campaign, frame: Mapping[str, object]) -> dict[str, object]:
    """A message, its status and its attempts: the answer of the API's call 2. `frame`: see `full_message`."""
    language = Language(message.language)
    body_id = template_body_id(campaign.id, language.value)
    made_at = api_time(campaign.created_at)
    return {
        "createdAt": api_time(message.created_at),
        "updatedAt": api_time(message.updated_at),
        "id": message.id,
        "recipient": message.recipient,
        # Of a batch, in the template's order: the database keeps none.
        "values": {name: message.values[name] for name in campaign.template.parameters},
        "creatorId": CREATOR_ID,
        "fullMessage": full_message(message, campaign, frame),
        "latestStatus": message.status.word,
        "templateBodyId": body_id,
        "campaignId": campaign.id,
        "templateBody": {
            "createdAt": made_at,
            "updatedAt": made_at,
            "id": body_id,
            "templateId": template_id(campaign.id),
            "language": language.value,
            "body": campaign.template.bodies[language],
            "creatorId": CREATOR_ID,
        },
        "batches": [] if message.batch.kind == "single" else [_membership(message)],
        "language": language.value,
        "creatorEmail": CREATOR_EMAIL,
        "attempts": attempt_documents(message),
    }


def attempt_documents(message: Message) -> list[dict[str, object]]:
    """A message's attempts, newest first. One that nobody has tried yet has one attempt all the same, of the message's status."""
    if message.attempts:
        return [_attempt_document(attempt) for attempt in message.attempts]
    document: dict[str, object] = {
        "status": message.status.word,
        "createdAt": api_time(message.created_at),
        "sentAt": None,
        "deliveredAt": None,
    }
    if message.error is not None:
        document |= _failure(message.error, may_have_arrived=False, expired=False)
    return [document]


def _attempt_document(attempt: Attempt) -> dict[str, object]:
    document: dict[str, object] = {
        "status": attempt.status.word,
        "createdAt": api_time(attempt.created_at),
        "sentAt": api_time(attempt.sent_at),
        "deliveredAt": api_time(attempt.delivered_at),
    }
    if attempt.status is MessageStatus.FAILURE:
        error = attempt.error or ErrorCode.SERVER_UNKNOWN_ERROR
        document |= _failure(error, may_have_arrived=attempt.may_have_arrived, expired=attempt.expired)
    return document


def _failure(error: ErrorCode, *, may_have_arrived: bool, expired: bool) -> dict[str, object]:
    """What a failed attempt has besides: the guide's `error`, and behind it what is ours."""
    return {
        "error": {"type": error.type.value, "code": error.value},
        "mayHaveArrived": may_have_arrived,
        "metadata": {"expiredBy": "postman"} if expired else {},
    }


def _membership(message: Message) -> dict[str, object]:
    """A message's batch as the message shows it."""
    batch = message.batch
    created_at = api_time(batch.created_at)
    return {
        "createdAt": created_at,
        "updatedAt": api_time(batch.updated_at),
        "id": batch.id,
        "originalFileName": batch.original_file_name,
        "status": batch.status,
        "campaignId": batch.campaign_id,
        "creatorId": CREATOR_ID,
        "totalMessages": batch.total_messages,
        "BatchMessage": {
            "createdAt": created_at,
            "updatedAt": created_at,
            "id": str(message.row_number),
            "batchId": batch.id,
            "messageId": message_id(batch.id, message.row_number),
        },
    }
