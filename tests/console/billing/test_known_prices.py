"""The prices that pages estimate by are those of the table, read once a minute."""

from datetime import UTC, datetime, timedelta

from console.billing.known_prices import KnownPrices
from database.connections import Connection
from rules.billing.periods import day_of
from rules.billing.prices import FIRST_PRICE, Price


async def test_a_process_reads_prices_again_after_a_minute(connection: Connection) -> None:
    clock = [0.0]
    prices = KnownPrices(lambda: clock[0])
    await prices.refresh(connection)
    assert prices.today() == FIRST_PRICE
    day = day_of(datetime.now(UTC)) - timedelta(days=1)
    await connection.execute("insert into prices values ($1, 61, 300)", day)
    for seconds, expected in ((59.0, FIRST_PRICE), (60.0, Price(61, 300))):
        clock[0] = seconds
        await prices.refresh(connection)
        assert prices.today() == expected
