"""Prices: the guide's figures, and rounding only at the end."""

from datetime import date, timedelta

import pytest

from rules.billing.prices import (
    FIRST_PRICE,
    Cost,
    Price,
    PriceList,
    cost_of,
    parse_price,
    shown_amount,
    shown_cost,
    shown_price,
)


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


@pytest.mark.parametrize(
    ("mills", "shown"),
    [(-4, "0.00"), (-5, "-0.01"), (-46, "-0.05"), (-1_234_564, "-1,234.56"), (99_995, "100.00")],
)
def test_what_is_taken_back_is_rounded_away_from_zero(mills: int, shown: str) -> None:
    assert shown_amount(mills) == shown


def test_each_day_has_the_newest_price_that_is_not_after_it() -> None:
    first, second, third = date(2025, 7, 1), date(2026, 2, 1), date(2026, 2, 2)
    prices = PriceList([(first, FIRST_PRICE), (second, Price(50, 250)), (third, Price(51, 251))])
    day = timedelta(days=1)
    assert prices.on(date(2000, 1, 1)) == prices.on(first) == prices.on(second - day) == FIRST_PRICE
    assert prices.on(second) == Price(50, 250)
    assert prices.on(third) == prices.on(date(2099, 1, 1)) == Price(51, 251)


@pytest.mark.parametrize(
    ("text", "mills", "shown"),
    [
        ("0.046", 46, "0.046"),
        ("0.23", 230, "0.23"),
        ("0.230", 230, "0.23"),
        ("0.2", 200, "0.20"),
        ("1", 1000, "1.00"),
        ("0", 0, "0.00"),
        ("12.345", 12_345, "12.345"),
    ],
)
def test_a_price_is_read_and_shown_in_dollars(text: str, mills: int, shown: str) -> None:
    assert parse_price(text) == mills
    assert shown_price(mills) == shown


@pytest.mark.parametrize(
    "text", ["0.0465", "", ".5", "1.", "-1", "+1", "1,5", "1e3", "\uff11", "12345", "0.04 6"]
)
def test_what_is_no_price_or_finer_than_a_mill_is_none(text: str) -> None:
    assert parse_price(text) is None
