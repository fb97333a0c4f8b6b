"""PROXY protocol headers, from HAProxy's doc/proxy-protocol.txt: good ones, unfinished ones and malformed ones."""

import pytest

from config.addresses import parse_address
from config.proxy_protocol import (
    SIGNATURE_2,
    ProxyHeader,
    ProxyHeaderInvalid,
    parse_proxy_header,
)

V4 = bytes([192, 0, 2, 7, 10, 0, 0, 1]) + (51000).to_bytes(2, "big") + (22).to_bytes(2, "big")
V6 = (
    parse_address("2001:db8::7").packed
    + parse_address("2001:db8::1").packed
    + (51000).to_bytes(2, "big")
    + (22).to_bytes(2, "big")
)
TLV = b"\x04\x00\x03abc"


def binary(command: int, family: int, body: bytes, *, version: int = 2, length: int | None = None) -> bytes:
    """A version 2 header."""
    told = len(body) if length is None else length
    return SIGNATURE_2 + bytes([version << 4 | command, family]) + told.to_bytes(2, "big") + body


GOOD = {
    "v1 tcp4": (b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 22\r\n", "192.0.2.7"),
    "v1 tcp6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 51000 22\r\n", "2001:db8::7"),
    "v1 longest tcp6": (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
    "v1 port 0": (b"PROXY TCP4 192.0.2.7 10.0.0.1 0 22\r\n", "192.0.2.7"),
    "v1 tcp6 of a mapped ipv4": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 51000 22\r\n", "192.0.2.7"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1 unknown with words": (b"PROXY UNKNOWN ffff::1 whatever 1 2 3 4\r\n", None),
    "v2 tcp4": (binary(1, 0x11, V4), "192.0.2.7"),
    "v2 tcp6": (binary(1, 0x21, V6), "2001:db8::7"),
    "v2 tcp4 with a tlv": (binary(1, 0x11, V4 + TLV), "192.0.2.7"),
    "v2 tcp6 with a tlv": (binary(1, 0x21, V6 + TLV), "2001:db8::7"),
    "v2 local": (binary(0, 0x00, b""), None),
    "v2 local with addresses to be ignored": (binary(0, 0x11, V4), None),
    "v2 unspec": (binary(1, 0x00, TLV), None),
}
MALFORMED = {
    "ssh without a header": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nul": b"\x00",
    "v1 lower case": b"proxy TCP4 192.0.2.7 10.0.0.1 51000 22\r\n",
    "v1 too long": b"PROXY TCP4 " + b"1" * 96,
    "v1 too long unknown": b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    "v1 family unknown": b"PROXY UDP4 192.0.2.7 10.0.0.1 51000 22\r\n",
    "v1 five words": b"PROXY TCP4 192.0.2.7 10.0.0.1 51000\r\n",
    "v1 seven words": b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 22 x\r\n",
    "v1 two blanks": b"PROXY TCP4  192.0.2.7 10.0.0.1 51000 22\r\n",
    "v1 bad source": b"PROXY TCP4 192.0.2.700 10.0.0.1 51000 22\r\n",
    "v1 bad destination": b"PROXY TCP4 192.0.2.7 here 51000 22\r\n",
    "v1 ipv6 said to be tcp4": b"PROXY TCP4 2001:db8::7 2001:db8::1 51000 22\r\n",
    "v1 ipv4 said to be tcp6": b"PROXY TCP6 192.0.2.7 10.0.0.1 51000 22\r\n",
    "v1 port too big": b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 22\r\n",
    "v1 port with a zero in front": b"PROXY TCP4 192.0.2.7 10.0.0.1 051 22\r\n",
    "v1 port signed": b"PROXY TCP4 192.0.2.7 10.0.0.1 +51 22\r\n",
    "v1 port of other digits": "PROXY TCP4 192.0.2.7 10.0.0.1 ٥ 22\r\n".encode(),
    "v1 not ascii": b"PROXY TCP4 192.0.2.7 10.0.0.1 51000 \xff\r\n",
    "v1 no words": b"PROXY \r\n",
    "v2 version 1": binary(1, 0x11, V4, version=1),
    "v2 version 3": binary(1, 0x11, V4, version=3),
    "v2 command unknown": binary(2, 0x11, V4),
    "v2 family unknown": binary(1, 0x41, V4),
    "v2 datagrams": binary(1, 0x12, V4),
    "v2 unix": binary(1, 0x31, bytes(216)),
    "v2 addresses cut off": binary(1, 0x11, V4[:11]),
    "v2 tcp6 with ipv4 addresses": binary(1, 0x21, V4),
    "v2 endless": binary(1, 0x11, V4, length=65535),
}


@pytest.mark.parametrize(("header", "source"), GOOD.values(), ids=GOOD)
def test_a_good_header_names_the_source_and_its_own_length(header: bytes, source: str | None) -> None:
    expected = ProxyHeader(parse_address(source) if source else None, len(header))
    assert parse_proxy_header(header + b"SSH-2.0-x\r\n") == expected


@pytest.mark.parametrize("header", [header for header, _ in GOOD.values()], ids=GOOD)
def test_every_beginning_of_a_good_header_waits_for_more(header: bytes) -> None:
    for length in range(len(header)):
        assert parse_proxy_header(header[:length]) is None


@pytest.mark.parametrize("received", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_header_is_refused(received: bytes) -> None:
    with pytest.raises(ProxyHeaderInvalid):
        parse_proxy_header(received)


@pytest.mark.parametrize("received", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_header_never_passes_on_the_way(received: bytes) -> None:
    for length in range(len(received)):
        try:
            assert parse_proxy_header(received[:length]) is None
        except ProxyHeaderInvalid:
            break
