"""Which addresses have failed too often, by a clock that the test sets."""

import sys
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from config.addresses import Address, parse_address
from config.sections import SFTPSettings
from sftpd.connections.shutouts import ShutoutRule, Shutouts, shutout_rule

ATTACKER = parse_address("192.0.2.7")


def shutouts_of(trusted: tuple[str, ...] = (), capacity: int = 1000, failures: int = 10) -> Shutouts:
    rule = ShutoutRule(failures, window=600, duration=900, trusted=[ip_network(text) for text in trusted])
    return Shutouts(rule, capacity)


def fail(shutouts: Shutouts, address: Address, times: int, now: float = 0, every: float = 1) -> float:
    """Fail so often, and return the time after it."""
    for number in range(times):
        shutouts.record_failure(address, now + number * every)
    return now + times * every


def test_the_defaults_are_10_failures_in_10_minutes_for_15_minutes() -> None:
    rule = shutout_rule(SFTPSettings())
    assert (rule.failures, rule.window, rule.duration) == (10, 600, 900)


def test_a_process_forgives_its_share() -> None:
    assert shutout_rule(SFTPSettings(processes=4)).failures == 3


def test_nine_failures_are_forgiven_and_the_tenth_shuts_out() -> None:
    shutouts = shutouts_of()
    assert [shutouts.record_failure(ATTACKER, now) for now in range(10)] == [False] * 9 + [True]
    assert shutouts.is_shut_out(ATTACKER, 9)


def test_a_shut_out_ends_after_its_time_with_a_clean_slate() -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 10)
    assert shutouts.is_shut_out(ATTACKER, 9 + 899)
    assert not shutouts.is_shut_out(ATTACKER, 9 + 900)
    fail(shutouts, ATTACKER, 9, now=910)
    assert not shutouts.is_shut_out(ATTACKER, 920)


def test_failures_further_apart_than_the_window_never_shut_out() -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 100, every=67)
    assert not shutouts.is_shut_out(ATTACKER, 6700)


def test_the_window_slides() -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 5, now=0)
    fail(shutouts, ATTACKER, 5, now=601)
    assert not shutouts.is_shut_out(ATTACKER, 606)
    fail(shutouts, ATTACKER, 5, now=606)
    assert shutouts.is_shut_out(ATTACKER, 611)


def test_a_success_clears_the_count() -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 9)
    shutouts.record_success(ATTACKER)
    fail(shutouts, ATTACKER, 9, now=20)
    assert not shutouts.is_shut_out(ATTACKER, 30)


def test_where_a_login_came_from_is_known_for_as_long_as_there_is_room() -> None:
    shutouts = shutouts_of(capacity=2)
    for text in ("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"):
        shutouts.record_success(parse_address(text))
    assert [shutouts.is_known(parse_address(f"192.0.2.{last}")) for last in (1, 2, 3, 4)] == [
        True,
        False,
        True,
        False,
    ]


def test_a_trusted_address_is_never_shut_out() -> None:
    shutouts = shutouts_of(trusted=("192.0.2.0/24", "2001:db8::/32"))
    for address in (ATTACKER, parse_address("2001:db8:5::1")):
        assert not any(shutouts.record_failure(address, 0) for _ in range(1000))
        assert not shutouts.is_shut_out(address, 1)


def test_others_are_not_touched() -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 10)
    assert not shutouts.is_shut_out(parse_address("192.0.2.8"), 10)


def test_an_ipv6_attacker_is_shut_out_with_its_whole_64() -> None:
    shutouts = shutouts_of()
    for number in range(10):
        shutouts.record_failure(IPv6Address(f"2001:db8:1:2::{number:x}"), number)
    assert shutouts.is_shut_out(IPv6Address("2001:db8:1:2:abcd::1"), 10)
    assert not shutouts.is_shut_out(IPv6Address("2001:db8:1:3::1"), 10)


def test_memory_stays_bounded_under_a_million_addresses() -> None:
    shutouts = shutouts_of(capacity=500, failures=1)
    still_failing = shutouts_of(capacity=500, failures=10)
    for number in range(1_000_000 // 20):
        address = IPv4Address(0x0A000000 + number)
        shutouts.record_failure(address, number / 1000)
        still_failing.record_failure(address, number / 1000)
    assert len(shutouts._until) == 500
    assert len(still_failing._failures) == 500
    assert shutouts.is_shut_out(IPv4Address(0x0A000000 + 49_999), 50)


def test_the_default_capacity_costs_at_most_50_megabytes() -> None:
    shutouts = Shutouts(ShutoutRule(10, 600, 900, []))
    fail(shutouts, ATTACKER, 9)
    one = sys.getsizeof(next(iter(shutouts._failures.values()))) + 9 * 24 + 150
    assert one * 50_000 < 60_000_000


def test_what_is_old_is_forgotten() -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 10)
    fail(shutouts, parse_address("192.0.2.8"), 3)
    shutouts.forget_old(1000)
    assert (len(shutouts._until), len(shutouts._failures)) == (0, 0)


def test_only_what_is_old_is_forgotten_and_at_its_moment() -> None:
    """Two addresses are shut out until 909 and 1009, and two have failed, last at 2 and at 102; the window is 600."""
    shutouts = shutouts_of()
    failing = [parse_address(f"192.0.2.{last}") for last in (8, 9)]
    for later, (out, address) in enumerate(
        zip((ATTACKER, parse_address("192.0.2.10")), failing, strict=True)
    ):
        fail(shutouts, out, 10, now=later * 100)
        fail(shutouts, address, 3, now=later * 100)

    def kept(now: float) -> tuple[list[int], list[int]]:
        shutouts.forget_old(now)
        return (
            [int(str(block).partition("/")[0].rpartition(".")[2]) for block in shutouts._until],
            [int(str(block).partition("/")[0].rpartition(".")[2]) for block in shutouts._failures],
        )

    assert kept(601.9) == ([7, 10], [8, 9])
    assert kept(602) == ([7, 10], [9])
    assert kept(702) == ([7, 10], [])
    assert kept(908.9) == ([7, 10], [])
    assert kept(909) == ([10], [])
    assert kept(1009) == ([], [])


def test_the_settings_addresses_are_trusted() -> None:
    rule = shutout_rule(SFTPSettings(trusted_addresses=["192.0.2.0/24"]))
    assert rule.trusted == [ip_network("192.0.2.0/24")]


@pytest.mark.parametrize("now", [0.0, 1e9])
def test_the_clock_may_start_anywhere(now: float) -> None:
    shutouts = shutouts_of()
    fail(shutouts, ATTACKER, 10, now=now)
    assert shutouts.is_shut_out(ATTACKER, now + 10)


def test_who_is_shut_out_anew_is_among_the_newest_again() -> None:
    shutouts = shutouts_of(capacity=2, failures=1)
    first, second, third = (parse_address(f"192.0.2.{number}") for number in range(1, 4))
    for now, address in enumerate((first, second, first, third)):
        assert shutouts.record_failure(address, now)
    assert [shutouts.is_shut_out(address, 5) for address in (first, second, third)] == [True, False, True]
