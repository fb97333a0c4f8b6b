"""The PROXY protocol, versions 1 and 2: who a load balancer speaks for. Pure: bytes in, an address or a fault out.

As specified in HAProxy's doc/proxy-protocol.txt (2020/03/05). What it says is believed from listed load balancers only;
from them it is demanded, because a receiver must never guess whether a header is there (its §2).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from sftpd.connections.source_addresses import Address, parse_address

SIGNATURE_1: Final = b"PROXY "
SIGNATURE_2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
# §2.1: the longest line of version 1, its line end included.
_LONGEST_LINE: Final = 107
# Version 2 with its TLVs (certificate names, say) may reach 64 KB by the letter; what load balancers send stays far below.
_LONGEST_BINARY: Final = 4096
_FIXED_2: Final = 16

_COMMAND_LOCAL, _COMMAND_PROXY = 0x0, 0x1
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_BYTES: Final = {_TCP4: 12, _TCP6: 36}


class ProxyHeaderInvalid(Exception):  # noqa: N818 - a fact about bytes
    """What a listed load balancer sent is no PROXY header. The text is fixed, for the log."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header of `length` bytes. `source` is None where the load balancer speaks for itself, such as in a health check."""

    source: Address | None
    length: int


def parse_proxy_header(received: bytes) -> ProxyHeader | None:
    """The header that `received` begins with; None while it may still become one. Raises ProxyHeaderInvalid."""
    if received.startswith(SIGNATURE_2):
        return _parse_binary(received)
    if received.startswith(SIGNATURE_1):
        return _parse_line(received)
    if SIGNATURE_2.startswith(received) or SIGNATURE_1.startswith(received):
        return None
    raise ProxyHeaderInvalid("no signature")


def _parse_line(received: bytes) -> ProxyHeader | None:
    end = received.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(received) >= _LONGEST_LINE:
            raise ProxyHeaderInvalid("line too long")
        return None
    length = end + 2
    try:
        words = received[:end].decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise ProxyHeaderInvalid("line not ASCII") from None
    if words[1] == "UNKNOWN":
        # §2.1: whatever follows is to be ignored.
        return ProxyHeader(None, length)
    if len(words) != 6:
        raise ProxyHeaderInvalid("line with other than six words")
    _, family, source, destination, *ports = words
    kind: type[Address]
    if family == "TCP4":
        kind = IPv4Address
    elif family == "TCP6":
        kind = IPv6Address
    else:
        raise ProxyHeaderInvalid("family unknown")
    try:
        kind(source), kind(destination)
    except ValueError:
        raise ProxyHeaderInvalid("address malformed") from None
    if not all(_is_port(port) for port in ports):
        raise ProxyHeaderInvalid("port malformed")
    return ProxyHeader(parse_address(source), length)


def _is_port(text: str) -> bool:
    # §2.1: decimal, no leading zero but for 0 itself.
    return (
        text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535 and str(int(text)) == text
    )


def _parse_binary(received: bytes) -> ProxyHeader | None:
    if len(received) < _FIXED_2:
        return None
    version, command = received[12] >> 4, received[12] & 0x0F
    family = received[13]
    body_length = int.from_bytes(received[14:16], "big")
    length = _FIXED_2 + body_length
    if version != 2:
        raise ProxyHeaderInvalid("version unknown")
    if command not in {_COMMAND_LOCAL, _COMMAND_PROXY}:
        raise ProxyHeaderInvalid("command unknown")
    if length > _LONGEST_BINARY:
        raise ProxyHeaderInvalid("header too long")
    if len(received) < length:
        return None
    if command == _COMMAND_LOCAL:
        return ProxyHeader(None, length)
    if family not in _ADDRESS_BYTES:
        # §2.2: UNSPEC must be taken as if there was no header; datagrams and UNIX sockets can't be meant here.
        if family == 0:
            return ProxyHeader(None, length)
        raise ProxyHeaderInvalid("family unknown")
    if body_length < _ADDRESS_BYTES[family]:
        raise ProxyHeaderInvalid("addresses cut off")
    body = received[_FIXED_2:length]
    source = str(IPv4Address(body[:4])) if family == _TCP4 else str(IPv6Address(body[:16]))
    return ProxyHeader(parse_address(source), length)
