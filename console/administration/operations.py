"""`/ops`: what waits and since when, what leaves and how, who is there; as it changes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
from starlette.responses import Response

from campaigns.people.permissions import Action
from console.live.checks import still_allowed
from console.live.views import Fragment, Note
from console.paths import url
from console.rendering import Renderer
from console.routes import ConsoleRoute
from console.visits import Visit
from database.connections import Connection
from database.queries import NamedQueries
from sending.queues import SenderQueue, fetch_queues

SQL: Final = NamedQueries("console", "administration/operations.sql")
# Seconds between two looks, while somebody has the page open.
_LOOK_EVERY: Final = 5.0
# At most so many single sends are counted.
_MOST_SINGLES: Final = 20_000
_TEMPLATE: Final = "administration/operations_parts.html"
# What the page shows live, by the names of the macros that make it.
_PARTS: Final = ("waiting", "senders", "deliveries", "jobs", "parts", "limited")
_JOBS: Final = {
    "verdict": "Files by SFTP to be decided",
    "verdict_api": "Files by the API to be decided",
    "verdict_console": "Files by the console to be checked",
    "notification": "Outcomes to be mailed",
    "refusal_summary": "Refusals to be summed up in an e-mail",
}
_PROCESSES: Final = {
    "api": "API", "console": "Console", "front": "SFTP front", "ops": "Ops endpoints", "queue": "Workers' queues",
    "sender": "Sender", "worker": "Worker",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operations:
    """All that the page shows, of one moment."""

    undecided: asyncpg.Record
    unmailed: asyncpg.Record
    held: int
    connected: int
    senders: Sequence[SenderQueue]
    jobs: Sequence[asyncpg.Record]
    parts: Sequence[asyncpg.Record]
    files: asyncpg.Record
    singles: asyncpg.Record
    limited: Sequence[asyncpg.Record]

    @property
    def waiting(self) -> int:
        """How many messages wait, at all senders."""
        return sum(queue.waiting for queue in self.senders)

    @property
    def oldest_waiting_at(self) -> datetime | None:
        """When the oldest message that waits was accepted."""
        times = [queue.oldest_waiting_at for queue in self.senders if queue.oldest_waiting_at is not None]
        return min(times, default=None)


async def fetch_operations(connection: Connection) -> Operations:
    """Look at everything. Each statement reads an index, or some rows."""
    undecided = await connection.fetchrow(SQL["fetch_undecided"])
    unmailed = await connection.fetchrow(SQL["fetch_unmailed"])
    files = await connection.fetchrow(SQL["count_files"])
    singles = await connection.fetchrow(SQL["count_singles"], _MOST_SINGLES)
    assert undecided and unmailed and files and singles  # noqa: S101, PT018 - counts have a row
    return Operations(
        undecided,
        unmailed,
        await connection.fetchval(SQL["fetch_held"]),
        await connection.fetchval(SQL["count_connected"]),
        await fetch_queues(connection),
        await connection.fetch(SQL["fetch_jobs"]),
        await connection.fetch(SQL["list_parts"]),
        files,
        singles,
        await connection.fetch(SQL["list_limited"]),
    )


class OperationsView:
    """The page's live parts: nothing announces them, so they are looked at every few seconds."""

    @property
    def key(self) -> Hashable:
        """The same for all who may see it."""
        return ("operations",)

    @property
    def interval(self) -> float | None:
        """Seconds between two looks."""
        return _LOOK_EVERY

    def is_concerned(self, _note: Note) -> bool:
        """Nothing that is announced is told here at once."""
        return False

    async def render(self, connection: Connection, renderer: Renderer) -> Sequence[Fragment]:
        """All parts as they are now."""
        operations = await fetch_operations(connection)
        return [
            Fragment(f"ops-{name}", renderer.macro(_TEMPLATE, name, operations, _JOBS, _PROCESSES))
            for name in _PARTS
        ]


async def show_operations(visit: Visit) -> Response:
    """The page."""
    async with visit.connection() as connection:
        operations = await fetch_operations(connection)
    return await visit.page(
        "administration/operations.html", operations=operations, jobs=_JOBS, processes=_PROCESSES,
        stream=url("ops_stream"),
    )  # fmt: skip


async def follow_operations(visit: Visit) -> Response:
    """The same, as it changes."""
    return visit.services.hub.open(
        OperationsView(),
        user_id=visit.user.id,
        campaign_id=None,
        check=still_allowed(visit, Action.ADMINISTER),
    )


ROUTES: Final = (
    ConsoleRoute("ops", "/ops", {"GET": show_operations}, Action.ADMINISTER),
    ConsoleRoute("ops_stream", "/ops/live", {"GET": follow_operations}, Action.ADMINISTER, is_stream=True),
)
