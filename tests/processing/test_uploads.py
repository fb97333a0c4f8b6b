"""Questions to the table `uploads`, where a campaign has sent many."""

from datetime import UTC, datetime, timedelta

import pytest

from database.connections import Pool
from processing.uploads import SQL

NAME = "appointments_7.csv"
SINCE = datetime.now(UTC) - timedelta(hours=6)


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        pytest.param("find_campaign_upload", (NAME,), id="STAT"),
        pytest.param("has_upload_since", ([NAME, "appointments_7.csv.part"], SINCE), id="sweep"),
        pytest.param("unlist_upload", (NAME,), id="REMOVE"),
        pytest.param("set_modified_at", (NAME, SINCE), id="SETSTAT"),
    ],
)
async def test_a_name_is_found_without_reading_the_campaigns_other_uploads(
    statement: str, arguments: tuple[object, ...], campaign: str, pool: Pool
) -> None:
    await pool.execute(
        """
        insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at)
        select 'upload_' || n, $1, 'appointments_' || n || '.csv', 'received', 1, 'r', now() - interval '5 s' * n
        from generate_series(1, 10000) n
        """,
        campaign,
    )
    await pool.execute("analyze uploads")
    plan = await pool.fetch(f"explain {SQL[statement]}", campaign, *arguments)
    assert any("uploads_by_name" in row[0] for row in plan), plan
