"""The database's clock as a process tells it."""

import pytest

from database.clock import DatabaseClock


def test_a_slow_answer_moves_no_moment() -> None:
    clock = DatabaseClock()
    clock.note(1000.0, asked_at=4.999, answered_at=5.001)
    moment = clock.local(1000.5)
    clock.note(1001.0, asked_at=5.9, answered_at=6.4)
    assert clock.local(1000.5) == moment == pytest.approx(5.5, abs=0.002)


def test_a_quicker_answer_makes_the_clock_truer() -> None:
    clock = DatabaseClock()
    clock.note(1000.0, asked_at=4.5, answered_at=5.4)
    assert clock.local(1000.0) == pytest.approx(5.4)
    clock.note(1001.0, asked_at=5.999, answered_at=6.001)
    assert clock.local(1000.0) == pytest.approx(5.0, abs=0.002)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_was_set_is_followed(step: float) -> None:
    clock = DatabaseClock()
    clock.note(1000.0, asked_at=5.0, answered_at=5.01)
    clock.note(1001.0 + step, asked_at=6.0, answered_at=6.01)
    assert clock.local(1001.0 + step) == pytest.approx(6.0, abs=0.02)


def test_the_time_is_told_both_ways() -> None:
    clock = DatabaseClock()
    clock.note(1000.0, asked_at=5.0, answered_at=5.01)
    assert clock.at(clock.local(1234.5)) == pytest.approx(1234.5)
    # Never ahead of the database.
    assert clock.at(5.01) == pytest.approx(1000.0)
