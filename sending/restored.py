"""Is this database the newest one? A database restored to yesterday would have its messages sent a second time.

Each minute the senders write the time of the newest committed claim to the bucket. A database whose newest attempt is older is a
restored or failed-over one: all senders are paused there, until `sending resume --all`.
"""

from datetime import datetime
from typing import Final, Protocol

from database.connections import Pool

NEWEST_CLAIM_KEY: Final = "sending/newest-claim"


class ClaimMark(Protocol):
    """Where the newest claim's time is kept, outside of the database. Its calls raise OSError while that is away."""

    async def read(self) -> datetime | None:
        """The time written last (aware UTC), or None where none was ever written."""
        ...

    async def write(self, at: datetime) -> None:
        """Keep this time from now on."""
        ...


async def pause_if_restored(pool: Pool, mark: ClaimMark) -> bool:
    """Pause all senders if the database is older than the mark; to be awaited before the first claim. Whether it was."""
    raise NotImplementedError


async def keep_mark(pool: Pool, mark: ClaimMark, *, every: float = 60) -> None:
    """Write the newest committed claim's time each `every` seconds, after looking again whether the database is older."""
    raise NotImplementedError
