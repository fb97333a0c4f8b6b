"""What the settings say of charges."""

from config.environment import Environment
from config.sections import BillingSettings
from rules.billing.outcomes import Terms


def terms_of(environment: Environment, settings: BillingSettings) -> Terms:
    """The terms of an installation in that environment: outside production nothing is charged."""
    return Terms(
        starts=settings.starts,
        charge_own_expiry=settings.charge_own_expiry,
        is_production=environment is Environment.PRODUCTION,
    )
