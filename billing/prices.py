"""The table `prices`: what a segment costs from which day on."""

from typing import Final

from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.prices import Price, PriceList

SQL: Final = NamedQueries("billing", "prices.sql")


async def fetch_prices(connection: Connection) -> PriceList:
    """All prices. There is always one, which a migration has made."""
    rows = await connection.fetch(SQL["fetch_prices"])
    return PriceList([(row["valid_from"], Price(row["local_mills"], row["foreign_mills"])) for row in rows])
