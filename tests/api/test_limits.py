"""Nobody holds the API up by floods, slowness or size, and nothing is answered with data over plain HTTP from afar."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.settings import Settings
from tests.api.served import ServedAPI, parse_answer, serving, until
from tests.messages.builders import MadeBatch
from web import metrics
from web.listener import MOST_OF_ADDRESS
from web.tls import load_tls


def own_address() -> str | None:
    """An address of this machine that isn't loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))
        address = str(probe.getsockname()[0])
        return None if address.startswith("127.") else address
    return None


OWN_ADDRESS = own_address()
needs_address = pytest.mark.skipif(OWN_ADDRESS is None, reason="this machine has no address but loopback")


def cut(cause: str) -> float:
    return float(metrics.CONNECTIONS_CUT.labels(cause)._value.get())


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        pytest.param("/api/v2/health", "GET", 200, id="health"),
        pytest.param("/api/v2/health", "HEAD", 200, id="health by HEAD"),
        pytest.param("/api/v2/health/", "GET", 404, id="never a redirect"),
        pytest.param("/api/v2/health", "POST", 405, id="health by POST"),
        pytest.param("/callbacks/twilio/1-2-1/AAAAAAAAAAAAAAAAAAAAAA", "GET", 405, id="a callback by GET"),
        pytest.param("/", "GET", 404, id="root"),
        pytest.param("/metrics", "GET", 404, id="not the ops endpoint"),
        pytest.param("/api/v2/campaigns/campaign_1/messages", "POST", 401, id="a call without a key"),
        pytest.param("/" + "a" * 2047, "GET", 404, id="a path of 2 KiB"),
        pytest.param("/" + "a" * 2048, "GET", 414, id="a longer path"),
        pytest.param("/?" + "a" * 2048, "GET", 414, id="a longer query"),
        pytest.param("/" + "a" * 40_000, "GET", 414, id="a path that is longer than any head"),
    ],
)
async def test_each_request_has_its_answer_and_each_answer_its_headers(
    api: ServedAPI, path: str, method: str, status: int
) -> None:
    answer = await api.get(path, method)
    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "application/json"
    assert "server" not in answer.headers
    assert answer.shape_a or status == 200
    assert ("allow" in answer.headers) == (status == 405)


