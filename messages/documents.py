"""The JSON documents of messages, key by key in the order of their contract (8-api.md §2, 7-sending.md §5).

Pure: values in, documents out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from campaigns.campaigns import Creator
from messages.identifiers import attempt_id, template_body_id, template_id
from messages.retrieval import Attempt, Message
from messages.singles import values_as_sent
from messages.statuses import ErrorCode, MessageStatus
from rules.messages import Layout
from rules.templates import Language, Template

_SINGAPORE: Final = timezone(timedelta(hours=8))


def api_time(at: datetime | None) -> str | None:
    """A time as the API shows it: `2026-11-25T09:30:12.417+08:00`, milliseconds cut, not rounded."""
    return None if at is None else shown_time(at)


@lru_cache(maxsize=4096)
def shown_time(at: datetime) -> str:
    """`api_time` of a time that is known."""
    return at.astimezone(_SINGAPORE).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class _Body:
    """What a campaign says in one language, as its messages' documents need it: the same for all of them."""

    id: str
    layout: Layout
    document: Mapping[str, object]


@dataclass(frozen=True)
class MessageDocuments:
    """Makes the documents of one campaign's messages.

    `made_at` is when the campaign was; `frame` stands in for that of a batch that has none yet. A message is from the user that
    sent it by the console or made the API's key; by SFTP and by keys of the command line, from the campaign's `creator`
    (8-api.md §6).
    """

    campaign_id: str
    template: Template
    made_at: datetime
    creator: Creator
    frame: Mapping[str, object]
    _bodies: dict[str, _Body] = field(default_factory=dict)

    def full_message(self, message: Message) -> str:
        """The text as it is sent: the body within the frame that it was validated with."""
        around = message.batch.frame or self.frame
        after = around["after"]
        assert isinstance(after, Mapping)  # noqa: S101 - `Frame.document` made it
        text = self._body(message.language).layout.fill(message.values)
        return f"{around['before']}{text}{after[message.language]}"

    def retrieved(self, message: Message) -> dict[str, object]:
        """A message, its status and its attempts: the answer of the API's call 2."""
        return {
            **self._beginning(message),
            "batches": _memberships(message, self._creator_of(message)),
            "language": message.language,
            "creatorEmail": self._creator_of(message).email,
            "attempts": [_attempt_document(attempt) for attempt in attempts_of(message)],
        }

    def shown(self, message: Message) -> dict[str, object]:
        """The same for ops, who are told besides whether the recipient of a failed attempt may have got it (7-sending.md §7)."""
        attempts = [_attempt_document(attempt) | _arrival(attempt) for attempt in attempts_of(message)]
        return self.retrieved(message) | {"attempts": attempts}

    def retried(self, message: Message) -> dict[str, object]:
        """A message that begins anew: the answer of call 3."""
        document = self._beginning(message)
        del document["templateBody"]
        values = values_as_sent(message.values, message.batch.frame, self.template.parameters)
        return document | {"values": values}

    def in_batch(self, message: Message) -> dict[str, object]:
        """An item of a batch's list, call 6."""
        attempts = _list_attempts(message, self._creator_of(message))
        return {
            **self._beginning(message),
            "messageAttempts": attempts,
            "language": message.language,
            "creatorEmail": self._creator_of(message).email,
            "numAttempts": len(attempts),
        }

    def in_campaign(self, message: Message) -> dict[str, object]:
        """An item of a campaign's list, call 7."""
        attempts = _list_attempts(message, self._creator_of(message))
        document = {
            **self._beginning(message),
            "batches": _memberships(message, self._creator_of(message)),
            "messageAttempts": attempts,
            "language": message.language,
        }
        if not message.batch.is_single:
            document["batchId"] = message.batch.id
        document["creatorEmail"] = self._creator_of(message).email
        document["numAttempts"] = len(attempts)
        return document

    def _beginning(self, message: Message) -> dict[str, object]:
        """What all documents begin with, up to `templateBody`."""
        body = self._body(message.language)
        return {
            "createdAt": shown_time(message.created_at),
            "updatedAt": shown_time(message.updated_at),
            "id": message.id,
            "recipient": message.recipient,
            # The database keeps no order.
            "values": {name: message.values[name] for name in self.template.parameters},
            "creatorId": self._creator_of(message).id,
            "fullMessage": self.full_message(message),
            "latestStatus": message.status.word,
            "templateBodyId": body.id,
            "campaignId": self.campaign_id,
            "templateBody": body.document,
        }

    def _creator_of(self, message: Message) -> Creator:
        return message.creator or self.creator

    def _body(self, language: str) -> _Body:
        body = self._bodies.get(language)
        if body is None:
            body = self._bodies[language] = self._make_body(Language(language))
        return body

    def _make_body(self, language: Language) -> _Body:
        identifier = template_body_id(self.campaign_id, language.value)
        made_at = shown_time(self.made_at)
        text = self.template.bodies[language]
        document = {
            "createdAt": made_at,
            "updatedAt": made_at,
            "id": identifier,
            "templateId": template_id(self.campaign_id),
            "language": language.value,
            "body": text,
            "creatorId": self.creator.id,
        }
        return _Body(identifier, Layout.of_body(text), document)


