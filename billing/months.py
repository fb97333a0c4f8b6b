"""The table `billing_months`: which months are posted, so that nothing of them moves any more."""

from datetime import date, datetime
from typing import Final

from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.periods import Month

SQL: Final = NamedQueries("billing", "months.sql")


async def fetch_closed_before(connection: Connection) -> date | None:
    """The first day of the first month that isn't posted: before it nothing moves. None where none was posted yet."""
    closed_before: date | None = await connection.fetchval(SQL["fetch_closed_before"])
    return closed_before


async def fetch_posted_at(connection: Connection, month: Month) -> datetime | None:
    """When a month was posted, aware UTC; None where it wasn't."""
    posted_at: datetime | None = await connection.fetchval(SQL["fetch_month"], month.first)
    return posted_at


async def lock_usage_alone(connection: Connection) -> None:
    """Have totals, prices and reports to oneself until the transaction ends. Raises LockNotAvailableError after some seconds.

    The transaction must be `read_committed`: what is read next was committed by those who were waited for.
    """
    await connection.execute(SQL["limit_wait"])
    await connection.execute(SQL["lock_usage_alone"])


async def record_month(connection: Connection, month: Month, posted_at: datetime) -> None:
    """Write down that a month is posted. The caller has locked the totals."""
    await connection.execute(SQL["insert_month"], month.first, posted_at)
