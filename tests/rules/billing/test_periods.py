"""Months, billing periods and their days (10-billing.md §3), as Singapore's calendar has them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from rules.billing.periods import (
    Month,
    Period,
    begin_of,
    day_of,
    dispute_by,
    parse_period,
    period_of,
    periods_until,
)

STARTS = date(2025, 7, 1)
FIRST = Period(Month(2025, 7), Month(2026, 1))
SECOND = Period(Month(2026, 2), Month(2027, 1))


def test_a_day_begins_at_midnight_in_singapore() -> None:
    begin = datetime(2026, 10, 31, 16, tzinfo=UTC)
    assert begin_of(date(2026, 11, 1)) == begin
    assert (day_of(begin), day_of(begin - timedelta(microseconds=1))) == (
        date(2026, 11, 1),
        date(2026, 10, 31),
    )
    assert (Month.of(begin), Month.of(begin - timedelta(microseconds=1))) == (
        Month(2026, 11),
        Month(2026, 10),
    )
    assert Month.of(date(2026, 10, 31)) == Month(2026, 10)


def test_a_month_has_its_days_and_neighbours() -> None:
    december, january, february = Month(2027, 12), Month(2028, 1), Month(2028, 2)
    assert (december.next, january.next, january.previous, february.previous) == (
        january,
        february,
        december,
        january,
    )
    assert (february.first, february.last, december.last) == (
        date(2028, 2, 1),
        date(2028, 2, 29),
        date(2027, 12, 31),
    )
    assert (february.begins_at, february.ends_at) == (
        datetime(2028, 1, 31, 16, tzinfo=UTC),
        datetime(2028, 2, 29, 16, tzinfo=UTC),
    )
    assert str(february) == "2028-02"
    assert sorted([february, december, january]) == [december, january, february]


@pytest.mark.parametrize(
    "text",
    ["2026-13", "2026-00", "2026-1", "1999-12", "2026-10-01", "october", "", "２０２６-10", "2026-10\n"],
)
def test_what_names_no_month_is_none(text: str) -> None:
    assert Month.parse(text) is None


@pytest.mark.parametrize(
    ("text", "month"),
    [("2026-01", Month(2026, 1)), ("2026-12", Month(2026, 12)), ("2099-09", Month(2099, 9))],
)
def test_a_month_is_read_as_it_is_written(text: str, month: Month) -> None:
    assert Month.parse(text) == month
    assert str(month) == text


def test_a_month_is_posted_on_the_5th_and_may_be_disputed_for_thirty_days() -> None:
    assert Month(2026, 12).posted_from == datetime(2027, 1, 4, 16, tzinfo=UTC)
    # All is over then: 80 hours after the last second.
    assert Month(2026, 12).posted_from - Month(2026, 12).ends_at >= timedelta(hours=80)
    assert dispute_by(datetime(2027, 1, 4, 16, tzinfo=UTC)) == date(2027, 2, 4)
    assert dispute_by(datetime(2027, 1, 4, 15, 59, tzinfo=UTC)) == date(2027, 2, 3)


@pytest.mark.parametrize(
    ("month", "period"),
    [
        (Month(2025, 7), FIRST),
        (Month(2026, 1), FIRST),
        (Month(2026, 2), SECOND),
        (Month(2027, 1), SECOND),
        (Month(2027, 2), Period(Month(2027, 2), Month(2028, 1))),
    ],
)
def test_a_month_belongs_to_a_period_from_february_to_january(month: Month, period: Period) -> None:
    assert period_of(month, STARTS) == period


def test_a_period_has_a_name_years_months_and_an_invoice() -> None:
    assert (FIRST.name, FIRST.years, FIRST.invoiced_in) == ("2025", "2025-2026", Month(2026, 3))
    assert (SECOND.name, SECOND.years, SECOND.invoiced_in) == ("2026", "2026-2027", Month(2027, 3))
    assert [str(month) for month in FIRST.months] == [
        "2025-07", "2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01",
    ]  # fmt: skip
    assert len(SECOND.months) == 12


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("2025", FIRST),
        ("2025-2026", FIRST),
        ("2026", SECOND),
        ("2026-2027", SECOND),
        ("2026-2028", None),
        ("2026-2026", None),
        ("2024", None),
        ("2024-2025", None),
        ("26", None),
        ("2026-", None),
        ("", None),
    ],
)
def test_a_period_is_read_by_the_year_in_which_it_begins(text: str, period: Period | None) -> None:
    assert parse_period(text, STARTS) == period


def test_charges_that_start_in_january_have_a_first_period_of_that_month_alone() -> None:
    starts = date(2026, 1, 20)
    only = Period(Month(2026, 1), Month(2026, 1))
    assert parse_period("2025", starts) == only == period_of(Month(2026, 1), starts)
    assert (only.name, parse_period("2026", starts)) == ("2025", SECOND)


def test_the_periods_that_have_begun_are_listed_newest_first() -> None:
    assert periods_until(datetime(2026, 1, 31, 15, 59, tzinfo=UTC), STARTS) == (FIRST,)
    assert periods_until(datetime(2026, 1, 31, 16, tzinfo=UTC), STARTS) == (SECOND, FIRST)
    assert periods_until(datetime(2025, 6, 30, 15, 59, tzinfo=UTC), STARTS) == ()
    assert periods_until(datetime(2025, 6, 30, 16, tzinfo=UTC), STARTS) == (FIRST,)
