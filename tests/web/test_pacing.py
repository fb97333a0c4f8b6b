"""Wrong keys are told so at once, until an address has many."""

from ipaddress import ip_address
from typing import Any

import pytest

from web.metrics import ANSWERS_HELD
from web.pacing import BURST, FLOOD_SECONDS, MOST_ADDRESSES, MOST_SECONDS, RATE, Pacer

ONE, OTHER = ip_address("192.0.2.7"), ip_address("192.0.2.8")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_the_first_are_told_at_once_and_the_rest_at_the_rate_up_to_the_longest_wait() -> None:
    pacer = Pacer(Clock())
    waits = [pacer.seconds_for(ONE) for _ in range(BURST + 1000)]
    assert waits[:BURST] == [0.0] * BURST
    assert waits[BURST : BURST + 3] == pytest.approx([1 / RATE, 2 / RATE, 3 / RATE])
    assert max(waits) == waits[-1] == MOST_SECONDS
    assert pacer.seconds_for(OTHER) == 0.0


def test_an_address_that_keeps_quiet_is_told_at_once_again() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for _ in range(100_000):
        pacer.seconds_for(ONE)
    # The longest wait is all that is held against it, however many there were.
    clock.seconds += MOST_SECONDS + BURST / RATE
    assert [pacer.seconds_for(ONE) for _ in range(BURST)] == [0.0] * BURST


def test_whoever_stays_within_the_rate_never_waits() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for _ in range(1000):
        assert pacer.seconds_for(ONE) == 0.0
        clock.seconds += 1 / RATE


def test_an_address_floods_while_its_answers_wait_long_and_whoever_asks_prolongs_it() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    assert not pacer.is_flooding(ONE)
    for _ in range(int(BURST + RATE * FLOOD_SECONDS) + 1):
        pacer.seconds_for(ONE)
    for _ in range(100):
        assert pacer.is_flooding(ONE)
        assert not pacer.is_flooding(OTHER)
        clock.seconds += 1 / RATE
    clock.seconds += MOST_SECONDS - FLOOD_SECONDS + 0.1
    assert not pacer.is_flooding(ONE)


def test_a_customers_whole_network_of_ipv6_is_one_address() -> None:
    pacer = Pacer(Clock())
    waits = [pacer.seconds_for(ip_address(f"2001:db8::{n:x}")) for n in range(BURST + 1)]
    assert waits[-1] > 0
    assert pacer.seconds_for(ip_address("2001:db8:0:1::1")) == 0.0


def test_only_the_last_addresses_are_remembered() -> None:
    pacer = Pacer(Clock())
    for n in range(MOST_ADDRESSES + 100):
        pacer.seconds_for(ip_address(0x0A000000 + n))
    assert len(pacer._next) == MOST_ADDRESSES
    last = ip_address(0x0A000000 + MOST_ADDRESSES + 99)
    waits = [pacer.seconds_for(last) for _ in range(BURST)]
    assert waits[-1] > 0, "it had one already"


@pytest.mark.parametrize("known", ["address", "peer"])
def test_an_answer_is_held_back_for_the_address_that_it_goes_to(known: str) -> None:
    """Behind a proxy it is the one that the proxy tells of, and else the connection's own."""
    pacer, before = Pacer(Clock()), ANSWERS_HELD._value.get()

    def held() -> float | None:
        state: dict[str, Any] = {"address": None, "peer": OTHER} | {known: ONE}
        pacer.hold({"state": state})
        seconds: float | None = state.get("answer_after")
        return seconds

    assert [held() for _ in range(BURST)] == [None] * BURST
    assert [held(), held()] == pytest.approx([1 / RATE, 2 / RATE])
    assert ANSWERS_HELD._value.get() - before == 2
    assert pacer.seconds_for(OTHER) == 0.0
