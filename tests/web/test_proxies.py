"""What listed proxies pass on, by the PROXY protocol before any TLS, or in a header; strangers pass on nothing."""

import asyncio
import contextlib
import json
import ssl
from ipaddress import ip_network
from pathlib import Path

import pytest

from config.proxy_protocol import SIGNATURE_2
from tests.api.served import parse_answer
from tests.web.echo import serving_echo
from web import metrics
from web.server import load_tls

LISTED = [ip_network("127.0.0.0/8"), ip_network("10.0.0.0/24")]
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n%bConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 198.51.100.1 192.0.2.1 4711 443\r\n"
V2 = SIGNATURE_2 + b"\x21\x11\x00\x0c" + bytes([198, 51, 100, 1, 192, 0, 2, 1]) + b"\x12\x67\x01\xbb"
LOCAL = SIGNATURE_2 + b"\x20\x00\x00\x00"


async def address_told(port: int, *parts: bytes, tls: ssl.SSLContext | None = None) -> str | None:
    """Whose address the application saw; None: it saw nothing. `parts` come one after another; TLS begins before the last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts[:-1]:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)
        if tls is not None:
            await writer.start_tls(tls, server_hostname="localhost")
        received = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            writer.write(parts[-1])
            async with asyncio.timeout(30):
                received = await reader.read()
        if not received.startswith(b"HTTP/1.1 200"):
            return None
        return str(json.loads(parse_answer(received).body)["address"])
    finally:
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        pytest.param([GET % b""], "127.0.0.1", id="the proxy for itself"),
        pytest.param([GET % b"X-Forwarded-For: 192.0.2.7, 198.51.100.1\r\n"], "198.51.100.1", id="a header"),
        pytest.param([GET % b"X-Forwarded-For: unknown\r\n"], "None", id="a header that tells nothing"),
        pytest.param([V1 + GET % b""], "198.51.100.1", id="PROXY 1"),
        pytest.param([V1[:3], V1[3:20], V1[20:] + GET % b""], "198.51.100.1", id="PROXY 1 in pieces"),
        pytest.param([V2 + GET % b""], "198.51.100.1", id="PROXY 2"),
        pytest.param([V2[:14], V2[14:], GET % b""], "198.51.100.1", id="PROXY 2 in pieces"),
        pytest.param([LOCAL + GET % b""], "127.0.0.1", id="PROXY 2 of the proxy itself"),
        pytest.param([V1 + GET % b"X-Forwarded-For: 192.0.2.7\r\n"], "198.51.100.1", id="a header of the client behind it"),
        pytest.param([V1.replace(b"198.51.100.1", b"10.0.0.9") + GET % b"X-Forwarded-For: 192.0.2.7\r\n"], "192.0.2.7",
                     id="a header of a second listed proxy behind it"),
        pytest.param([b"P", (GET % b"")[:1] + (GET % b"")[1:]], None, id="no method"),
        pytest.param([b"PROXY TCP4 198.51.100.1 x 1 2\r\n" + GET % b""], None, id="a malformed header"),
    ],
)  # fmt: skip
async def test_a_listed_proxy_says_whose_connection_it_is(parts: list[bytes], address: str | None) -> None:
    before = float(metrics.CONNECTIONS_CUT.labels("proxy_header")._value.get())
    async with serving_echo(LISTED) as echo:
        assert await address_told(echo.port, *parts) == address
    malformed = parts[0].startswith(b"PROXY TCP4 198.51.100.1 x")
    assert float(metrics.CONNECTIONS_CUT.labels("proxy_header")._value.get()) == before + malformed


async def test_a_stranger_passes_nothing_on() -> None:
    async with serving_echo([ip_network("10.0.0.0/24")]) as echo:
        assert await address_told(echo.port, GET % b"X-Forwarded-For: 198.51.100.1\r\n") == "127.0.0.1"
        for header in (V1, V2):
            assert await address_told(echo.port, header + GET % b"") is None


async def test_tls_begins_behind_the_header(certificate: tuple[Path, Path]) -> None:
    chain, key = certificate
    client = ssl.create_default_context(cafile=str(chain))
    async with serving_echo(LISTED, load_tls(chain, key, section="API"), client) as echo:
        assert await address_told(echo.port, V1, GET % b"", tls=client) == "198.51.100.1"
        assert await address_told(echo.port, V2[:5], V2[5:], GET % b"", tls=client) == "198.51.100.1"
        # A connection without a header is the proxy's own.
        assert (await echo.say(GET % b"")).status == 200


async def test_the_share_of_an_address_counts_behind_a_proxy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.listener.MOST_OF_ADDRESS", 2)
    async with serving_echo(LISTED) as echo:
        for _ in range(2):
            _, writer = await echo.connect()
            writer.write(V1)
        await echo.connections(2)
        assert await address_told(echo.port, V1 + GET % b"") is None
        assert await address_told(echo.port, V1.replace(b".1 ", b".2 ", 1) + GET % b"") == "198.51.100.2"
        assert await address_told(echo.port, GET % b"") == "127.0.0.1"
