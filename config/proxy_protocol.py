"""The PROXY protocol, versions 1 and 2, by which a load balancer says whose connection it passes on. Pure.

The source is HAProxy's doc/proxy-protocol.txt (2020/03/05). Only listed load balancers are believed. From them the header
is demanded, because a receiver must never guess whether there is one (its §2).
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from config.addresses import Address, parse_address

SIGNATURE_1: Final = b"PROXY "
SIGNATURE_2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
# The longest line of version 1, with its line end (§2.1).
_LONGEST_LINE: Final = 107
# A header of version 2 may have 64 KB, with certificate names and the like. What load balancers send is far shorter.
_LONGEST_BINARY: Final = 4096
_FIXED_2: Final = 16

_COMMAND_LOCAL, _COMMAND_PROXY = 0x0, 0x1
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_BYTES: Final = {_TCP4: 12, _TCP6: 36}


class ProxyHeaderInvalid(Exception):  # noqa: N818 - a fact about bytes
    """What a listed load balancer sent is no PROXY header. The text is one of our own, fit for the log."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header of `length` bytes. `source` is None where the load balancer speaks for itself, as in a health check."""

    source: Address | None
    length: int


def parse_proxy_header(received: bytes) -> ProxyHeader | None:
    """The header that `received` begins with, or None where more bytes may make it one. Raises ProxyHeaderInvalid."""
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
        # Whatever follows is to be ignored (§2.1).
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
    # A port is decimal, without leading zeros (§2.1).
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
        # UNSPEC must be taken as if there was no header (§2.2). Datagrams and UNIX sockets can't be meant here.
        if family == 0:
            return ProxyHeader(None, length)
        raise ProxyHeaderInvalid("family unknown")
    if body_length < _ADDRESS_BYTES[family]:
        raise ProxyHeaderInvalid("addresses cut off")
    body = received[_FIXED_2:length]
    source = str(IPv4Address(body[:4])) if family == _TCP4 else str(IPv6Address(body[:16]))
    return ProxyHeader(parse_address(source), length)
