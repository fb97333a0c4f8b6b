"""The table `prices`: what a segment costs from which day on."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from billing.errors import BillingRefused
from billing.months import fetch_closed_before, lock_usage_alone
from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.prices import Price, PriceList

SQL: Final = NamedQueries("billing", "prices.sql")


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """A price, from which day of Singapore's on it holds, and when it was added, aware UTC."""

    valid_from: date
    price: Price
    added_at: datetime


async def list_prices(connection: Connection) -> list[ListedPrice]:
    """All prices, in the order of their days."""
    rows = await connection.fetch(SQL["fetch_prices"])
    return [
        ListedPrice(row["valid_from"], Price(row["local_mills"], row["foreign_mills"]), row["added_at"])
        for row in rows
    ]


async def fetch_prices(connection: Connection) -> PriceList:
    """All prices. There is always one, which a migration has made."""
    rows = await connection.fetch(SQL["fetch_prices"])
    return PriceList([(row["valid_from"], Price(row["local_mills"], row["foreign_mills"])) for row in rows])


async def add_price(connection: Connection, valid_from: date, price: Price, *, actor: Actor) -> None:
    """A price for all that is sent from a day of Singapore's on, until a later one.

    Raises BillingRefused: the day lies in a month that was posted, or has a price already.
    """
    async with connection.transaction(isolation="read_committed"):
        # No month is posted meanwhile.
        await lock_usage_alone(connection)
        closed_before = await fetch_closed_before(connection)
        if closed_before is not None and valid_from < closed_before:
            raise BillingRefused(
                f"{valid_from} lies in a month that was posted: a price can begin on {closed_before} or later"
            )
        added = await connection.fetchval(
            SQL["insert_price"], valid_from, price.local_mills, price.foreign_mills
        )
        if added is None:
            raise BillingRefused(
                f"there is a price from {valid_from} on: see `sftp-gateway billing price list`"
            )
        details: EventDetails = {
            "valid_from": str(valid_from),
            "local_mills": price.local_mills,
            "foreign_mills": price.foreign_mills,
        }
        await record_event(connection, AuditEvent.BILLING_PRICE_ADDED, actor=actor, details=details)
