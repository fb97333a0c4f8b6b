"""The simulator: it sends nothing, and each message's fate is told by its number, as agencies know it from Postman."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from types import MappingProxyType
from typing import Final

from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import NO_LIMIT, Absent, HandOver, OpenAttempt, Outgoing, Taken

# 1-postman.md §5: in the test environment these numbers fail with these errors, and never reach a real provider.
SIMULATED_ERRORS: Final[Mapping[str, ErrorCode]] = MappingProxyType(
    {
        "6511111111": ErrorCode.RECIPIENT_INVALID,
        "6511112222": ErrorCode.RECIPIENT_UNAVAILABLE,
        "6511113333": ErrorCode.CONTENT_INVALID,
        "6511114444": ErrorCode.ROUTING_ERROR,
        "6511115555": ErrorCode.MESSAGE_EXPIRED,
        "6511119999": ErrorCode.DELIVERY_UNKNOWN_ERROR,
        "6522222222": ErrorCode.SERVER_UNKNOWN_ERROR,
    }
)
# Shares of the time in which the last status must stand. The rest of it goes into recording that.
_TELCO_SHARE: Final = 0.3
_LAST_SHARE: Final = 0.6


class Simulator:
    """The `Provider` that sends nothing. It looks at number and time alone: after a crash, a look-up tells the same."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: in which a message has its last status."""
        self._telco_delay = seconds * _TELCO_SHARE
        self._last_delay = seconds * _LAST_SHARE
        # Each in order of time, since the delay is the same for all: the moment (monotonic), attempt and recipient.
        self._for_telco: deque[tuple[float, AttemptKey]] = deque()
        self._for_last: deque[tuple[float, AttemptKey, str]] = deque()
        self._has_waiting = asyncio.Event()

    @property
    def most_at_once(self) -> int:
        """As many as come."""
        return NO_LIMIT

    async def hand_over(self, message: Outgoing) -> HandOver:
        """Take it, always."""
        now = monotonic()
        if _reaches_telco(message.recipient):
            self._for_telco.append((now + self._telco_delay, message.key))
        self._for_last.append((now + self._last_delay, message.key, message.recipient))
        self._has_waiting.set()
        return Taken(_provider_id(message.key))

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """Where each of these stands by now, whether or not this very process took it."""
        now = datetime.now(UTC)
        found: list[Receipt | Absent] = []
        for attempt in attempts:
            age = (now - attempt.handed_over_at).total_seconds()
            if age >= self._last_delay:
                found.append(_last_news(attempt.key, attempt.recipient))
            elif age >= self._telco_delay and _reaches_telco(attempt.recipient):
                found.append(_news(attempt.key, MessageStatus.SENT_TO_TELCO))
            else:
                found.append(_news(attempt.key, MessageStatus.SENT))
        return found

    async def receipts(self) -> AsyncIterator[Receipt]:
        """Each message's way to its last status. There may be one listener."""
        while True:
            await self._has_waiting.wait()
            now = monotonic()
            while self._for_telco and self._for_telco[0][0] <= now:
                yield _news(self._for_telco.popleft()[1], MessageStatus.SENT_TO_TELCO)
            while self._for_last and self._for_last[0][0] <= now:
                _, key, recipient = self._for_last.popleft()
                yield _last_news(key, recipient)
            waiting = [queue[0][0] for queue in (self._for_telco, self._for_last) if queue]
            if waiting:
                # What is taken meanwhile is due no earlier than after the shorter delay.
                await asyncio.sleep(min(min(waiting) - monotonic(), self._telco_delay))
            else:
                self._has_waiting.clear()

    async def close(self) -> None:
        """Nothing is held."""


def _reaches_telco(recipient: str) -> bool:
    return SIMULATED_ERRORS.get(recipient) is not ErrorCode.SERVER_UNKNOWN_ERROR


def _provider_id(key: AttemptKey) -> str:
    return f"simulated-{key.batch_no}-{key.row_number}-{key.attempt}"


def _news(key: AttemptKey, status: MessageStatus, error: ErrorCode | None = None) -> Receipt:
    return Receipt(key, status, error, provider_id=_provider_id(key), at=datetime.now(UTC))


def _last_news(key: AttemptKey, recipient: str) -> Receipt:
    error = SIMULATED_ERRORS.get(recipient)
    return _news(key, MessageStatus.SUCCESS if error is None else MessageStatus.FAILURE, error)
