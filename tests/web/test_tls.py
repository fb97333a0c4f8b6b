"""TLS as the server speaks it by itself."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from tests.api.served import until
from tests.web.echo import Echo, serving_echo
from tests.web.test_listener import LAST, OWN_ADDRESS, cut
from web.server import load_tls


@pytest.fixture
async def tls_echo(certificate: tuple[Path, Path]) -> AsyncIterator[Echo]:
    chain, key = certificate
    client = ssl.create_default_context(cafile=str(chain))
    async with serving_echo((), load_tls(chain, key, section="API"), client, host="0.0.0.0") as served:
        yield served


def careless() -> ssl.SSLContext:
    """TLS of a client that believes everyone."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_with_tls_requests_from_afar_are_answered(tls_echo: Echo) -> None:
    assert (await tls_echo.say(LAST)).status == 200
    if OWN_ADDRESS is not None:
        tls_echo.host, tls_echo.tls = OWN_ADDRESS, careless()
        assert (await tls_echo.say(LAST)).status == 200


async def test_a_refusal_arrives_while_the_client_still_sends(tls_echo: Echo) -> None:
    reader, writer = await tls_echo.connect()
    writer.write(b"POST /close HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + bytes(3_000_000))
    async with asyncio.timeout(30):
        await writer.drain()
        assert (await reader.read()).startswith(b"HTTP/1.1 413 ")


async def test_a_handshake_that_never_ends_is_cut(tls_echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.listener._HANDSHAKE_SECONDS", 0.5)
    before = cut("tls")
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_echo.port)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    await until(lambda: cut("tls") > before)


async def test_tls_1_2_is_spoken_too(tls_echo: Echo) -> None:
    tls_echo.tls = careless()
    tls_echo.tls.minimum_version = tls_echo.tls.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await tls_echo.say(LAST)).status == 200


def test_a_certificate_that_cannot_be_used_is_told(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    chain, _ = certificate
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "genrsa", "-aes128", "-passout", "pass:secretword", "-out", locked, "2048"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    for key in (locked, tmp_path / "absent.key"):
        with pytest.raises(ConfigurationError, match="SFTP_GATEWAY_API__TLS_KEY"):
            load_tls(chain, key, section="API")
