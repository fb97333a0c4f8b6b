"""What the commands about billing have in common: options, and how their words are read."""

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from gateway.errors import CallMisused

if TYPE_CHECKING:
    from config.settings import Settings
    from rules.billing.outcomes import Terms
    from rules.billing.periods import Month, Period

AgencyOption: TypeAlias = Annotated[
    str, typer.Option("--agency", metavar="A", help="The agency's name.", show_default=False)
]
MonthOption: TypeAlias = Annotated[
    str, typer.Option("--month", metavar="M", help="The month, such as 2026-10.", show_default=False)
]


def terms_from(settings: "Settings") -> "Terms":
    """What these settings say of charges."""
    from billing.terms import terms_of

    return terms_of(settings.environment, settings.billing)


def parse_month(text: str) -> "Month":
    """The month of this text. Raises CallMisused."""
    from rules.billing.periods import Month

    month = Month.parse(text.strip())
    if month is None:
        raise CallMisused(f"{text!r:.40} is no month: write it like 2026-10")
    return month


def parse_period_of(text: str, settings: "Settings") -> "Period":
    """The billing period of this text. Raises CallMisused."""
    from rules.billing.periods import parse_period

    period = parse_period(text.strip(), settings.billing.starts)
    if period is None:
        raise CallMisused(
            f"{text!r:.40} is no billing period: name the year in which it begins, such as 2026, "
            f"{settings.billing.starts.year} or later"
        )
    return period
