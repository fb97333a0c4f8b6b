"""What of a campaign's attempts is charged, as SQL is told it: for logs and delivery reports alike (10-billing.md §1)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Self

from campaigns.campaigns import Campaign, Channel
from config.environment import Environment
from config.sections import BillingSettings
from database.connections import Connection
from database.queries import NamedQueries
from rules.billing.outcomes import charged_outcomes
from rules.billing.periods import begin_of

SQL: Final = NamedQueries("messages", "logs/charges.sql")


@dataclass(frozen=True, slots=True)
class Charges:
    """`outcomes` that are charged, each with its destination and whether the expiry is our own, as SQL puts them together.

    What was sent before `since`, aware UTC, is not charged. `other_expiries`: months, each with a destination, that were posted
    while the settings said otherwise of our own expiries.
    """

    outcomes: tuple[str, ...]
    since: datetime
    other_expiries: tuple[str, ...] = ()

    @classmethod
    async def fetch(
        cls, connection: Connection, campaign: Campaign, billing: BillingSettings, environment: Environment
    ) -> Self:
        """Of a campaign, whose months that were posted stay as its reports have them."""
        charges = cls.of(billing, environment, campaign.channel)
        if not charges.outcomes:
            return charges
        rows = await connection.fetch(SQL["list_other_expiries"], campaign.id, billing.charge_own_expiry)
        return replace(charges, other_expiries=tuple(row["month"] for row in rows))

    @classmethod
    def of(cls, billing: BillingSettings, environment: Environment, channel: Channel) -> Self:
        """Of a campaign on that channel. Only messages to the public in production are charged."""
        if environment is not Environment.PRODUCTION or channel is not Channel.PUBLIC:
            return cls((), _NEVER)
        charged = charged_outcomes(charge_own_expiry=billing.charge_own_expiry)
        outcomes = (
            f"{destination} {outcome}{str(own_expiry).lower()}"
            for destination, outcome, own_expiry in charged
        )
        return cls(tuple(outcomes), begin_of(billing.starts))


_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
