"""The table of 10-billing.md §1: which outcome of an attempt is charged."""

import itertools

import pytest

from messages.statuses import ErrorCode
from rules.billing.outcomes import charged_outcomes, is_charged

# Outcome: local, foreign.
CHARGED = {
    "success": (True, True),
    "recipient_invalid": (True, True),
    "recipient_unavailable": (True, True),
    "content_invalid": (True, True),
    "routing_error": (True, True),
    "message_expired": (True, True),
    "sent_to_telco": (False, True),
    "delivery_unknown_error": (False, False),
    "server_unknown_error": (False, False),
    "stopped": (False, False),
    None: (False, False),
    "sent": (False, False),
}


def test_the_table_knows_all_errors() -> None:
    assert set(ErrorCode) <= set(CHARGED)


@pytest.mark.parametrize(("outcome", "charged"), list(CHARGED.items()))
@pytest.mark.parametrize("charge_own_expiry", [False, True])
def test_an_outcome_is_charged_as_the_table_says(
    outcome: str | None, charged: tuple[bool, bool], charge_own_expiry: bool
) -> None:
    told = tuple(
        is_charged(outcome, is_local=is_local, own_expiry=False, charge_own_expiry=charge_own_expiry)
        for is_local in (True, False)
    )
    assert told == charged


@pytest.mark.parametrize(("is_local", "charge"), [*itertools.product([True, False], repeat=2)])
def test_an_expiry_of_our_own_is_charged_only_if_the_settings_say_so(is_local: bool, charge: bool) -> None:
    assert (
        is_charged("message_expired", is_local=is_local, own_expiry=True, charge_own_expiry=charge) is charge
    )


@pytest.mark.parametrize("charge", [False, True])
def test_sql_is_told_the_same(charge: bool) -> None:
    told = list(charged_outcomes(charge_own_expiry=charge))
    assert len(told) == len(set(told))
    places = {"local": 0, "foreign": 1}
    expected = {
        (place, outcome, False)
        for place, at in places.items()
        for outcome, charged in CHARGED.items()
        if charged[at]
    }
    own = {(place, "message_expired", True) for place in places} if charge else set()
    assert set(told) == expected | own
