"""How many connections and logins there may be at a time: pure counting."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from config.addresses import Block, block_of, parse_address
from config.sections import SFTPSettings
from sftpd.connections.limits import (
    Excess,
    Limits,
    Share,
    share_of,
)


@dataclass(eq=False)
class Connection:
    """A connection, as the counters see it."""

    address: str
    number: int = 0
    standing: int = 0

    @property
    def block(self) -> Block:
        return block_of(parse_address(self.address))

    def drop(self) -> None:
        """There is nothing to end."""


def limits_of(
    connections: int = 100,
    connections_per_address: int = 100,
    unauthenticated: int = 100,
    sessions_per_campaign: int = 10,
) -> Limits:
    return Limits(
        Share(
            connections=connections,
            connections_per_address=connections_per_address,
            unauthenticated=unauthenticated,
            sessions_per_campaign=sessions_per_campaign,
        )
    )


def test_limits_are_split_over_the_processes_and_rounded_up() -> None:
    share = share_of(SFTPSettings(processes=3))
    assert share == Share(
        connections=334, connections_per_address=17, unauthenticated=34, sessions_per_campaign=4
    )


def test_a_connection_beyond_the_total_is_one_too_many() -> None:
    limits = limits_of(connections=2)
    first = Connection("10.0.0.1")
    limits.enter(first)
    limits.enter(Connection("10.0.0.2"))
    assert limits.excess_for(block_of(IPv4Address("10.0.0.3"))) is Excess.CONNECTIONS
    limits.leave(first)
    assert limits.excess_for(block_of(IPv4Address("10.0.0.3"))) is None


def test_one_address_may_have_only_so_many_and_others_are_not_touched() -> None:
    limits = limits_of(connections_per_address=2)
    limits.enter(Connection("10.0.0.1"))
    limits.enter(Connection("10.0.0.1"))
    assert limits.excess_for(block_of(parse_address("10.0.0.1"))) is Excess.CONNECTIONS_OF_ADDRESS
    assert limits.excess_for(block_of(parse_address("10.0.0.2"))) is None


def test_an_ipv6_customer_counts_once_whatever_address_of_its_64_it_uses() -> None:
    limits = limits_of(connections_per_address=1)
    limits.enter(Connection("2001:db8:1:2::1"))
    assert limits.excess_for(block_of(parse_address("2001:db8:1:2:ffff::9"))) is not None
    assert limits.excess_for(block_of(parse_address("2001:db8:1:3::1"))) is None


def test_an_ipv4_address_seen_through_an_ipv6_socket_is_the_same_address() -> None:
    assert parse_address("::ffff:192.0.2.7") == parse_address("192.0.2.7")


def test_beyond_the_unauthenticated_limit_the_oldest_of_the_busiest_address_is_dropped() -> None:
    limits = limits_of(unauthenticated=4)
    customer, first, second = Connection("10.0.0.1"), Connection("10.0.0.9", 1), Connection("10.0.0.9", 2)
    for connection in (customer, first, second, Connection("10.0.0.9", 3)):
        assert limits.enter(connection) is None
    newcomer = Connection("10.0.0.2")
    assert limits.enter(newcomer) is first
    assert limits.enter(Connection("10.0.0.3")) is second
    assert limits.unauthenticated == 4


def test_among_addresses_with_one_each_the_oldest_is_dropped_and_never_the_newcomer() -> None:
    limits = limits_of(unauthenticated=2)
    oldest, newer, newcomer = Connection("10.0.0.1"), Connection("10.0.0.2"), Connection("10.0.0.3")
    assert limits.enter(oldest) is None
    assert limits.enter(newer) is None
    assert limits.enter(newcomer) is oldest


def test_among_addresses_with_one_each_whoever_has_come_less_far_is_dropped() -> None:
    limits = limits_of(unauthenticated=3)
    customer = Connection("10.0.0.1", standing=2)
    silent = Connection("10.0.0.2")
    for connection in (customer, silent, Connection("10.0.0.3", standing=1)):
        limits.enter(connection)
    assert limits.enter(Connection("10.0.0.4", standing=1)) is silent


def test_the_newcomer_is_not_dropped_where_all_others_have_come_further() -> None:
    limits = limits_of(unauthenticated=2)
    oldest = Connection("10.0.0.1", standing=1)
    limits.enter(oldest)
    limits.enter(Connection("10.0.0.2", standing=1))
    assert limits.enter(Connection("10.0.0.3")) is oldest


def test_the_oldest_counts_by_its_own_arrival_not_by_its_address() -> None:
    limits = limits_of(unauthenticated=2)
    gone, left, stays = Connection("10.0.0.1"), Connection("10.0.0.1"), Connection("10.0.0.2")
    limits.enter(gone)
    limits.enter(stays)
    limits.leave(gone)
    limits.enter(left)
    assert limits.enter(Connection("10.0.0.3")) is stays


def test_whoever_came_before_is_dropped_though_its_address_came_after() -> None:
    limits = limits_of(unauthenticated=3)
    gone, stays, later = Connection("10.0.0.1"), Connection("10.0.0.2"), Connection("10.0.0.1")
    for connection in (gone, stays, later):
        limits.enter(connection)
    limits.leave(gone)
    assert limits.enter(Connection("10.0.0.3")) is None
    assert limits.enter(Connection("10.0.0.4")) is stays


def test_who_is_logged_in_is_not_dropped() -> None:
    limits = limits_of(unauthenticated=1)
    customer = Connection("10.0.0.1")
    limits.enter(customer)
    assert limits.log_in(customer, "campaign_a") is None
    assert limits.enter(Connection("10.0.0.1")) is None
    assert limits.sessions == 1


def test_a_campaign_may_have_only_so_many_sessions_and_a_place_is_given_back() -> None:
    limits = limits_of(sessions_per_campaign=1)
    first, second = Connection("10.0.0.1"), Connection("10.0.0.1")
    limits.enter(first)
    limits.enter(second)
    assert limits.log_in(first, "campaign_a") is None
    assert limits.log_in(second, "campaign_a") is Excess.SESSIONS_OF_CAMPAIGN
    assert limits.log_in(second, "campaign_b") is None
    limits.log_out("campaign_a")
    assert limits.log_in(second, "campaign_a") is None


def test_each_of_a_campaigns_sessions_counts_until_it_ends() -> None:
    limits = limits_of(sessions_per_campaign=3)
    first, *others = [Connection("10.0.0.1") for _ in range(4)]
    for connection in (first, *others):
        limits.enter(connection)
    assert [limits.log_in(connection, "campaign_a") for connection in (first, *others)] == [
        None,
        None,
        None,
        Excess.SESSIONS_OF_CAMPAIGN,
    ]
    assert limits.sessions == 3
    limits.log_out("campaign_a")
    assert limits.sessions == 2
    limits.log_out("campaign_a")
    assert limits.sessions == 1
    limits.log_out("campaign_a")
    assert (limits.sessions, dict(limits._of_campaign)) == (0, {})


def test_each_connection_of_an_address_counts_until_it_leaves() -> None:
    limits = limits_of(connections_per_address=3)
    connections = [Connection("10.0.0.1") for _ in range(3)]
    for connection in connections:
        limits.enter(connection)
    block = connections[0].block
    limits.leave(connections[0])
    limits.enter(connections[0])
    assert limits.excess_for(block) is Excess.CONNECTIONS_OF_ADDRESS
    for left, connection in zip((2, 1, 0), connections, strict=True):
        limits.leave(connection)
        assert limits._of_block.get(block, 0) == left
    # Nothing is kept of an address that has left, or a scan of the internet would fill the memory.
    assert dict(limits._of_block) == {}


def test_leaving_settles_every_count() -> None:
    limits = limits_of()
    connections = [Connection("10.0.0.1"), Connection("10.0.0.1"), Connection("2001:db8::1")]
    for connection in connections:
        limits.enter(connection)
    limits.log_in(connections[0], "campaign_a")
    limits.log_out("campaign_a")
    for connection in connections:
        limits.leave(connection)
    assert (limits.connections, limits.unauthenticated, limits.sessions, limits.waiting) == (0, 0, 0, [])
