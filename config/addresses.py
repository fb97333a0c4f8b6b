"""Addresses and networks as people write them. Pure."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

# RFC 4291 §2.5.5.2: ::ffff:0:0/96 holds IPv4's addresses.
_MAPPED_BITS: Final = 96


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """An address or network, host bits cleared. Raises ValueError.

    IPv4 written as IPv6 (`::ffff:192.0.2.7`) is IPv4: a client that comes through an IPv6 socket is IPv4 again for us,
    so that nothing would ever match the other form.
    """
    network = ip_network(text, strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
