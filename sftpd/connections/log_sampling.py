"""Log lines that an attacker can cause are sampled: a few of each kind a minute, then one that counts the rest."""

from dataclasses import dataclass
from typing import Final

from structlog.stdlib import BoundLogger


@dataclass(slots=True)
class _Window:
    began: float
    said: int = 0
    unsaid: int = 0


class SampledLog:
    """A few lines of each kind in `window` seconds. The next window's first line tells how many were left out.

    Kinds are event names and reasons of ours, never anything that a client sent: their number is bounded.
    """

    def __init__(self, logger: BoundLogger, *, window: float = 60) -> None:
        self._logger: Final = logger
        self._window: Final = window
        self._windows: dict[str, _Window] = {}

    def say(
        self, event: str, now: float, *, kind: str | None = None, most: int = 10, **facts: object
    ) -> bool:
        """Log `event` with `facts`, unless `most` of its kind were said. `now`: seconds of a monotonic clock."""
        kind = kind or event
        current = self._windows.get(kind)
        if current is None or now - current.began >= self._window:
            left_out = current.unsaid if current else 0
            if left_out:
                facts["left_out_before"] = left_out
            current = self._windows[kind] = _Window(now)
        if current.said >= most:
            current.unsaid += 1
            return False
        current.said += 1
        self._logger.info(event, **facts)
        return True
