"""What statuses and errors mean, in words for people, and what to do about a failure: one table for commands and pages.

After the guide's pages on statuses and on delivery errors (1-postman.md §5).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from messages.retrieval import Message
from messages.statuses import ErrorCode, MessageStatus

STATUS_MEANINGS: Final[Mapping[MessageStatus, str]] = MappingProxyType(
    {
        MessageStatus.CREATED: "it is recorded, and waits to be taken up",
        MessageStatus.ENQUEUED: "it waits for its turn at its sender",
        MessageStatus.SENDING: "it is being handed over, or nobody knows yet whether the provider took it",
        MessageStatus.SENT: "the provider has it",
        MessageStatus.SENT_TO_TELCO: "the telco has it; for a foreign number no more may be heard",
        MessageStatus.SUCCESS: "it was delivered",
        MessageStatus.FAILURE: "it was not delivered, or nobody knows: see the error",
    }
)


@dataclass(frozen=True, slots=True)
class ErrorMeaning:
    """What a failure means, and what to do about it. `worth_retrying` is the guide's: yes, no or maybe."""

    meaning: str
    worth_retrying: str
    advice: str


ERROR_MEANINGS: Final[Mapping[ErrorCode, ErrorMeaning]] = MappingProxyType(
    {
        ErrorCode.RECIPIENT_INVALID: ErrorMeaning(
            "the network does not know this number, or it takes no messages", "no", "correct the number"
        ),
        ErrorCode.RECIPIENT_UNAVAILABLE: ErrorMeaning(
            "the phone was not connected to its network", "yes", "retry later, when it may be on again"
        ),
        ErrorCode.CONTENT_INVALID: ErrorMeaning(
            "the text was refused by the provider or a network", "no", "change the text, in a new campaign"
        ),
        ErrorCode.ROUTING_ERROR: ErrorMeaning(
            "no way to the number's network was found",
            "maybe",
            "retry once; if many fail, call the operators",
        ),
        ErrorCode.MESSAGE_EXPIRED: ErrorMeaning(
            "it was not delivered in time, or no news of it came", "maybe", "retry if it still matters"
        ),
        ErrorCode.DELIVERY_UNKNOWN_ERROR: ErrorMeaning(
            "the network gave no cause", "maybe", "retry once; if many fail, call the operators"
        ),
        ErrorCode.SERVER_UNKNOWN_ERROR: ErrorMeaning(
            "the service or its provider could not send it",
            "maybe",
            "retry; if many fail, call the operators",
        ),
        ErrorCode.STOPPED: ErrorMeaning(
            "its batch was stopped, or its campaign deleted, before it left", "no", "send it in a new upload"
        ),
    }
)


def arrival(message: Message) -> str | None:
    """Whether the recipient of a failed message may have got it; None where it hasn't failed."""
    if message.status is not MessageStatus.FAILURE:
        return None
    last = message.attempts[0] if message.attempts else None
    if last is not None and last.may_have_arrived:
        return "may have arrived: a retry may text the recipient a second time"
    if last is None or last.sent_at is None:
        return "never left"
    return "was not delivered"
