"""Prices: the guide's figures, and rounding only at the end."""

import pytest

from rules.billing.prices import FIRST_PRICE, Cost, cost_of, shown_cost


def test_the_contracts_example() -> None:
    assert shown_cost(Cost(local_segments=1388).mills(FIRST_PRICE)) == "SGD 63.85"


def test_numbers_are_priced_by_their_beginning() -> None:
    cost = cost_of([("6591234567", 2), ("60123456789", 1), ("65", 1)])
    assert (cost.local_segments, cost.foreign_segments, cost.segments, cost.mills(FIRST_PRICE)) == (
        3,
        1,
        4,
        3 * 46 + 230,
    )


@pytest.mark.parametrize(
    ("mills", "shown"),
    [
        (0, "SGD 0.00"),
        (4, "SGD 0.00"),
        (5, "SGD 0.01"),
        (46, "SGD 0.05"),
        (230, "SGD 0.23"),
        (1_234_567_894, "SGD 1,234,567.89"),
        (1_234_567_895, "SGD 1,234,567.90"),
    ],
)
def test_an_amount_is_rounded_half_up_where_it_is_shown(mills: int, shown: str) -> None:
    assert shown_cost(mills) == shown
