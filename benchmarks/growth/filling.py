"""Tables as they stand after some years, written set-wise: as many rows as the sizes say, none of them by the gateway itself.

No row is read to write another: everything follows from its number, by functions of `filling.sql`. Indexes are left out meanwhile
and made at the end, as a restore would do it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from database.connections import Connection
from database.hosts import connect_to_any
from database.queries import NamedQueries

SQL: Final = NamedQueries("benchmarks", "growth/filling.sql")
AGE: Final = timedelta(days=4 * 365)
_AT_ONCE: Final = 200_000
_HOUR: Final = 3600.0
# Everything that grows for years. A table that isn't here is of those that stay small, and may be read whole.
LARGE: Final = (
    "campaigns", "template_bodies", "ssh_keys", "api_keys", "api_uses", "members", "campaign_visits", "lanes", "uploads",
    "notifications", "batches", "messages", "attempts", "audit_events", "usage_days", "pgqueuer_log",
    "billing_report_campaigns", "billing_report_lines",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows there are. Each two uploads come with a batch of 19 messages and a single one, and with five audit events."""

    uploads: int
    campaigns: int

    @property
    def messages(self) -> int:
        return self.uploads * 10

    @property
    def events(self) -> int:
        return self.uploads * 5 // 2


async def fill(url: str, sizes: Sizes) -> None:
    """Write all rows, make the indexes, and let the planner know of them."""
    now = datetime.now(UTC)
    async with _connected(url, sizes) as connection:
        await connection.execute(SQL["prepare"])
        # What the set-up of servers and campaigns has left there has the first numbers.
        await connection.execute("truncate audit_events")
        await connection.execute(SQL["continue_numbers"], sizes.uploads, sizes.events)
        await connection.execute(SQL["make_ranges"])
        leaves = [row[0] for row in await connection.fetch(SQL["list_leaves"], LARGE)]
        await connection.execute(SQL["leave_indexes"], leaves)
        for name in ("insert_agencies", "insert_domains", "insert_users", "insert_sender"):
            await connection.execute(SQL[name])
    begin = now - AGE
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_write_campaigns(url, sizes, begin))
        tasks.create_task(_write(url, sizes, ("insert_messages",), sizes.uploads, begin, AGE))
        tasks.create_task(_write(url, sizes, ("insert_attempts",), sizes.uploads, begin, AGE))
        tasks.create_task(_write_batches(url, sizes, begin))
        tasks.create_task(_write(url, sizes, ("insert_events",), sizes.events, begin, AGE, sizes.campaigns))
    async with asyncio.TaskGroup() as tasks:
        for some in (leaves[::2], leaves[1::2]):
            tasks.create_task(_finish(url, sizes, some))
    async with _connected(url, sizes) as connection:
        await connection.execute(SQL["end_filling"])
        await connection.execute("analyze", timeout=_HOUR)


async def _write(
    url: str, sizes: Sizes, names: Sequence[str], rows: int, begin: datetime, span: timedelta, *more: int
) -> None:
    """Run these statements for so many numbers, some at once; their times are spread over the span."""
    async with _connected(url, sizes) as connection:
        for first in range(1, rows + 1, _AT_ONCE):
            last = min(first + _AT_ONCE - 1, rows)
            for name in names:
                await connection.execute(
                    SQL[name], first, last, *more, begin, span / (rows + 1), timeout=_HOUR
                )


async def _write_campaigns(url: str, sizes: Sizes, begin: datetime) -> None:
    async with _connected(url, sizes) as connection:
        step = AGE / (sizes.campaigns + 1)
        await connection.execute(SQL["insert_campaigns"], sizes.campaigns, begin, step, timeout=_HOUR)
        for name in ("bodies", "ssh_keys", "api_keys", "api_uses", "members", "visits", "lanes"):
            await connection.execute(SQL[f"insert_{name}"], sizes.campaigns, timeout=_HOUR)
        await connection.execute(SQL["insert_queue_log"], sizes.uploads // 200 * 3, timeout=_HOUR)


async def _write_batches(url: str, sizes: Sizes, begin: datetime) -> None:
    await _write(url, sizes, ("insert_uploads", "insert_batches"), sizes.uploads, begin, AGE, sizes.campaigns)
    await _write(url, sizes, ("insert_notifications",), sizes.uploads, begin, AGE)
    async with _connected(url, sizes) as connection:
        await connection.execute(SQL["insert_usage"], timeout=_HOUR)


async def _finish(url: str, sizes: Sizes, tables: Sequence[str]) -> None:
    async with _connected(url, sizes) as connection:
        await connection.execute("set maintenance_work_mem = '512MB'")
        for table in tables:
            await connection.execute(f"reindex table {table}", timeout=_HOUR)
            await connection.execute(f"vacuum (analyze) {table}", timeout=_HOUR)


@contextlib.asynccontextmanager
async def _connected(url: str, sizes: Sizes) -> AsyncIterator[Connection]:
    """A connection without triggers and foreign keys: what they would write is written as it ends."""
    connection = await connect_to_any(url, timeout=10)
    try:
        await connection.execute("set session_replication_role = replica")
        await connection.execute("set synchronous_commit = off")
        await connection.execute(SQL["tell_sizes"], sizes.uploads, sizes.events, sizes.campaigns)
        yield connection
    finally:
        await connection.close()