def attempts_of(message: Message) -> tuple[Attempt, ...]:
    """A message's attempts, newest first. One that nobody has tried yet has one attempt all the same, of the message's status."""
    if message.attempts:
        return message.attempts
    untried = Attempt(
        number=1,
        status=message.status,
        created_at=message.created_at,
        updated_at=message.updated_at,
        sent_at=None,
        delivered_at=None,
        error=message.error,
        may_have_arrived=False,
        expired=False,
        raw_code=None,
        provider_id=None,
    )
    return (untried,)


def _error_of(attempt: Attempt) -> ErrorCode | None:
    if attempt.status is not MessageStatus.FAILURE:
        return None
    return attempt.error or ErrorCode.SERVER_UNKNOWN_ERROR


def _metadata(attempt: Attempt) -> dict[str, str]:
    return {"expiredBy": "postman"} if attempt.expired else {}


def _attempt_document(attempt: Attempt) -> dict[str, object]:
    document: dict[str, object] = {
        "status": attempt.status.word,
        "createdAt": shown_time(attempt.created_at),
        "sentAt": api_time(attempt.sent_at),
        "deliveredAt": api_time(attempt.delivered_at),
    }
    error = _error_of(attempt)
    if error is not None:
        document["error"] = {"type": error.type.value, "code": error.value}
    return document


def _arrival(attempt: Attempt) -> dict[str, object]:
    """What ops see of a failed attempt besides."""
    if attempt.status is not MessageStatus.FAILURE:
        return {}
    return {"mayHaveArrived": attempt.may_have_arrived, "metadata": _metadata(attempt)}


def _list_attempts(message: Message, creator: Creator) -> list[dict[str, object]]:
    """A message's attempts as the lists show them, newest first."""
    documents: list[dict[str, object]] = []
    for attempt in attempts_of(message):
        error = _error_of(attempt)
        documents.append(
            {
                "sentAt": api_time(attempt.sent_at),
                "deliveredAt": api_time(attempt.delivered_at),
                "createdAt": shown_time(attempt.created_at),
                "updatedAt": shown_time(attempt.updated_at),
                "id": attempt_id(message.batch.id, message.row_number, attempt.number),
                "messageId": message.id,
                "externalAttemptId": attempt.provider_id or "",
                "status": attempt.status.word,
                "errorType": error and error.type.value,
                "errorCode": error and error.value,
                "metadata": _metadata(attempt),
                "creatorId": creator.id,
                "creator": {"email": creator.email},
            }
        )
    return documents


def _memberships(message: Message, creator: Creator) -> list[dict[str, object]]:
    """A message's batch as the message shows it; a single one is in none."""
    batch = message.batch
    if batch.is_single:
        return []
    created_at = shown_time(batch.created_at)
    return [
        {
            "createdAt": created_at,
            "updatedAt": shown_time(batch.updated_at),
            "id": batch.id,
            "originalFileName": batch.original_file_name,
            "status": batch.status,
            "campaignId": batch.campaign_id,
            "creatorId": creator.id,
            "totalMessages": batch.total_messages,
            "BatchMessage": {
                "createdAt": created_at,
                "updatedAt": created_at,
                "id": str(message.row_number),
                "batchId": batch.id,
                "messageId": message.id,
            },
        }
    ]
