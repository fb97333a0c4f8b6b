"""After an aggregator has said that it is too much: half the rate at once, and then 5 % more each second (data/smpp.md)."""

import time
from collections.abc import Callable
from typing import Final

_GROWTH: Final = 1.05
# Submissions a second that are always allowed; and the rate that is halved where fewer than so many were submitted.
_LEAST: Final = 1.0
_LOW: Final = 20
# Seconds within which further refusals are of what had been submitted before the first one.
_TOGETHER: Final = 1.0
# The limit is lifted once it is so many times the rate that was too much: the sender's own rate holds in any case.
_LIFTED_AT: Final = 2.0
# Seconds of the limited rate that may leave together.
_BURST: Final = 0.25


class Slowdown:
    """How many submissions may leave now. It counts those of the last seconds, since their rate is what is halved."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now: Final = now
        self._second = float("-inf")
        self._count = self._count_before = 0
        self._limit: float | None = None
        self._lifted_at = 0.0
        self._at = self._tokens = 0.0
        self._halved_at = float("-inf")

    @property
    def limit(self) -> float | None:
        """Submissions a second that are allowed now; None where nothing was refused lately."""
        self._move_on()
        return self._limit

    def room(self) -> int | None:
        """How many may be submitted now; None: no limit."""
        self._move_on()
        return None if self._limit is None else int(self._tokens)

    def seconds_to_next(self) -> float:
        """Until when the next one may be submitted: 0 where that is now."""
        self._move_on()
        return 0.0 if self._limit is None else max(0.0, (1.0 - self._tokens) / self._limit)

    def note_submitted(self) -> None:
        """One is submitted."""
        self._move_on()
        self._count += 1
        self._tokens -= 1.0

    def note_throttled(self) -> None:
        """A submission was refused for being too much."""
        self._move_on()
        now = self._now()
        if now - self._halved_at < _TOGETHER:
            return
        rate = float(max(self._count, self._count_before, _LOW)) if self._limit is None else self._limit
        if self._limit is None:
            self._lifted_at = rate * _LIFTED_AT
        self._limit = max(_LEAST, rate / 2)
        self._tokens = 0.0
        self._halved_at = now

    def _move_on(self) -> None:
        now = self._now()
        if now - self._second >= 1.0:
            self._count_before = self._count if now - self._second < 2.0 else 0
            self._count, self._second = 0, now
        if self._limit is not None:
            passed = now - self._at
            self._tokens = min(max(1.0, self._limit * _BURST), self._tokens + self._limit * passed)
            self._limit *= _GROWTH**passed
            if self._limit >= self._lifted_at:
                self._limit = None
        self._at = now
