"""What is archived, and what its rows are called. It imports nothing, as the command line reads it at each call."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What is archived together: messages with their attempts, or audit events."""

    MESSAGES = "messages"
    AUDIT_EVENTS = "audit_events"


# A row of each table in words.
NOUNS: Final[Mapping[str, str]] = {
    "messages": "message",
    "attempts": "attempt",
    "audit_events": "audit event",
}
