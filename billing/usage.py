"""The daily totals, which the database keeps by itself: what months that are not posted yet come to so far.

They move in the transactions that write outcomes, by triggers on `attempts` (`0011_billing.sql`), whoever writes.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

from billing.lines import Line
from billing.terms import charged_columns
from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.outcomes import Terms

SQL: Final = NamedQueries("billing", "usage.sql")


async def fetch_lines(
    connection: Connection,
    terms: Terms,
    first: date,
    last: date,
    *,
    agency_id: str | None = None,
    campaign_ids: Sequence[str] | None = None,
) -> list[Line]:
    """The lines of all campaigns on an agency's bill, or of these campaigns, from `first` to `last`, both of Singapore's days.

    In months that were posted, reports say what holds (`posted`).
    """
    rows = await connection.fetch(
        SQL["fetch_lines"],
        None if campaign_ids is None else list(campaign_ids),
        agency_id,
        first,
        last,
        *charged_columns(terms),
        terms.is_production,
        terms.starts,
    )
    return [Line(**row) for row in rows]
