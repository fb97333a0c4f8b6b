"""What the settings say of charges."""

from config.environment import Environment
from config.sections import BillingSettings
from rules.billing.outcomes import Terms, charged_outcomes


def terms_of(environment: Environment, settings: BillingSettings) -> Terms:
    """The terms of an installation in that environment: outside production nothing is charged."""
    return Terms(
        starts=settings.starts,
        charge_own_expiry=settings.charge_own_expiry,
        is_production=environment is Environment.PRODUCTION,
    )


def charged_columns(terms: Terms) -> tuple[list[str], list[str], list[bool]]:
    """What is charged, as SQL is told it: destinations, outcomes and whether the expiry is our own, side by side."""
    charged = list(charged_outcomes(charge_own_expiry=terms.charge_own_expiry))
    return (
        [destination for destination, _, _ in charged],
        [outcome for _, outcome, _ in charged],
        [own_expiry for _, _, own_expiry in charged],
    )
