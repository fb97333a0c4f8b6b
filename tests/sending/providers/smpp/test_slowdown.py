"""After throttling half the measured rate is allowed, then 5 % more each second, until nothing is held back any more."""

import pytest

from sending.providers.smpp.slowdown import Slowdown


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def submitted_at(slowdown: Slowdown, clock: Clock, rate: int, seconds: float) -> None:
    for _ in range(int(rate * seconds)):
        clock.now += 1 / rate
        slowdown.note_submitted()


def test_nothing_is_held_back_before() -> None:
    slowdown = Slowdown(Clock())
    assert (slowdown.room(), slowdown.limit, slowdown.seconds_to_next()) == (None, None, 0.0)


def test_half_of_the_measured_rate_is_allowed_and_grows() -> None:
    clock = Clock()
    slowdown = Slowdown(clock)
    submitted_at(slowdown, clock, 200, 3)
    slowdown.note_throttled()
    assert slowdown.limit == pytest.approx(100, rel=0.02)
    assert slowdown.room() == 0
    assert 0 < slowdown.seconds_to_next() <= 0.011
    clock.now += 1
    assert slowdown.limit == pytest.approx(105, rel=0.02)
    # A quarter of a second's worth may leave together, not all that was saved up.
    room = slowdown.room()
    assert room is not None
    assert 24 <= room <= 27
    for _ in range(room):
        slowdown.note_submitted()
    assert slowdown.seconds_to_next() > 0


def test_refusals_of_one_moment_count_once_and_later_ones_again() -> None:
    clock = Clock()
    slowdown = Slowdown(clock)
    submitted_at(slowdown, clock, 100, 2)
    for _ in range(10):
        slowdown.note_throttled()
    assert slowdown.limit == pytest.approx(50, rel=0.03)
    clock.now += 1.5
    slowdown.note_throttled()
    assert slowdown.limit == pytest.approx(50 * 1.05**1.5 / 2, rel=0.03)


def test_it_is_lifted_in_the_end_and_never_comes_to_a_halt() -> None:
    clock = Clock()
    slowdown = Slowdown(clock)
    submitted_at(slowdown, clock, 100, 2)
    for _ in range(50):
        slowdown.note_throttled()
        clock.now += 1.1
    limit = slowdown.limit
    assert limit is not None
    assert 1 <= limit < 1.2
    clock.now += 120
    assert slowdown.limit is None
    assert slowdown.room() is None
