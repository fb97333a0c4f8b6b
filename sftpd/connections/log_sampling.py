"""Log lines that an attacker can cause are sampled: a few of each kind a minute, then one that counts the rest."""

from dataclasses import dataclass
from typing import Final

from structlog.stdlib import BoundLogger


@dataclass(slots=True)
class _Window:
    began: float
    logged: int = 0
    left_out: int = 0


class SampledLog:
    """Writes a few lines of each kind in `window` seconds. The next window's first line tells how many were left out.

    A kind is one of our own event names, with or without the cause beside it, and never anything that a client sent.
    So there are only a few kinds, and the table of them can't grow without bound.
    """

    def __init__(self, logger: BoundLogger, *, window: float = 60) -> None:
        self._logger: Final = logger
        self._window: Final = window
        self._windows: dict[str, _Window] = {}

    def log(
        self, event: str, now: float, *, kind: str | None = None, most: int = 10, **facts: object
    ) -> bool:
        """Log `event` with `facts`, unless `most` lines of its kind were logged in this window. Returns whether it did.

        `now` is in seconds of a monotonic clock. Without a `kind`, the event is the kind.
        """
        kind = kind or event
        current = self._windows.get(kind)
        if current is None or now - current.began >= self._window:
            left_out = current.left_out if current else 0
            if left_out:
                facts["left_out_before"] = left_out
            current = self._windows[kind] = _Window(now)
        if current.logged >= most:
            current.left_out += 1
            return False
        current.logged += 1
        self._logger.info(event, **facts)
        return True