async def test_a_request_id_is_the_callers_own_where_it_is_fit(api: ServedAPI) -> None:
    assert (await api.get("/", headers="X-Request-Id: a.b_c-1\r\n")).headers["x-request-id"] == "a.b_c-1"
    for unfit in ("a b", "a" * 65, '"'):
        ours = (await api.get("/", headers=f"X-Request-Id: {unfit}\r\n")).headers["x-request-id"]
        assert len(ours) == 32


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400, id="a TLS client"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, id="a wrong length"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: x\r\nX: " + b"a" * 31_000 + b"\r\n\r\n", 404, id="32 KiB of headers"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 33_000 + b"\r\n\r\n", 431, id="more headers"),
        pytest.param(b"GET /" + b"a" * 40_000, 414, id="a path without an end"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 7_000, 431, id="headers without an end"),
    ],
)  # fmt: skip
async def test_what_is_no_request_or_too_long_a_one_is_told(
    api: ServedAPI, request_bytes: bytes, status: int
) -> None:
    answer = await api.say(request_bytes)
    assert (answer.status, answer.shape_a) == (status, True)
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_body_that_is_too_long_or_of_another_kind_is_refused_unread(
    api: ServedAPI, batch: MadeBatch
) -> None:
    path = api.path_of(batch.key())
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    start = f"POST {path} HTTP/1.1\r\nHost: x\r\n"
    # The length that is announced decides, before a byte of it.
    announced = await api.say(f"{start}{form}Content-Length: 16385\r\n\r\n".encode())
    chunk = b"1000\r\n" + b"a" * 4096 + b"\r\n"
    counted = await api.say(f"{start}{form}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk * 5)
    for answer in (announced, counted):
        assert (answer.status, answer.headers["connection"], answer.shape_a) == (413, "close", True)
    json = await api.say(
        f"{start}Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}".encode()
    )
    assert (json.status, json.shape_a) == (415, True)


async def test_half_requests_are_cut_and_hold_nobody_up(
    api: ServedAPI, batch: MadeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.protocol.REQUEST_SECONDS", 0.5)
    before = cut("slow")
    path = api.path_of(batch.key())
    halves = [
        b"",
        b"GET /api/v2/hea",
        b"GET /api/v2/health HTTP/1.1\r\nHost: x\r\n",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        "Content-Length: 100\r\n\r\nMess".encode(),
    ]
    connections = [await asyncio.open_connection("127.0.0.1", api.port) for _ in halves]
    for (_, writer), half in zip(connections, halves, strict=True):
        writer.write(half)
    assert (await api.get("/api/v2/health")).status == 200
    for reader, writer in connections:
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
    assert cut("slow") == before + len(halves)


async def test_a_connection_serves_one_request_after_another_and_a_second_half_is_cut_too(
    api: ServedAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.protocol.REQUEST_SECONDS", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    request = b"GET /api/v2/health HTTP/1.1\r\nHost: x\r\n\r\n"
    for _ in range(3):
        # Longer than the deadline of a request, which stands still between two.
        await asyncio.sleep(0.3)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert parse_answer(head).status == 200
        assert await reader.readexactly(15) == b'{"status":"ok"}'
    writer.write(request[:20])
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()


async def test_the_oldest_idle_connection_makes_room_for_a_new_one(
    api: ServedAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.listener.MOST_OPEN", 20)
    before = cut("total")
    idle = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(25)]
    assert (await api.get("/api/v2/health")).status == 200
    assert cut("total") == before + 6
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await idle[0][0].read() == b""
    idle[-1][1].write(b"GET /api/v2/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert parse_answer(await idle[-1][0].read()).status == 200
    for _, writer in idle:
        writer.close()


@needs_address
async def test_one_address_has_a_share_only_and_plain_http_from_afar_is_forbidden(
    api_settings: Settings,
) -> None:
    assert OWN_ADDRESS is not None
    before = cut("address")
    async with serving(api_settings, "0.0.0.0") as port:
        far = ServedAPI(port, host=OWN_ADDRESS)
        answer = await far.get("/api/v2/health")
        assert (answer.status, answer.shape_a) == (403, True)
        idle = [await asyncio.open_connection(OWN_ADDRESS, port) for _ in range(MOST_OF_ADDRESS + 2)]
        assert (await ServedAPI(port).get("/api/v2/health")).status == 200
        assert cut("address") == before + 2
        for _, writer in idle:
            writer.close()
    proxied = api_settings.api.model_copy(update={"trusted_proxies": [f"{OWN_ADDRESS}/32"]})
    async with serving(api_settings.model_copy(update={"api": proxied}), "0.0.0.0") as port:
        assert (await ServedAPI(port, host=OWN_ADDRESS).get("/api/v2/health")).status == 200


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for `localhost` and its key."""
    chain, key = tmp_path / "tls.pem", tmp_path / "tls.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", chain],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return chain, key


@pytest.fixture
async def tls_api(
    api_settings: Settings, certificate: tuple[Path, Path], callback_keys: list[bytes]
) -> AsyncIterator[ServedAPI]:
    chain, key = certificate
    api = api_settings.api.model_copy(update={"tls_certificate": chain, "tls_key": key})
    async with serving(api_settings.model_copy(update={"api": api}), "0.0.0.0") as port:
        context = ssl.create_default_context(cafile=str(chain))
        yield ServedAPI(port, callback_keys, tls=context, host="localhost")


async def test_tls_is_spoken_by_the_part_itself(tls_api: ServedAPI, batch: MadeBatch) -> None:
    assert (await tls_api.call(batch.key(), "delivered")).status == 204
    if OWN_ADDRESS is not None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        far = ServedAPI(tls_api.port, tls=context, host=OWN_ADDRESS)
        assert (await far.get("/api/v2/health")).status == 200


async def test_a_handshake_that_never_ends_is_cut(
    tls_api: ServedAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.listener._HANDSHAKE_SECONDS", 0.5)
    before = cut("tls")
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_api.port)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.close()
    await until(lambda: cut("tls") > before)
    old = ssl.create_default_context()
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    assert (await ServedAPI(tls_api.port, tls=old).get("/api/v2/health")).status == 200


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
