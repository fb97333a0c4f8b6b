"""How fast messages leave: the size of a block, and the database's clock, by which all nodes keep their moments."""

import math
from datetime import timedelta
from typing import Final

# A block is what is sent in this time; nobody claims while time is reserved for longer than the lead ahead. Together they bound
# how long after a suspension its messages still leave, and how long an OTP waits behind what is reserved.
BLOCK_SECONDS: Final = 0.15
LEAD: Final = timedelta(seconds=0.15)
# A message that is this late would go beside those whose moment it is: its time is reserved anew.
LATE_SECONDS: Final = 0.02
# A node that slept this long doesn't know what happened meanwhile: a suspension, or that its messages were looked up.
STALE_SECONDS: Final = 1.0
# How fast two clocks may drift apart.
_DRIFT: Final = 1e-4


def block_segments(rate: float) -> int:
    """How many segments a claim takes for a sender of that rate, in segments a second."""
    return max(1, math.ceil(rate * BLOCK_SECONDS))


class DatabaseClock:
    """The database's clock, told by a local one, from what answers said it was.

    An answer's time was true at some moment between question and answer, so each narrows how far the clocks are apart, and
    the quickest answers narrow it most. So a slow answer moves no message's moment.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._measured_at = 0.0

    def note(self, database_now: float, *, asked_at: float, answered_at: float) -> None:
        """Learn from an answer. `database_now` is in seconds since 1970, the others are the local clock's."""
        least, most = database_now - answered_at, database_now - asked_at
        if self._offset is not None:
            drifted = self._offset - _DRIFT * (answered_at - self._measured_at)
            if least <= drifted <= most:
                return
        self._offset = least
        self._measured_at = answered_at

    def local(self, at: float) -> float:
        """The local time of a moment of the database's clock. Something must have been noted before."""
        assert self._offset is not None  # noqa: S101 - whoever has a moment has had an answer
        return at - self._offset
