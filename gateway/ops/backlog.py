"""What waits, and for how long: jobs by kind, uploads without an outcome, outcomes that nobody has been told.

It is read from PostgreSQL whenever Prometheus asks.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from database.connections import Pool, database_troubles
from database.queries import NamedQueries

SQL: Final = NamedQueries("gateway.ops", "backlog.sql")


async def fetch_backlog(pool: Pool) -> list[GaugeMetricFamily]:
    """The gauges of this moment, the same from every node. Raises ConfigError."""
    with database_troubles():
        async with pool.acquire() as connection:
            jobs = await connection.fetch(SQL["fetch_jobs"])
            undecided = await connection.fetchrow(SQL["fetch_undecided"])
            untold = await connection.fetchrow(SQL["fetch_untold"])
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
    assert untold is not None  # noqa: S101 - an aggregate always has a row
    return [
        depth,
        age,
        *_waiting(
            "undecided", "Uploads without an outcome", undecided["uploads"], undecided["oldest_seconds"]
        ),
        *_waiting("untold", "Outcomes not yet mailed", untold["uploads"], untold["oldest_seconds"]),
    ]


def _waiting(name: str, what: str, count: int, oldest: float) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(f"sftp_gateway_uploads_{name}", f"{what}.", value=count)
    yield GaugeMetricFamily(
        f"sftp_gateway_uploads_{name}_oldest_seconds", f"{what}: age of the oldest.", value=oldest
    )
