"""Whose request it is: the address of the socket's peer, or the one that a listed proxy passes on. Pure.

Proxies append the address they were called from to `X-Forwarded-For`, so that only its right end is theirs: whatever stands
further left was said by a stranger. The caller is the rightmost hop that is no listed proxy.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from config.addresses import Address, Network, is_listed, parse_address

# No chain of listed proxies is longer.
_MOST_HOPS: Final = 16
# Some proxies tell the port too: 192.0.2.7:4711, [2001:db8::7]:4711. Zones of IPv6 mean nothing here.
_HOP: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")


def caller_address(peer: Address, forwarded: Iterable[bytes], proxies: Sequence[Network]) -> Address | None:
    """The address of the caller behind `peer`; `forwarded` has the values of all X-Forwarded-For in their order.

    It is None where a listed proxy passes on what is no address: then nobody knows who calls, and no right may follow from a
    guess. A listed proxy that says nothing calls for itself.
    """
    if not is_listed(peer, proxies):
        return peer
    hops = b",".join(forwarded).split(b",")
    if hops == [b""]:
        return peer
    address = peer
    for hop in reversed(hops[-_MOST_HOPS:]):
        read = _parse_hop(hop)
        if read is None:
            return None
        address = read
        if not is_listed(address, proxies):
            return address
    return address if len(hops) <= _MOST_HOPS else None


def _parse_hop(hop: bytes) -> Address | None:
    match = _HOP.fullmatch(hop.strip(b" \t").decode("latin-1"))
    if match is None:
        return None
    try:
        return parse_address(match[match.lastindex or 0])
    except ValueError:
        return None
