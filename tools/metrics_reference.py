"""`docs/metrics.md`: what `/metrics` tells, by the rooms' own metrics, and by a table of what the ops endpoint adds.

A test has a node tell its metrics, and finds each on the page.
"""

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

import api.metrics
import console.metrics
import database.metrics
import notifications.metrics
import processing.metrics
import sending.metrics
import sftpd.metrics
import web.metrics

HEADER: Final = ("metric", "kind", "labels", "what it tells")
INTRO: Final = """\
# Metrics

What `/metrics` of each node's ops endpoint tells, in Prometheus's text format. Counters count from the start of the node's parent
process, over all its processes; gauges add up over them. A histogram has `_bucket`, `_sum` and `_count`. Alerts on them are in
[ops/alerts.yml](ops/alerts.yml), and what to do about each in the [runbook](ops-runbook.md#6-alerts).

"""
_ROOMS: Final[Sequence[tuple[str, ModuleType]]] = (
    ("SFTP front", sftpd.metrics),
    ("Uploads and verdicts", processing.metrics),
    ("E-mails", notifications.metrics),
    ("Sending", sending.metrics),
    ("HTTP: connections and requests", web.metrics),
    ("HTTP: calls of the API, and callbacks of providers", api.metrics),
    ("Console", console.metrics),
    ("Jobs of the queue", database.metrics),
)
# What the parent process tells beside its children; what waits in the database is told by each part that may read it there.
_NODE: Final = (
    ("sftp_gateway_build_info", "gauge", "version", "The running release."),
    ("sftp_gateway_dependency_up", "gauge", "dependency", "Whether a dependency answered its last probe."),
    ("sftp_gateway_processes", "gauge", "part", "Processes at work."),
    ("sftp_gateway_process_restarts_total", "counter", "part", "Processes that died and were replaced."),
    ("sftp_gateway_queue_jobs", "gauge", "entrypoint, status", "Jobs in the queue; `failed` ones are held."),
    ("sftp_gateway_queue_oldest_seconds", "gauge", "entrypoint", "Age of the oldest job that may run and waits."),
    ("sftp_gateway_uploads_undecided", "gauge", "", "Uploads that have no outcome."),
    ("sftp_gateway_uploads_undecided_oldest_seconds", "gauge", "", "Age of the oldest of them."),
    ("sftp_gateway_notifications_waiting", "gauge", "", "Outcomes that are not mailed yet."),
    ("sftp_gateway_notifications_waiting_oldest_seconds", "gauge", "", "Age of the oldest of them."),
    (
        "sftp_gateway_sending_oldest_seconds", "gauge", "class",
        "Seconds for which the oldest batch, single send or retry of active campaigns has waited to leave, by class.",
    ),
    ("sftp_gateway_senders_paused", "gauge", "until", "Senders that are paused."),
    ("sftp_gateway_batches_held", "gauge", "because", "Batches that leave only when they are released."),
    (
        "sftp_gateway_batches_without_provider", "gauge", "",
        "Batches and single sends that wait, as their channel has no provider or their campaign no account.",
    ),
    (
        "sftp_gateway_usage_differences", "gauge", "",
        "Daily totals of usage that weren't what the attempts come to, at the last recount of each campaign.",
    ),
    (
        "sftp_gateway_usage_checked_seconds", "gauge", "",
        "Age of the last nightly recount of a campaign's usage; not told before the first one.",
    ),
    (
        "sftp_gateway_billing_posted_seconds", "gauge", "",
        "Time since the end of the last month that was posted; not told before the first one.",
    ),
    (
        "sftp_gateway_batch_numbers_used_ratio", "gauge", "",
        "The part of the numbers for batches and single sends that is used up, of 1.",
    ),
)  # fmt: skip


def metric_sections() -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Each section's title, and its rows."""
    yield "The node, and what waits", [(f"`{name}`", *rest) for name, *rest in _NODE]
    for title, module in _ROOMS:
        yield title, [_row(value) for value in vars(module).values() if isinstance(value, MetricWrapperBase)]


def _row(metric: MetricWrapperBase) -> tuple[str, ...]:
    (described,) = metric.describe()
    name = f"{described.name}_total" if described.type == "counter" else described.name
    labels = ", ".join(vars(metric)["_labelnames"])
    return f"`{name}`", described.type, labels, described.documentation
