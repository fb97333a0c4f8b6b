"""News of attempts, and how each moves its attempt: statuses only move up, but from `sending` back to `enqueued`."""

from dataclasses import dataclass
from datetime import datetime

from messages.statuses import ErrorCode, MessageStatus


@dataclass(frozen=True, slots=True, order=True)
class AttemptKey:
    """One attempt: a row of `attempts`."""

    batch_no: int
    row_number: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Answer:
    """How a hand-over ended. `status`: SENT or higher where the provider has it; FAILURE with `error` where it refused.

    ENQUEUED: surely not sent, the same attempt goes again at `due_at`; `counts`: it is one of the three times after which
    the attempt fails. SENDING: its outcome isn't known, it is looked up at `due_at`. `due_at` is aware UTC.
    """

    key: AttemptKey
    status: MessageStatus
    error: ErrorCode | None = None
    raw_code: str = ""
    provider_id: str = ""
    counts: bool = False
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """News of an attempt after its hand-over. `status` from SENT up; `error` where it is FAILURE.

    `at` is the provider's time (aware UTC), None where it gives none.
    """

    key: AttemptKey
    status: MessageStatus
    error: ErrorCode | None = None
    raw_code: str = ""
    provider_id: str = ""
    may_have_arrived: bool = False
    at: datetime | None = None
