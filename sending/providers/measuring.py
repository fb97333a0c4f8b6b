"""A provider as it is counted: how long its answers take, how much it is given, whether it throttles, and what it warns of."""

from collections.abc import AsyncIterator, Sequence
from time import perf_counter

from messages.news import Receipt
from sending import metrics
from sending.providers.provider import (
    Absent,
    HandOver,
    OpenAttempt,
    Outgoing,
    PartNews,
    Provider,
    PutBack,
)
from sending.providers.twilio_errors import ALARMING_CODES


class MeasuredProvider:
    """Passes everything on to a provider, and counts it under the provider's `name`."""

    def __init__(self, provider: Provider, name: str) -> None:
        self._provider = provider
        self._name = name
        # An alert on an increase sees the first event only where the series was there before it, at 0.
        metrics.THROTTLED.labels(name)
        metrics.SEGMENTS.labels(name)

    @property
    def most_at_once(self) -> int:
        """See Provider."""
        return self._provider.most_at_once

    async def hand_over(self, message: Outgoing) -> HandOver:
        """See Provider."""
        began = perf_counter()
        answer = await self._provider.hand_over(message)
        metrics.SUBMIT_SECONDS.labels(self._name).observe(perf_counter() - began)
        if not isinstance(answer, PutBack):
            metrics.SEGMENTS.labels(self._name).inc(message.segments)
        elif answer.pause_seconds is not None:
            metrics.THROTTLED.labels(self._name).inc()
        return answer

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        """See Provider."""
        found = await self._provider.look_up(attempts)
        for news in found:
            if isinstance(news, Receipt):
                count_alarm(news)
        return found

    async def receipts(self) -> AsyncIterator[Receipt | PartNews]:
        """See Provider."""
        async for receipt in self._provider.receipts():
            count_alarm(receipt)
            yield receipt

    async def close(self) -> None:
        """See Provider."""
        await self._provider.close()


def count_alarm(receipt: Receipt | PartNews) -> None:
    """Count a failure whose code says that not the recipient but the sender itself is in trouble (data/twilio.md)."""
    if receipt.raw_code in ALARMING_CODES:
        metrics.ALARMS.labels(receipt.raw_code).inc()
