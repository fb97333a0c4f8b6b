"""What becomes of a message: statuses and their ranks, and the errors of a failure (1-postman.md §5, 7-sending.md §2)."""

from enum import IntEnum, StrEnum


class MessageStatus(IntEnum):
    """A status by its rank, as the table `attempts` holds it; `word` is its public name.

    Statuses only move up within an attempt, but from `sending` back to `enqueued` where it surely was not sent.
    """

    CREATED = 0
    ENQUEUED = 1
    SENDING = 2
    SENT = 3
    SENT_TO_TELCO = 4
    SUCCESS = 5
    FAILURE = 6

    @property
    def word(self) -> str:
        """Its name in documents, tables for people and metrics: `sent_to_telco`."""
        return self.name.lower()

    @property
    def is_terminal(self) -> bool:
        """Whether nothing comes after it. For a foreign number `sent_to_telco` ends it too, until a receipt says more."""
        return self >= MessageStatus.SUCCESS


class ErrorType(StrEnum):
    """Who is at fault: the way to the recipient, or the service."""

    DELIVERY_ERROR = "delivery_error"
    SERVER_ERROR = "server_error"


class ErrorCode(StrEnum):
    """Why a message failed."""

    RECIPIENT_INVALID = "recipient_invalid"
    RECIPIENT_UNAVAILABLE = "recipient_unavailable"
    CONTENT_INVALID = "content_invalid"
    ROUTING_ERROR = "routing_error"
    MESSAGE_EXPIRED = "message_expired"
    DELIVERY_UNKNOWN_ERROR = "delivery_unknown_error"
    SERVER_UNKNOWN_ERROR = "server_unknown_error"
    # Ours: its batch was stopped, or its campaign deleted, before it left.
    STOPPED = "stopped"

    @property
    def type(self) -> ErrorType:
        """The type that goes with the code."""
        of_server = self in (ErrorCode.SERVER_UNKNOWN_ERROR, ErrorCode.STOPPED)
        return ErrorType.SERVER_ERROR if of_server else ErrorType.DELIVERY_ERROR
