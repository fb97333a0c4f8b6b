"""Metrics, alert rules and dashboard: sound by Prometheus's own tool, and of the same names."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import prometheus_client
import pytest

import api.metrics
import console.metrics
import notifications.metrics
import processing.metrics
import sending.metrics
import sftpd.metrics
import web.metrics
from gateway.embedded.mail_server import Mailbox
from tests.gateway.nodes import ROOT, Node

ALERTS = ROOT / "docs" / "ops" / "alerts.yml"
DASHBOARD = ROOT / "docs" / "ops" / "dashboard.json"
ROOMS = (
    api.metrics,
    console.metrics,
    notifications.metrics,
    processing.metrics,
    sending.metrics,
    sftpd.metrics,
    web.metrics,
)
promtool = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(promtool is None, reason="promtool isn't installed (Debian: prometheus)")
NAME = re.compile(r"sftp_gateway_[a-z_]+")


def check_with_promtool(*arguments: str, given: str | None = None) -> None:
    done = subprocess.run(
        ["promtool", "check", *arguments], input=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.strip() == ""


def expressions() -> Iterator[str]:
    """All of the dashboard's."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            yield target["expr"]


def names_of_the_code() -> set[str]:
    """Every series that a node may tell."""
    names: set[str] = set()
    for metric in prometheus_client.REGISTRY.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(metric.type, [""])
        names |= {metric.name + suffix for suffix in suffixes}
    for module in ("endpoint", "backlog"):
        text = (ROOT / "gateway" / "ops" / f"{module}.py").read_text()
        names |= {
            f"{name}_total" for name in re.findall(r'CounterMetricFamily\(\s*"(sftp_gateway_\w+)"', text)
        }
        names |= set(re.findall(r'GaugeMetricFamily\(\s*"(sftp_gateway_\w+)"', text))
    for waiting in ("uploads_undecided", "notifications_waiting"):
        names |= {f"sftp_gateway_{waiting}", f"sftp_gateway_{waiting}_oldest_seconds"}
    return names


@pytest.mark.parametrize("path", [ALERTS, DASHBOARD], ids=lambda path: path.name)
def test_only_metrics_that_exist_are_looked_at(path: Path) -> None:
    asked = (
        " ".join(re.findall(r"expr: (.*)", path.read_text())) if path is ALERTS else " ".join(expressions())
    )
    found = set(NAME.findall(asked))
    assert found
    assert found - names_of_the_code() == set()


def test_every_alert_says_what_to_do() -> None:
    text = ALERTS.read_text()
    alerts = text.split("- alert: ")[1:]
    assert len(alerts) > 10
    assert all(re.search(r'action: "\S.{20,}"', alert) and "severity:" in alert for alert in alerts)


@needs_promtool
def test_promtool_passes_the_rules() -> None:
    check_with_promtool("rules", str(ALERTS))


@needs_promtool
def test_promtool_passes_the_dashboards_expressions(tmp_path: Path) -> None:
    rules = tmp_path / "dashboard.yml"
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, expression in enumerate(expressions()):
        plain = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
        lines += [f"      - record: panel_{number}", f"        expr: {json.dumps(plain)}"]
    rules.write_text("\n".join(lines) + "\n")
    check_with_promtool("rules", str(rules))


@needs_promtool
def test_promtool_passes_the_metrics_of_a_node_at_work(
    start_node: Callable[..., Node], good_file: Path, mailbox: Mailbox
) -> None:
    node = start_node()
    assert node.upload(good_file) == 0
    mailbox.wait_for(1)
    metrics = node.get("/metrics")[1]
    assert all(line.startswith(("#", "sftp_gateway_")) for line in metrics.splitlines())
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^# HELP (\S+)", metrics, re.MULTILINE))
    assert len(told) > 30
    assert told - set(NAME.findall(page)) == set()
    check_with_promtool("metrics", given=metrics)
