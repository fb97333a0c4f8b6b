"""The alerts on the console's pages ring when many fail or are slow, for the console alone, and are silent for a few."""

from pathlib import Path

import prometheus_client

from console import metrics
from tests.gateway.ops.alert_rules import ringing
from tests.gateway.ops.test_monitoring import needs_promtool
from web import metrics as web_metrics

pytestmark = needs_promtool


def told() -> str:
    """What this process tells of requests and pages, as a node's `/metrics` does."""
    lines = prometheus_client.generate_latest().decode().splitlines()
    return (
        "\n".join(line for line in lines if "sftp_gateway_api_req" in line or "sftp_gateway_console_" in line)
        + "\n"
    )


def seen(page: str, status: str, count: int, seconds: float = 0.01) -> None:
    """So many requests for the page."""
    web_metrics.REQUESTS.labels(f"console_{page}", status).inc(count)
    for _ in range(count):
        metrics.PAGE_SECONDS.labels(page).observe(seconds)


def test_what_is_usual_rings_nothing(tmp_path: Path) -> None:
    for status in ("200", "403", "503"):
        seen("alert_a", status, 0)
    before = told()
    seen("alert_a", "200", 900)
    seen("alert_a", "403", 300)
    seen("alert_a", "503", 5)
    seen("alert_a", "200", 9, seconds=3)
    metrics.POLICY_VIOLATIONS.inc(3)
    metrics.CODES.labels("sent").inc(100)
    metrics.CODES.labels("refused").inc(20)
    assert ringing(before, told(), tmp_path) == set()


def test_pages_that_fail_are_told_as_the_consoles(tmp_path: Path) -> None:
    seen("alert_b", "500", 0)
    before = told()
    seen("alert_b", "500", 40)
    assert ringing(before, told(), tmp_path) == {"SFTPGatewayConsoleErrors"}


def test_a_slow_page_is_told_though_others_are_fast(tmp_path: Path) -> None:
    seen("alert_c", "200", 0)
    seen("alert_d", "200", 0)
    metrics.PAGE_SECONDS.labels("alert_c").observe(0.01)
    before = told()
    seen("alert_c", "200", 40, seconds=3)
    seen("alert_d", "200", 4000)
    assert ringing(before, told(), tmp_path) == {"SFTPGatewayConsoleSlow"}


def test_a_broken_policy_is_told(tmp_path: Path) -> None:
    before = told()
    metrics.POLICY_VIOLATIONS.inc(100)
    assert ringing(before, told(), tmp_path) == {"SFTPGatewayConsolePolicyBroken"}


def test_codes_that_reach_no_mail_server_are_told(tmp_path: Path) -> None:
    metrics.CODES.labels("failed").inc(0)
    before = told()
    metrics.CODES.labels("failed").inc(8)
    assert ringing(before, told(), tmp_path) == {"SFTPGatewayConsoleCodesUnsent"}
