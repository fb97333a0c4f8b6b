"""The claim: the next messages of a sender, committed as `sending` before any provider hears of them.

The database's function `claim_messages` does all of it in one transaction, so that many nodes may claim for one sender: it
holds the sender's row, takes from the lane that is next, and reserves the time in which its messages leave.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from database.connections import Connection
from database.queries import NamedQueries
from messages.news import AttemptKey
from sending.composing import TextParts
from sending.providers.provider import Outgoing

SQL: Final = NamedQueries("sending", "claims.sql")
# The priority of OTP single sends.
_OTP: Final = 0


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message that this process alone may hand over, once.

    `leaves_at` is its moment, in seconds since 1970 by the database's clock.
    """

    key: AttemptKey
    leaves_at: float
    is_otp: bool
    segments: int
    recipient: str
    parts: TextParts
    encoding: str

    @classmethod
    def of_row(cls, row: asyncpg.Record) -> "ClaimedMessage":
        """A row of a claim."""
        key = AttemptKey(row["batch_no"], row["row_number"], row["attempt"])
        return cls(
            key=key,
            leaves_at=row["leaves_at"],
            is_otp=row["priority"] == _OTP,
            segments=row["segments"],
            recipient=row["recipient"],
            parts=TextParts(key, row["language"], row["values"]),
            encoding=row["encoding"],
        )

    def outgoing(self, text: str, leave_by: float) -> Outgoing:
        """It as it leaves."""
        return Outgoing(
            key=self.key,
            recipient=self.recipient,
            text=text,
            segments=self.segments,
            encoding=self.encoding,
            is_otp=self.is_otp,
            leave_by=leave_by,
        )


@dataclass(frozen=True, slots=True)
class DatabaseIdentity:
    """Tells one database from another: a restored or failed-over one was started at another time, or has other tables."""

    started: datetime
    senders_table: int

    @classmethod
    def of_row(cls, row: asyncpg.Record) -> "DatabaseIdentity":
        """A row of a statement that asks for it."""
        return cls(row["server_started"], row["senders_table"])


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim gave, in the order in which it leaves. `now` is the database's clock.

    Both `now` and `database` are None where nothing was claimed.
    """

    messages: tuple[ClaimedMessage, ...]
    now: float | None
    database: DatabaseIdentity | None


async def claim_messages(
    connection: Connection,
    sender_id: int,
    *,
    segments: int,
    lead: timedelta,
    head: float,
    stale_after: timedelta,
) -> Claim:
    """Claim a block of about so many segments, in a transaction of its own.

    It gives nothing where nothing waits, where the sender is paused, and where its time is reserved for longer than `lead`. The
    first message leaves `head` seconds from now at the earliest.
    Where the connection is lost meanwhile, it may have been committed: its attempts stay `sending`, and are looked up.
    """
    rows = await connection.fetch(SQL["claim_messages"], sender_id, segments, lead, head, stale_after)
    claimed = tuple(ClaimedMessage.of_row(row) for row in rows)
    database = DatabaseIdentity.of_row(rows[0]) if rows else None
    return Claim(claimed, max((row["now"] for row in rows), default=None), database)


async def reserve_time(
    connection: Connection, sender_id: int, segments: int, *, head: float, own_end: float
) -> tuple[float, float]:
    """Reserve the time of so many segments anew, where their moment has passed; when it begins, and the database's clock.

    It begins `head` seconds from now at the earliest. The time that they had, which ends at `own_end`, is given back where nobody
    has reserved time after it.
    """
    row = await connection.fetchrow(SQL["reserve_time"], sender_id, segments, head, own_end)
    assert row is not None  # noqa: S101 - a select without a table gives one row
    return row["leaves_at"], row["now"]
