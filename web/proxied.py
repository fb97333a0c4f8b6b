"""Whose connection a listed proxy passes on, where it says so by the PROXY protocol, before any TLS.

Proxies that speak HTTP themselves say it in each request instead (web.addresses), and begin with no such header. Both kinds are
in one list, so that the first bytes must tell which it is. No stranger can use that: behind a proxy that speaks HTTP he doesn't
write a connection's first bytes, and behind one of the other kind the proxy has written them before him.
"""

import asyncio
import socket

from config.addresses import Address
from config.proxy_protocol import SIGNATURE_1, SIGNATURE_2, parse_proxy_header

# More than the longest header that is taken.
_MOST_BYTES = 8192
# Seconds before a header is looked at again of which a part is here: a proxy sends it as one packet.
_PAUSE = 0.01


async def read_source(accepted: socket.socket, proxy: Address) -> Address:
    """Take a PROXY header, if there is one, from the connection. Whose connection it is: the proxy's own where none is named.

    Returns only when the proxy has sent something, or hung up. Raises ProxyHeaderInvalid, OSError.
    """
    while True:
        await _wait_for_bytes(accepted)
        try:
            received = accepted.recv(_MOST_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            continue
        if not received or not _may_be_header(received):
            return proxy
        header = parse_proxy_header(received)
        if header is not None:
            accepted.recv(header.length)
            return header.source or proxy
        await asyncio.sleep(_PAUSE)


def _may_be_header(received: bytes) -> bool:
    return any(
        received.startswith(signature) or signature.startswith(received)
        for signature in (SIGNATURE_1, SIGNATURE_2)
    )


async def _wait_for_bytes(accepted: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()

    def tell() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(accepted, tell)
    try:
        await readable
    finally:
        loop.remove_reader(accepted)
