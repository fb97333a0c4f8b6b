"""A worker posts months with the rights that its role has, and no others."""

from collections.abc import Callable
from datetime import date

from pydantic import SecretStr

from billing.closing import close_due_months
from config.sections import DatabaseSettings
from database.connections import Connection, open_pool
from database.grants import DatabaseRole
from rules.billing.outcomes import Terms
from tests.billing.builders import NOW, delivered


async def test_a_worker_may_post_a_month(
    url_of: Callable[[DatabaseRole], str], connection: Connection, campaign_id: str
) -> None:
    await delivered(connection, campaign_id)
    terms = Terms(starts=date(2025, 7, 1), charge_own_expiry=False, is_production=True)
    settings = DatabaseSettings(url=SecretStr(url_of(DatabaseRole.WORKER)))
    async with open_pool(settings, name="worker") as pool:
        await close_due_months(pool, terms, now=NOW)
    rows = await connection.fetch("select month, version, local_mills from billing_reports")
    assert [tuple(row) for row in rows] == [(date(2026, 10, 1), 1, 46)]
    events = await connection.fetchval(
        "select count(*) from audit_events where event = 'billing_month_posted'"
    )
    assert events == 1
