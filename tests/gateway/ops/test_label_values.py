"""Each selector of the alerts and of the dashboard finds a series of a node: a label's value that never occurs is seen here."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.ops.backlog import _CLASSES, _HOLDS
from gateway.ops.dependencies import Dependency
from gateway.processes.parts import PARTS
from notifications.notifications import ENTRYPOINT as NOTIFICATION
from processing.refusals import SUMMARY_ENTRYPOINT
from processing.verdicts.queueing import VERDICT_ENTRYPOINTS
from tests.gateway.nodes import ROOT
from tests.gateway.ops.alert_rules import names_of_alerts
from tests.gateway.ops.test_monitoring import ALERTS, ROOMS, expressions
from tests.gateway.ops.test_sending_alerts import alerts_of_sending
from tests.gateway.ops.test_smpp_alerts import alerts_of_smpp
from tests.gateway.ops.test_upload_alerts import alerts_of_uploads

# Of a whole node, which has more than one.
_PLACES = {"instance", "job"}
_SELECTOR = re.compile(r"(sftp_gateway_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")
_RULE = re.compile(r"- alert: (\w+)\n\s+expr: (?:>-\n)?(.*?)\n\s+(?:for|labels):", re.DOTALL)
# What API and console begin with at their start, without a socket.
_BEGIN = """
import api.app, console.metrics, console.server, prometheus_client
application = console.app.Application(None)
for route in console.server.ROUTES:
    application.endpoint(route)
console.metrics.CODES.labels("failed")
print(prometheus_client.generate_latest().decode())
"""
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Selector:
    """What is asked for by a metric's name and matchers of its labels."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    def finds(self, labels: Labels) -> bool:
        return all(_matches(labels.get(name, ""), operator, value) for name, operator, value in self.matchers)


def _matches(found: str, operator: str, value: str) -> bool:
    is_met = re.fullmatch(value, found) is not None if "~" in operator else found == value
    return is_met != operator.startswith("!")


def selectors(expression: str) -> Iterator[Selector]:
    for metric, written in _SELECTOR.findall(expression):
        matchers = [each for each in _MATCHER.findall(written) if each[0] not in _PLACES]
        yield Selector(metric, tuple(matchers))


@cache
def known_series() -> Mapping[str, list[Labels]]:
    """All that there is from a node's start, by metric. A process of its own, since other tests make series up."""
    modules = ", ".join(module.__name__ for module in ROOMS)
    told = subprocess.run(
        [sys.executable, "-c", f"import {modules}\n{_BEGIN}"],
        capture_output=True, text=True, timeout=120, check=True, cwd=ROOT,
    ).stdout  # fmt: skip
    series: dict[str, list[Labels]] = {}
    for family in text_string_to_metric_families(told):
        for sample in family.samples:
            series.setdefault(sample.name, []).append(sample.labels)
    entrypoints = (*VERDICT_ENTRYPOINTS, NOTIFICATION, SUMMARY_ENTRYPOINT)
    parts: list[Labels] = [{"part": part.name} for part in PARTS]
    # Any status of HTTP may be counted; those that alerts count are there from the start.
    series["sftp_gateway_api_requests_total"] += [
        {"endpoint": "send_message", "status": str(status.value)} for status in HTTPStatus
    ]
    return series | {
        "sftp_gateway_build_info": [{"version": "0"}],
        "sftp_gateway_dependency_up": [{"dependency": each.value} for each in Dependency],
        "sftp_gateway_processes": parts,
        "sftp_gateway_process_restarts_total": parts,
        # The statuses of PgQueuer's jobs that keep their row.
        "sftp_gateway_queue_jobs": [
            {"entrypoint": entrypoint, "status": status}
            for entrypoint in entrypoints
            for status in ("queued", "picked", "failed")
        ],
        "sftp_gateway_queue_oldest_seconds": [{"entrypoint": each} for each in entrypoints],
        "sftp_gateway_sending_oldest_seconds": [{"class": each} for each in _CLASSES],
        "sftp_gateway_senders_paused": [{"until": each} for each in ("later", "resumed")],
        "sftp_gateway_batches_held": [{"because": each} for each in _HOLDS],
    }


def asked() -> list[tuple[str, str]]:
    found = _RULE.findall(ALERTS.read_text())
    assert len(found) == ALERTS.read_text().count("- alert: ")
    return found + [(f"panel {number}", expression) for number, expression in enumerate(expressions())]


@pytest.mark.parametrize("expression", [pytest.param(each, id=name) for name, each in asked()])
def test_each_selector_finds_a_series_and_each_group_a_label(expression: str) -> None:
    labels = {*_PLACES, "le"}
    for selector in selectors(expression):
        found = known_series().get(selector.metric, [])
        labels |= {name for series in found for name in series} | _labels_of(selector.metric)
        if selector.matchers:
            assert any(map(selector.finds, found)), selector
    grouped = {name.strip() for names in _GROUPING.findall(expression) for name in names.split(",")}
    assert grouped <= labels


def _labels_of(metric: str) -> set[str]:
    """As the reference of the metrics lists them: what has no series before something happens has its labels all the same."""
    row = re.search(
        rf"^\| `{re.sub('_(bucket|sum|count)$', '', metric)}` \| \w+ \| ([^|]*) \|",
        (ROOT / "docs" / "metrics.md").read_text(),
        re.MULTILINE,
    )
    return {name.strip() for name in row[1].split(",")} if row else set()


def test_each_alert_is_caused_by_a_test() -> None:
    caused = {*alerts_of_uploads(), *alerts_of_sending(), *alerts_of_smpp()}
    texts = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*alerts.py"))
    missing = [name for name in names_of_alerts() if name not in caused and f'"{name}"' not in texts]
    assert not missing
