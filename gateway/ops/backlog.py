"""What waits, and for how long: jobs by kind, uploads without an outcome, outcomes that nobody has been told, messages.

It is read from PostgreSQL whenever Prometheus asks.
"""

from collections.abc import Collection, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from database.connections import Connection, Pool, database_troubles
from database.queries import NamedQueries
from gateway.ops.dependencies import Backlog

SQL: Final = NamedQueries("gateway.ops", "backlog.sql")


_CLASSES: Final = ("otp", "single", "batch")
_HOLDS: Final = ("upgrade", "stale", "restored")


async def fetch_backlogs(pool: Pool, kinds: Collection[Backlog]) -> list[GaugeMetricFamily]:
    """The gauges of this moment, the same from every node that tells of these. Raises ConfigError."""
    with database_troubles():
        async with pool.acquire() as connection:
            uploads = await _fetch_uploads(connection) if Backlog.UPLOADS in kinds else []
            messages = await _fetch_messages(connection) if Backlog.MESSAGES in kinds else []
            checks = await _fetch_checks(connection) if Backlog.CHECKS in kinds else []
    return [*uploads, *messages, *checks]


async def _fetch_uploads(connection: Connection) -> list[GaugeMetricFamily]:
    jobs = await connection.fetch(SQL["fetch_jobs"])
    undecided = await connection.fetchrow(SQL["fetch_undecided"])
    unmailed = await connection.fetchrow(SQL["fetch_unmailed"])
    depth = GaugeMetricFamily(
        "sftp_gateway_queue_jobs", "Jobs in the queue, by kind and status.", labels=["entrypoint", "status"]
    )
    age = GaugeMetricFamily(
        "sftp_gateway_queue_oldest_seconds",
        "Age of the oldest job that may run and waits.",
        labels=["entrypoint"],
    )
    oldest: dict[str, float] = {}
    for row in jobs:
        depth.add_metric([row["entrypoint"], row["status"]], row["jobs"])
        oldest[row["entrypoint"]] = max(oldest.get(row["entrypoint"], 0.0), row["oldest_seconds"])
    for entrypoint, seconds in oldest.items():
        age.add_metric([entrypoint], seconds)
    assert undecided is not None  # noqa: S101 - an aggregate always has a row
    assert unmailed is not None  # noqa: S101 - an aggregate always has a row
    return [
        depth,
        age,
        *_waiting(
            "uploads_undecided",
            "Uploads without an outcome",
            undecided["uploads"],
            undecided["oldest_seconds"],
        ),
        *_waiting(
            "notifications_waiting",
            "Outcomes not yet mailed",
            unmailed["notifications"],
            unmailed["oldest_seconds"],
        ),
    ]


def _waiting(name: str, what: str, count: int, oldest: float) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(f"sftp_gateway_{name}", f"{what}.", value=count)
    yield GaugeMetricFamily(
        f"sftp_gateway_{name}_oldest_seconds", f"{what}: age of the oldest.", value=oldest
    )


async def _fetch_messages(connection: Connection) -> list[GaugeMetricFamily]:
    """What the sending core has before it, and what keeps it."""
    oldest = GaugeMetricFamily(
        "sftp_gateway_sending_oldest_seconds",
        "Seconds for which the oldest batch, single send or retry of active campaigns has waited to leave, by class.",
        labels=["class"],
    )
    waited = {row["class"]: row["oldest_seconds"] for row in await connection.fetch(SQL["fetch_waiting"])}
    for number, name in enumerate(_CLASSES):
        oldest.add_metric([name], waited.get(number, 0.0))
    paused = GaugeMetricFamily(
        "sftp_gateway_senders_paused",
        "Senders that are paused: by throttling, which lifts itself, or until `sending resume`.",
        labels=["until"],
    )
    row = await connection.fetchrow(SQL["fetch_paused"])
    assert row is not None  # noqa: S101 - an aggregate always has a row
    paused.add_metric(["later"], row["later"])
    paused.add_metric(["resumed"], row["resumed"])
    held = GaugeMetricFamily(
        "sftp_gateway_batches_held", "Batches that leave only when they are released.", labels=["because"]
    )
    holds = {row["held_because"]: row["batches"] for row in await connection.fetch(SQL["fetch_held"])}
    for because in _HOLDS:
        held.add_metric([because], holds.get(because, 0))
    unprovided = GaugeMetricFamily(
        "sftp_gateway_batches_without_provider",
        "Batches and single sends of active campaigns that wait, as their channel has no provider or their campaign no account.",
        value=await connection.fetchval(SQL["fetch_unprovided"]),
    )
    return [oldest, paused, held, unprovided]


async def _fetch_checks(connection: Connection) -> list[GaugeMetricFamily]:
    """What the recounts of usage found, how far months are posted and numbers used up. Times aren't told before the first one."""
    row = await connection.fetchrow(SQL["fetch_checks"])
    assert row is not None  # noqa: S101 - an aggregate always has a row
    differences = GaugeMetricFamily(
        "sftp_gateway_usage_differences",
        "Daily totals of usage that weren't what the attempts come to, at the last recount of each campaign.",
        value=row["differences"],
    )
    gauges = [differences]
    if row["seconds"] is not None:
        checked = GaugeMetricFamily(
            "sftp_gateway_usage_checked_seconds",
            "Age of the last nightly recount of a campaign's usage.",
            value=row["seconds"],
        )
        gauges.append(checked)
    numbers = GaugeMetricFamily(
        "sftp_gateway_batch_numbers_used_ratio",
        "The part of the numbers for batches and single sends that is used up, of 1.",
        value=await connection.fetchval(SQL["fetch_numbers_used"]),
    )
    gauges.append(numbers)
    since = await connection.fetchval(SQL["fetch_posted"])
    if since is not None:
        posted = GaugeMetricFamily(
            "sftp_gateway_billing_posted_seconds",
            "Time since the end of the last month that was posted.",
            value=since,
        )
        gauges.append(posted)
    return gauges
