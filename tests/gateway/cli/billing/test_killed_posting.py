"""A process that dies while it posts leaves each month whole or not there, and the next one finishes."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from config.settings import variable_of

if TYPE_CHECKING:
    from tests.gateway.cli.conftest import Call, Database

OCTOBER, NOVEMBER = (datetime(2025, month, 10, 4, tzinfo=UTC) for month in (10, 11))
CLOSE = ("billing", "close", "--month", "2025-11")


def state(database: "Database") -> list[tuple[object, ...]]:
    """What is posted: months, reports with their sums, campaigns, lines, events."""
    rows = database.run(
        "select m.month, r.local_segments, r.local_mills, c.campaign_id, l.outcome, l.segments, ("
        "  select count(*) from audit_events"
        "  where event = 'billing_month_posted' and details ->> 'month' = to_char(m.month, 'YYYY-MM')"
        " )"
        " from billing_months m left join billing_reports r using (month)"
        " left join billing_report_campaigns c on c.report_id = r.id"
        " left join billing_report_lines l on l.report_id = r.id and l.campaign_id = c.campaign_id order by 1, 5"
    )
    return [tuple(str(cell) for cell in row) for row in rows]


@pytest.mark.parametrize(
    ("point", "months"), [("billing.locked", 0), ("billing.posted", 0), ("billing.committed", 1)]
)
def test_a_month_is_posted_whole_or_not_at_all(
    admin: "Call",
    campaign_id: str,
    database: "Database",
    gateway_variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    point: str,
    months: int,
) -> None:
    for number, at in enumerate((OCTOBER, NOVEMBER)):
        delivered = {"status": 5, "created_at": at, "updated_at": at, "sent_at": at}
        database.insert_batch(campaign_id, f"batch_{number}", [{"segments": 3, "attempts": [delivered]}])
    (tmp_path / point).touch()
    environment = variable_of("environment")
    died = subprocess.run(
        [sys.executable, "-m", "gateway", *CLOSE],
        env={**gateway_variables, environment: "production", "GATEWAY_FAULT_POINTS": str(tmp_path)},
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    whole = [(month, "3", "138", campaign_id, "success", "3", "1") for month in ("2025-10-01", "2025-11-01")]
    assert state(database) == whole[:months]
    monkeypatch.setenv(environment, "production")
    assert admin(*CLOSE).status == 0
    assert state(database) == whole
    assert admin(*CLOSE).err.startswith("2025-11 was posted already")
    assert state(database) == whole
