"""The alerts on usage ring when a recount found a difference, and when nights go by without one."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.gateway.ops.alert_rules import ringing
from tests.gateway.ops.test_monitoring import needs_promtool


def metrics(differences: int, age: timedelta) -> str:
    return (
        f"sftp_gateway_usage_differences {differences}.0\n"
        f"sftp_gateway_usage_checked_seconds {age.total_seconds()}\n"
    )


WELL = metrics(0, timedelta(hours=30))


@needs_promtool
@pytest.mark.parametrize(
    ("after", "rings"),
    [
        pytest.param(WELL, set[str](), id="well"),
        pytest.param(metrics(1, timedelta(0)), {"SFTPGatewayUsageDiffers"}, id="a difference"),
        pytest.param(metrics(0, timedelta(days=3)), {"SFTPGatewayUsageUnchecked"}, id="nights without"),
    ],
)
def test_each_alert_rings_for_its_cause_alone(after: str, rings: set[str], tmp_path: Path) -> None:
    assert ringing(WELL, after, tmp_path) == rings
