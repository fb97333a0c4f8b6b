"""The prices as a console process knows them, so that estimates on pages cost no statement each."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Final

from billing.prices import fetch_prices
from database.connections import Connection
from rules.billing.periods import day_of
from rules.billing.prices import FIRST_PRICE, Price, PriceList

# Seconds for which prices that were read hold: a new one holds from a day on that is known long before.
_FRESH: Final = 60.0


class KnownPrices:
    """All prices, read again at a request that finds them older than a minute."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock: Final = clock
        self._read_at: float | None = None
        self._prices = PriceList([(datetime.min.replace(tzinfo=UTC).date(), FIRST_PRICE)])

    async def refresh(self, connection: Connection) -> None:
        """Read them, where that was too long ago."""
        now = self._clock()
        if self._read_at is None or now - self._read_at >= _FRESH:
            self._prices = await fetch_prices(connection)
            self._read_at = now

    def today(self) -> Price:
        """The price of a message that is sent now: by Singapore's day."""
        return self._prices.on(day_of(datetime.now(UTC)))
