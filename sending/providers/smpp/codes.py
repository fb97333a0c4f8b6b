"""What statuses of answers and states of receipts mean to us, row by row as in data/smpp.md. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from messages.statuses import ErrorCode, MessageStatus


class Refusal(Enum):
    """Why a submission was refused that is not the message's own fault: surely not sent, it may go again."""

    THROTTLED = auto()
    QUEUE_FULL = auto()
    TEMPORARY = auto()
    # The source address isn't allowed: all messages would be refused.
    SENDER = auto()
    # The connection isn't bound any more, or never was: another one is needed.
    BIND = auto()


_R: Final = Refusal
_E: Final = ErrorCode
_SUBMITTED: Final[Mapping[int, Refusal | ErrorCode]] = MappingProxyType(
    {
        0x58: _R.THROTTLED,
        0x14: _R.QUEUE_FULL,
        **dict.fromkeys((0x08, 0x64, 0xFE), _R.TEMPORARY),
        **dict.fromkeys((0x0B, 0x50, 0x51), _E.RECIPIENT_INVALID),
        **dict.fromkeys((0x01, 0x43, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0x61, 0x62), _E.CONTENT_INVALID),
        **dict.fromkeys((0x0A, 0x48, 0x49), _R.SENDER),
        **dict.fromkeys((0x45, 0x65), _E.ROUTING_ERROR),
        **dict.fromkeys((0x04, 0x0D, 0x0E, 0x0F), _R.BIND),
    }
)
# Of a bind that is refused, these say that the account is wrong: nothing but a person mends that. 0x0D, "bind failed", has no
# reason: it is what many answer while they start, or when there is a bind too many, and it may pass.
CREDENTIALS: Final = frozenset({0x0E, 0x0F, 0x53})


def refusal_of(status: int) -> Refusal | ErrorCode:
    """What a submission's status other than 0 means. Whatever isn't listed, vendors' own too, is an unknown error of delivery."""
    return _SUBMITTED.get(status, ErrorCode.DELIVERY_UNKNOWN_ERROR)


def raw_status(status: int) -> str:
    """A status as people look it up: `0x58`."""
    return f"0x{status:02X}"


@dataclass(frozen=True, slots=True)
class StateOfPart:
    """What a receipt says of a part. `error` where the status is FAILURE."""

    status: MessageStatus
    error: ErrorCode | None = None


# §5.2.28 of SMPP 3.4, and the words of receipts' texts (Appendix B).
_STATES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5, "ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8,
        # Not the standard's words, but seen: DELIVERED, ACCEPTED, REJECTED, FAILED.
        "DELIVER": 2, "ACCEPTE": 6, "REJECTE": 8, "FAILED": 5,
    }
)  # fmt: skip


def state_number(word: str) -> int | None:
    """The state that a receipt's text names by a word of at most seven letters; None for one that nobody knows."""
    return _STATES.get(word.upper()[:7])


def state_of(state: int, error_code: str, errors: Mapping[str, str]) -> StateOfPart | None:
    """What a receipt's state means, with the aggregator's own error code and its table. None where it says nothing to us."""
    match state:
        case 1 | 6:
            return StateOfPart(MessageStatus.SENT_TO_TELCO)
        case 2:
            return StateOfPart(MessageStatus.SUCCESS)
        case 3:
            return StateOfPart(MessageStatus.FAILURE, ErrorCode.MESSAGE_EXPIRED)
        case 4 | 7:
            return StateOfPart(MessageStatus.FAILURE, ErrorCode.DELIVERY_UNKNOWN_ERROR)
        case 5:
            known = by_table(error_code, errors)
            return StateOfPart(MessageStatus.FAILURE, known or ErrorCode.DELIVERY_UNKNOWN_ERROR)
        case 8:
            return StateOfPart(MessageStatus.FAILURE, by_table(error_code, errors) or ErrorCode.ROUTING_ERROR)
        case _:
            return None


def by_table(error_code: str, errors: Mapping[str, str]) -> ErrorCode | None:
    """The error that the table has for a code: as it was written, or without zeros in front on either side."""
    found = errors.get(error_code)
    if found is None and error_code:
        bare = error_code.lstrip("0")
        found = next((ours for theirs, ours in errors.items() if theirs.lstrip("0") == bare), None)
    return None if found is None else ErrorCode(found)
