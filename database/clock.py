"""The database's clock, by which all nodes keep their moments: told by a process from what answers said it was."""

from typing import Final

# How fast two clocks may drift apart.
_DRIFT: Final = 1e-4


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

    def at(self, local: float) -> float:
        """The other way round: what the database's clock shows at a local time, or showed just before."""
        assert self._offset is not None  # noqa: S101 - as above
        return local + self._offset
