"""Addresses and networks: as people write them, as connections show them, and which of them count as one. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# What limits and shut-outs count as one: an IPv4 address, or a whole /64 of IPv6, which a customer has all to itself.
Block = IPv4Address | IPv6Network

# RFC 4291 §2.5.5.2: ::ffff:0:0/96 holds IPv4's addresses.
_MAPPED_BITS: Final = 96


def parse_network(text: str) -> Network:
    """An address or network, host bits cleared. Raises ValueError.

    IPv4 written as IPv6 (`::ffff:192.0.2.7`) is IPv4: a client that comes through an IPv6 socket is IPv4 again for us,
    so that nothing would ever match the other form.
    """
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def parse_address(text: str) -> Address:
    """The address of a peer. An IPv4 address that is seen through an IPv6 socket is an IPv4 address. Raises ValueError."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def block_of(address: Address) -> Block:
    """The block that this address is counted under."""
    if isinstance(address, IPv4Address):
        return address
    network = ip_network((int(address) >> 64 << 64, 64))
    assert isinstance(network, IPv6Network)  # noqa: S101 - made of 128 bits
    return network


def is_listed(address: Address, networks: Iterable[Network]) -> bool:
    """Whether one of the networks holds the address."""
    return any(address in network for network in networks)
