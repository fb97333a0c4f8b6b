"""After an aggregator has said that it is too much: half as much at once, and then 5 % more each second (data/smpp.md)."""

import time
from collections.abc import Callable
from typing import Final

_GROWTH: Final = 1.05
_LEAST: Final = 0.01
# Seconds within which further refusals are of what had been submitted before the first one.
_TOGETHER: Final = 1.0


class Slowdown:
    """How much of the windows may be used now."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now: Final = now
        self._factor = 1.0
        self._at = now()
        self._halved_at = float("-inf")

    def factor(self) -> float:
        """Above 0, and 1 where nothing was refused lately."""
        if self._factor < 1.0:
            now = self._now()
            self._factor = min(1.0, self._factor * _GROWTH ** (now - self._at))
            self._at = now
        return self._factor

    def note_throttled(self) -> None:
        """A submission was refused for being too much."""
        now = self._now()
        if now - self._halved_at < _TOGETHER:
            return
        self._factor = max(_LEAST, self.factor() / 2)
        self._at = self._halved_at = now
