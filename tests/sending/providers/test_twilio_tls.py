"""Over TLS: a certificate of a trusted authority is believed, and with any other not a byte of a message leaves."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sending.providers.authorities import trusted_authorities
from sending.providers.provider import PutBack, Taken
from sending.providers.twilio import ServiceTrouble, try_service
from tests.sending.providers.twilio_adapter import ACCOUNT, open_test_provider, outgoing
from tests.sending.twilio_control import TwilioServer, twilio_server


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local Twilio")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def tls_twilio(certificate: tuple[Path, Path]) -> Iterator[TwilioServer]:
    with twilio_server(certificate=certificate[0], key=certificate[1]) as server:
        yield server


@pytest.fixture(autouse=True)
def authorities_read_anew() -> Iterator[None]:
    """A process reads once whom it trusts; this test's process is everybody's."""
    trusted_authorities.cache_clear()
    yield
    trusted_authorities.cache_clear()


async def test_a_message_is_taken_where_the_certificate_is_trusted(
    tls_twilio: TwilioServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    provider = open_test_provider(tls_twilio.base_url, callback_base_url=None)
    taken = await provider.hand_over(outgoing())
    tried = await try_service(ACCOUNT, base_url=tls_twilio.base_url)
    await provider.close()
    assert isinstance(taken, Taken)
    assert tried is None


async def test_nothing_leaves_where_it_is_not(tls_twilio: TwilioServer) -> None:
    before = tls_twilio.record()["requests"]
    provider = open_test_provider(tls_twilio.base_url)
    answer = await provider.hand_over(outgoing())
    tried = await try_service(ACCOUNT, base_url=tls_twilio.base_url)
    await provider.close()
    assert answer == PutBack(1.0, "tls", pause="provider unreachable", pause_seconds=1.0)
    assert tried == ServiceTrouble("Twilio can't be reached (tls)", is_away=True)
    assert tls_twilio.record()["requests"] == before


async def test_nothing_leaves_where_the_other_side_speaks_no_tls(twilio: TwilioServer) -> None:
    provider = open_test_provider(twilio.base_url.replace("http:", "https:"))
    answer = await provider.hand_over(outgoing())
    await provider.close()
    assert isinstance(answer, PutBack)
    assert twilio.record()["requests"] == 0


@contextlib.asynccontextmanager
async def slow_way(port: int, is_free: asyncio.Event) -> AsyncIterator[int]:
    """A way to a port of this machine, by another one, on which no byte comes through before it is free."""
    ways: set[asyncio.Task[None]] = set()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await is_free.wait()
        while piece := await reader.read(65536):
            writer.write(piece)

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ways.add(cast("asyncio.Task[None]", asyncio.current_task()))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def test_what_got_its_connection_too_late_is_put_back_and_the_connection_is_kept(
    tls_twilio: TwilioServer, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    before = tls_twilio.record()
    loop, is_free = asyncio.get_running_loop(), asyncio.Event()
    url = urlsplit(tls_twilio.base_url)
    assert url.port is not None
    async with slow_way(url.port, is_free) as port:
        provider = open_test_provider(f"https://127.0.0.1:{port}", callback_base_url=None)
        leave_by = loop.time() + 0.01
        handing_over = asyncio.create_task(
            provider.hand_over(dataclasses.replace(outgoing(), leave_by=leave_by))
        )
        await asyncio.sleep(leave_by - loop.time() + 0.02)
        assert loop.time() > leave_by
        is_free.set()
        assert await handing_over == PutBack(0.0, "connected too late")
        assert tls_twilio.record()["requests"] == before["requests"]
        assert isinstance(await provider.hand_over(outgoing()), Taken)
        await provider.close()
    assert tls_twilio.record()["connections"] == before["connections"] + 1
