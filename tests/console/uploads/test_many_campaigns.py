"""Whoever sees thousands of campaigns sees the same newest uploads as whoever sees the few that have any."""

import pytest

from console.uploads.rows import Filters, list_uploads
from console.uploads.scopes import Scope
from database.connections import Connection

# One a minute of the scope's, and others within the last seconds, which can fill all that is looked at first.
_INSERT = """
insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at)
select $2 || n, $1, 'a.csv', 'rejected', 1, 'r', now() - n * $4::integer * interval '1 millisecond', now()
from generate_series(1, $3::integer) n
"""


@pytest.mark.parametrize("others", [20, 10_500], ids=["all are looked at", "the newest of all are others'"])
async def test_many_campaigns_have_the_uploads_that_the_few_of_them_have(
    connection: Connection, campaign_id: str, other_campaign_id: str, others: int
) -> None:
    await connection.execute(_INSERT, campaign_id, "upload_mine", 150, 60_000)
    await connection.execute(_INSERT, other_campaign_id, "upload_other", others, 1)
    few = Scope(campaign_ids=(campaign_id,))
    many = Scope(campaign_ids=(campaign_id, *(f"campaign_{number}" for number in range(6_000))))
    first = await list_uploads(connection, few, Filters(), most=100)
    assert [row.id for row in first] == [f"upload_mine{number}" for number in range(1, 101)]
    assert await list_uploads(connection, many, Filters(), most=100) == first
    after = first[-1].place
    rest = await list_uploads(connection, many, Filters(status="rejected"), after=after, most=100)
    assert [row.id for row in rest] == [f"upload_mine{number}" for number in range(101, 151)]
    assert await list_uploads(connection, many, Filters(status="failed"), most=100) == []
