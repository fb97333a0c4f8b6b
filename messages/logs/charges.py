"""What of a campaign's attempts is charged, as SQL is told it: for logs and delivery reports alike (10-billing.md §1)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from campaigns.campaigns import Channel
from config.environment import Environment
from config.sections import BillingSettings
from rules.billing.outcomes import charged_outcomes
from rules.billing.periods import begin_of


@dataclass(frozen=True, slots=True)
class Charges:
    """`outcomes` that are charged, each with its destination and whether the expiry is our own, as SQL puts them together.

    What was sent before `since`, aware UTC, is not charged.
    """

    outcomes: tuple[str, ...]
    since: datetime

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
