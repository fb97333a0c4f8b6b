"""The alerts on what workers do by themselves: recounts that differ or are left out, months not posted, ranges that stay."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from database.connections import Connection, Pool
from gateway.ops.backlog import fetch_backlogs
from gateway.ops.dependencies import Backlog
from tests.gateway.ops.alert_rules import ringing
from tests.gateway.ops.test_monitoring import needs_promtool


def metrics(differences: int, age: timedelta, posted: timedelta = timedelta(days=35, hours=5)) -> str:
    return (
        f"sftp_gateway_usage_differences {differences}.0\n"
        f"sftp_gateway_usage_checked_seconds {age.total_seconds()}\n"
        f"sftp_gateway_billing_posted_seconds {posted.total_seconds()}\n"
        "sftp_gateway_ranges_not_archived_total 2.0\n"
        "sftp_gateway_batch_numbers_used_ratio 0.5\n"
    )


WELL = metrics(0, timedelta(hours=30))


@needs_promtool
@pytest.mark.parametrize(
    ("after", "rings"),
    [
        pytest.param(WELL, set[str](), id="well"),
        pytest.param(metrics(1, timedelta(0)), {"SFTPGatewayUsageDiffers"}, id="a difference"),
        pytest.param(metrics(0, timedelta(days=3)), {"SFTPGatewayUsageUnchecked"}, id="nights without"),
        pytest.param(
            WELL.replace("ratio 0.5", "ratio 0.51"), {"SFTPGatewayBatchNumbersEnd"}, id="numbers end"
        ),
        pytest.param(
            WELL.replace("archived_total 2", "archived_total 3"),
            {"SFTPGatewayRangesStay"},
            id="an old range stays",
        ),
        pytest.param(
            metrics(0, timedelta(0), timedelta(days=35, hours=7)),
            {"SFTPGatewayMonthNotPosted"},
            id="a month that is not posted",
        ),
    ],
)
def test_each_alert_rings_for_its_cause_alone(after: str, rings: set[str], tmp_path: Path) -> None:
    assert ringing(WELL, after, tmp_path) == rings


async def test_a_worker_tells_how_long_ago_the_last_posted_month_ended(
    pool: Pool, connection: Connection
) -> None:
    assert "sftp_gateway_billing_posted_seconds" not in await told(pool)
    await connection.execute(
        "insert into billing_months (month, posted_at) select m, now() from unnest($1::date[]) m",
        [date(2025, 11, 1), date(2025, 12, 1)],
    )
    before = datetime.now(UTC)
    ago = (await told(pool))["sftp_gateway_billing_posted_seconds"]
    ended = datetime(2025, 12, 31, 16, tzinfo=UTC)
    # The database's clock is this machine's.
    assert abs(ago - (before - ended).total_seconds()) < 3600


async def test_a_worker_tells_which_part_of_the_numbers_is_used(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    assert (await told(pool))["sftp_gateway_batch_numbers_used_ratio"] == 0
    await connection.execute(
        "insert into batches (id, campaign_id, original_file_name, total_messages, batch_no)"
        " values ('batch_1', $1, 'a.csv', 1, 1073741824)",
        campaign_id,
    )
    assert (await told(pool))["sftp_gateway_batch_numbers_used_ratio"] == pytest.approx(0.5)


async def told(pool: Pool) -> dict[str, float]:
    gauges = await fetch_backlogs(pool, {Backlog.CHECKS})
    return {gauge.name: gauge.samples[0].value for gauge in gauges}
