"""The caller's real address: what only a listed proxy may say, and only about the hop before it."""

from ipaddress import ip_network

import pytest

from config.addresses import parse_address
from web.addresses import caller_address

PROXIES = [ip_network("10.0.0.0/24"), ip_network("2001:db8:f::/48")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "caller"),
    [
        pytest.param("192.0.2.7", [], "192.0.2.7", id="no proxy"),
        pytest.param("192.0.2.7", [b"198.51.100.1"], "192.0.2.7", id="a stranger that plays the proxy"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that calls for itself"),
        pytest.param("10.0.0.1", [b""], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", [b"198.51.100.1"], "198.51.100.1", id="one hop"),
        pytest.param("10.0.0.1", [b"192.0.2.7, 198.51.100.1"], "198.51.100.1", id="said by the stranger before it"),
        pytest.param("10.0.0.1", [b"192.0.2.7", b"198.51.100.1"], "198.51.100.1", id="two headers"),
        pytest.param("10.0.0.1", [b"198.51.100.1", b"10.0.0.2"], "198.51.100.1", id="two listed proxies"),
        pytest.param("10.0.0.1", [b"192.0.2.7,198.51.100.1 ,\t10.0.0.2"], "198.51.100.1", id="white space"),
        pytest.param("10.0.0.1", [b"10.0.0.3, 10.0.0.2"], "10.0.0.3", id="proxies only: the first of them"),
        pytest.param("10.0.0.1", [b"\xd9\xa1, 198.51.100.1"], "198.51.100.1", id="garbage before the caller"),
        pytest.param("10.0.0.1", [b"198.51.100.1:4711"], "198.51.100.1", id="with a port"),
        pytest.param("10.0.0.1", [b"[2001:db8::7]:4711"], "2001:db8::7", id="IPv6 with a port"),
        pytest.param("2001:db8:f::1", [b"2001:DB8::7"], "2001:db8::7", id="IPv6"),
        pytest.param("10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1", id="IPv4 written as IPv6"),
        pytest.param("10.0.0.1", [b"unknown"], None, id="unknown"),
        pytest.param("10.0.0.1", [b"198.51.100.1, "], None, id="an empty hop"),
        pytest.param("10.0.0.1", [b"198.51.100.1, unknown"], None, id="an allowed address left of garbage"),
        pytest.param("10.0.0.1", [b"198.51.100.1, x, 10.0.0.2"], None, id="garbage left of a proxy"),
        pytest.param("10.0.0.1", [b"198.51.100.256"], None, id="no address"),
        pytest.param("10.0.0.1", [b"198.51.100.01"], None, id="octal or not"),
        pytest.param("10.0.0.1", [b"3325256705"], None, id="a number"),
        pytest.param("10.0.0.1", [b"198.51.100.1/32"], None, id="a network"),
        pytest.param("10.0.0.1", ["198.51.100.\u0661".encode()], None, id="other digits"),
        pytest.param("10.0.0.1", [b"fe80::1%eth0"], None, id="a zone"),
        pytest.param("10.0.0.1", [b"198.51.100.1," + b"10.0.0.2," * 8000 + b"10.0.0.2"], None, id="a chain without end"),
    ],
)  # fmt: skip
def test_the_caller_is_the_rightmost_hop_that_is_no_listed_proxy(
    peer: str, forwarded: list[bytes], caller: str | None
) -> None:
    expected = None if caller is None else parse_address(caller)
    assert caller_address(parse_address(peer), forwarded, PROXIES) == expected
