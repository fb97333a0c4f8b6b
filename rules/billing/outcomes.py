"""Which outcomes of an attempt are charged (10-billing.md §1). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

LOCAL: Final = "local"
FOREIGN: Final = "foreign"
SENT_TO_TELCO: Final = "sent_to_telco"
MESSAGE_EXPIRED: Final = "message_expired"
# What the network had work with, wherever the number is; of foreign numbers `sent_to_telco` is the last status that comes.
_CHARGED: Final = (
    "success", "recipient_invalid", "recipient_unavailable", "content_invalid", "routing_error", MESSAGE_EXPIRED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """What the settings say of charges. Before the day `starts`, Singapore's, nothing is charged, and nothing outside production.

    An expiry of our own, where no news came in time, is charged only with `charge_own_expiry`.
    """

    starts: date
    charge_own_expiry: bool
    is_production: bool


def is_charged(outcome: str | None, *, is_local: bool, own_expiry: bool, charge_own_expiry: bool) -> bool:
    """Whether an attempt with this outcome is charged, on the public channel in production.

    `outcome` is `success`, `sent_to_telco`, the code of a failure, or None where there is none yet.
    """
    if own_expiry:
        return charge_own_expiry
    return outcome in _CHARGED or (outcome == SENT_TO_TELCO and not is_local)


def charged_outcomes(*, charge_own_expiry: bool) -> Iterator[tuple[str, str, bool]]:
    """All triples of destination, outcome and whether the expiry is our own that are charged: for SQL."""
    for destination in (LOCAL, FOREIGN):
        for outcome in (*_CHARGED, SENT_TO_TELCO):
            for own_expiry in (False, True) if outcome == MESSAGE_EXPIRED else (False,):
                if is_charged(
                    outcome,
                    is_local=destination == LOCAL,
                    own_expiry=own_expiry,
                    charge_own_expiry=charge_own_expiry,
                ):
                    yield destination, outcome, own_expiry
