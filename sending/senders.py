"""The tables `senders` and `lanes`: where messages leave and how fast, made from settings and accounts, and their pauses.

The public channel is one sender; an internal campaign's messaging service is one for all campaigns that share it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.logs import get_logger
from database.connections import Connection, affected
from database.queries import NamedQueries
from messages.news import News, Receipt
from sending.providers.twilio_errors import SUSPENDED_CODES

SQL: Final = NamedQueries("sending", "senders.sql")
PUBLIC: Final = "public"
SUSPENDED: Final = "account suspended"

logger = get_logger("sending")


@dataclass(frozen=True, slots=True)
class SenderPlan:
    """A sender as the settings want it. `rate` is in segments a second, over all nodes together."""

    name: str
    provider: str
    rate: float


@dataclass(frozen=True, slots=True)
class SenderState:
    """A sender as it stands. `next_at` is when its reserved time ends, `now` the database's clock: seconds since 1970.

    `is_paused` says that it is paused now, and `paused_until` when this lifts itself, None where people must do it.
    `has_waiting` says whether any message could go now, were it for the sender alone. `account_set_at` is when the account of a
    messaging service was last changed, None for the public channel. `secret_key_id` names the newest key of secrets, which signs
    callbacks; None where the provider calls nobody back, or no key was made yet.
    """

    id: int
    name: str
    provider: str
    rate: float
    next_at: float
    now: float
    is_paused: bool
    paused_until: float | None
    has_waiting: bool
    account_set_at: datetime | None
    secret_key_id: int | None


async def record_senders(connection: Connection, plans: Sequence[SenderPlan]) -> list[SenderPlan]:
    """Make the senders as the settings want them; returns the plans of those that were otherwise. Those unnamed now stay."""
    changed = []
    for plan in plans:
        values = (plan.name, plan.provider, plan.rate)
        if affected(await connection.execute(SQL["update_sender"], *values)):
            changed.append(plan)
        await connection.execute(SQL["insert_sender"], *values)
    return changed


async def fetch_internal_services(connection: Connection) -> list[str]:
    """The messaging services of all internal campaigns that have an account."""
    return [row["service_sid"] for row in await connection.fetch(SQL["list_internal_services"])]


async def record_moved_lanes(connection: Connection) -> int:
    """Let the lanes of campaigns whose messaging service has changed follow it; returns how many did."""
    found = await connection.fetch(SQL["lanes_elsewhere"])
    if not found:
        return 0
    async with connection.transaction():
        # No claim runs on either sender meanwhile.
        senders = sorted({row[name] for row in found for name in ("old_sender", "new_sender")})
        await connection.execute(SQL["lock_senders"], senders)
        for row in found:
            await connection.execute(SQL["move_lane"], row["lane_id"], row["new_sender"])
    return len(found)


async def fetch_senders(connection: Connection, sender_id: int | None = None) -> list[SenderState]:
    """All senders as they stand, or the one with this id."""
    rows = await connection.fetch(SQL["list_senders"], sender_id)
    return [
        SenderState(
            id=row["id"],
            name=row["name"],
            provider=row["provider"],
            rate=row["rate"],
            next_at=row["next_at"],
            now=row["now"],
            is_paused=row["is_paused"],
            paused_until=row["paused_until"],
            has_waiting=row["has_waiting"],
            account_set_at=row["account_set_at"],
            secret_key_id=row["secret_key_id"],
        )
        for row in rows
    ]


async def record_pause(connection: Connection, sender_id: int, because: str, seconds: float | None) -> bool:
    """Pause a sender: for so many seconds, or until people resume it. False where it is paused for longer already."""
    return affected(await connection.execute(SQL["pause_sender"], sender_id, because, seconds)) > 0


async def pause_suspended(connection: Connection, news: Iterable[News]) -> None:
    """Pause the senders whose account the provider says is suspended, by news that is recorded already, until people resume them.

    News of what was handed over before the last resumption says nothing any more. In a transaction of its own: claims take
    a sender's lock before those of attempts.
    """
    keys = [one.key for one in news if isinstance(one, Receipt) and one.raw_code in SUSPENDED_CODES]
    if not keys:
        return
    columns = (
        [key.batch_no for key in keys],
        [key.row_number for key in keys],
        [key.attempt for key in keys],
    )
    codes = sorted(SUSPENDED_CODES)
    for row in await connection.fetch(SQL["pause_suspended_senders"], *columns, codes, SUSPENDED):
        logger.warning("sender_paused", sender=row["name"], reason=SUSPENDED, seconds=None)
