"""What waits at each sender, and when a batch will have left: for people who ask, never for the claim itself."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from database.connections import Connection
from database.queries import NamedQueries
from messages.retrieval import Batch
from sending.pacing import PACE
from sending.pauses import ASKED_FOR, RESTORED

SQL: Final = NamedQueries("sending", "queues.sql")
# A batch whose last message can't leave within so long of its acceptance is told (7-sending.md §5).
SLOW: Final = timedelta(hours=24)
# More than any message has: 1,000 characters and the frame.
_MOST_SEGMENTS: Final = 20


@dataclass(frozen=True, slots=True)
class SenderQueue:
    """A sender and what waits there, counted in messages. `rate` is segments a second; times are aware UTC.

    `oldest_waiting_at` is when the oldest batch that still waits was accepted.
    """

    sender: str
    provider: str
    rate: float
    waiting: int
    under_way: int
    oldest_waiting_at: datetime | None
    paused_since: datetime | None
    paused_because: str | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """When a batch will have left, and what keeps it. All are None for a batch of which nothing waits.

    `sender` and `provider` are None before the sending core has taken up anything of that channel. `obstacle` says in one
    sentence why nobody knows when it will leave; without one `expected_end_at` is known. `cause` is what it says before it
    comes to the command that ends it, for people who have none.
    """

    sender: str | None = None
    provider: str | None = None
    rate: float | None = None
    expected_end_at: datetime | None = None
    obstacle: str | None = None
    cause: str | None = None


async def fetch_queues(connection: Connection) -> list[SenderQueue]:
    """All senders, by name."""
    return [
        SenderQueue(
            sender=row["name"],
            provider=row["provider"],
            rate=row["rate"],
            waiting=row["waiting"],
            under_way=row["under_way"],
            oldest_waiting_at=row["oldest_waiting_at"],
            paused_since=row["paused_since"],
            paused_because=row["paused_because"],
        )
        for row in await connection.fetch(SQL["fetch_queues"])
    ]


async def fetch_outlook(connection: Connection, batch: Batch, *, now: datetime) -> Outlook:
    """What is to be expected of a batch: by its sender's rate, and by what shares it or goes before it."""
    if not may_still_leave(batch):
        return Outlook()
    row = await connection.fetchrow(SQL["fetch_sender_of_batch"], batch.number)
    assert row is not None  # noqa: S101 - batches stay
    found = _first_obstacle(batch, row)
    if row["sender_id"] is None:
        cause, way_out = found or _NOT_TAKEN
        return Outlook(obstacle=cause + way_out, cause=cause)
    known = (row["name"], row["provider"], row["rate"])
    if found:
        cause, way_out = found
        return Outlook(*known, obstacle=cause + way_out, cause=cause)
    work = await connection.fetch(SQL["fetch_work_of_sender"], row["sender_id"], batch.number, batch.lane_id)
    own = sum(lane["segments"] for lane in work if lane["lane_id"] == batch.lane_id)
    same = [
        lane["segments"]
        for lane in work
        if lane["priority"] == row["priority"] and lane["lane_id"] != batch.lane_id
    ]
    before = sum(lane["segments"] for lane in work if lane["priority"] < row["priority"])
    begins = max(now, row["next_at"], row["paused_until"] or now)
    return Outlook(*known, begins + leaving_time(own, same, before, rate=row["rate"]))


def leaving_time(own: float, same: Collection[float], before: float, *, rate: float) -> timedelta:
    """How long it takes until a lane's own segments have left, where lanes of the same priority share one sender's rate.

    `own` and each of `same` are segments that wait in a lane, `before` those of higher priority: lanes get equal shares, so
    another one has had at most as much as this lane once this lane is empty. Claims keep to the pace, a little below the rate.
    """
    return timedelta(seconds=(before + own + sum(min(other, own) for other in same)) / (rate * PACE))


def is_slow(batch: Batch, outlook: Outlook) -> bool:
    """Whether its last message can't leave within 24 h of its acceptance."""
    return outlook.expected_end_at is not None and outlook.expected_end_at > batch.created_at + SLOW


def may_be_slow(queue: SenderQueue) -> bool:
    """Whether so much waits at a sender that a batch of it may be slow: asked before each batch is looked at by itself."""
    return queue.waiting * _MOST_SEGMENTS > queue.rate * PACE * SLOW.total_seconds()


def may_still_leave(batch: Batch) -> bool:
    """Whether some of its messages are yet to be handed over."""
    retrying, enqueued, *_ = batch.by_rank
    return batch.finished_at is None and bool(
        retrying + enqueued + (batch.unclaimed if batch.ended_at is None else 0)
    )


_NOT_TAKEN: Final = (
    "no sender has taken it up yet",
    ": one runs where sending.processes is above 0, or as `sftp-gateway sender`",
)


def _first_obstacle(batch: Batch, row: asyncpg.Record) -> tuple[str, str] | None:
    """What must be put right before anyone can say when the batch will have left; and by which command or setting."""
    if row["campaign_status"] == "deleted":
        return "its campaign is deleted: what has not left will fail", ""
    if batch.is_held:
        return f"it is held ({batch.held_because})", f" until `sftp-gateway batch release {batch.id}`"
    if row["campaign_status"] == "suspended":
        way_out = f" until `sftp-gateway campaign resume {batch.campaign_id}`"
        return "its campaign is suspended: messages wait", way_out
    if row["lane_paused_since"] is not None:
        because = row["lane_paused_because"] or ASKED_FOR
        way_out = f" until `sftp-gateway sending resume --campaign {batch.campaign_id}`"
        return f"its campaign is paused ({because})", way_out
    if row["lacks_account"] and row["provider"] in (None, "none"):
        way_out = f": give it one with `sftp-gateway campaign twilio {batch.campaign_id}`"
        return "its campaign has no account", way_out
    if row["provider"] == "none":
        return (
            "its channel has no provider, so its messages wait",
            ": see the setting sending.public.provider",
        )
    if row["paused_since"] is not None and row["paused_until"] is None:
        because = row["paused_because"] or ASKED_FOR
        words = (
            "--all` (first see section 8 of the runbook)"
            if because == RESTORED
            else f"--sender {row['name']}`"
        )
        return f"its sender is paused ({because})", f" until `sftp-gateway sending resume {words}"
    return None
