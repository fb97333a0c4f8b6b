"""The ops endpoint answers from what it knows, writes nothing, and goes on answering whoever holds connections."""

import asyncio
import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.settings import Settings
from gateway.ops.dependencies import Backlog, Dependency
from gateway.ops.endpoint import OpsEndpoint, serve_ops
from gateway.ops.http_limits import is_trusted_host
from tests.gateway.nodes import Node, call, wait_until
from tests.gateway.stores import put_only_store


@dataclass
class IdleNode:
    """A node whose only part does nothing."""

    metrics_folder: Path
    dependencies: frozenset[Dependency] = frozenset({Dependency.DATABASE, Dependency.S3})
    puts_only: bool = True
    backlogs: frozenset[Backlog] = frozenset(Backlog)
    parts_uploads_need: frozenset[str] = frozenset({"idle"})
    is_stopping: bool = False
    restarts: Counter[str] = field(default_factory=Counter)

    def ready_processes(self) -> dict[str, int]:
        return {"idle": 1}


@pytest.fixture
async def endpoint(settings: Settings, tmp_path: Path) -> AsyncIterator[OpsEndpoint]:
    async with serve_ops(settings, IdleNode(tmp_path)) as served:
        yield served


def ask(endpoint: OpsEndpoint, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
    try:
        connection.request("GET", path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


async def test_half_requests_hold_nobody_up_and_are_cut(endpoint: OpsEndpoint) -> None:
    halves = [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Half:"]
    with ExitStack() as stack:
        held = []
        for number in range(300):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", endpoint.port), timeout=60))
            one.sendall(halves[number % 3])
            held.append(one)
            if number % 10 == 0:
                # The server runs in this very loop.
                await asyncio.sleep(0)
            if number == 70:
                assert await asyncio.to_thread(ask, endpoint, "/healthz") == (200, "ok\n")
        assert await asyncio.to_thread(ask, endpoint, "/healthz") == (200, "ok\n")

        def wait_for_end(one: socket.socket) -> bytes:
            try:
                return one.recv(1)
            except ConnectionResetError:
                return b""

        async with asyncio.timeout(60):
            ends = await asyncio.gather(*(asyncio.to_thread(wait_for_end, one) for one in held))
        assert set(ends) == {b""}


async def test_a_request_said_slowly_is_answered_and_a_second_one_needs_its_own_connection(
    endpoint: OpsEndpoint,
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    for piece in (
        b"GET /healthz HTTP/1.1\r\n",
        b"Host: localhost\r\n",
        b"\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n",
    ):
        writer.write(piece)
        await asyncio.sleep(0.2)
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.count(b"200 OK") == 1
    writer.close()


@pytest.mark.parametrize(
    ("host", "is_trusted"),
    [
        ("127.0.0.1:9464", True), ("[::1]:9464", True), ("192.0.2.7", True), ("localhost:9464", True), ("LOCALHOST.", True),
        ("gw1.agency.example:9464", True), ("GW1.agency.example", True), (None, True),
        ("rebound.example:9464", False), ("rebound.example", False), ("127.0.0.1.rebound.example", False),
        ("localhost.rebound.example", False), ("[::1].rebound.example", False), ("127.0.0.1@rebound.example", False),
    ],
)  # fmt: skip
def test_only_addresses_and_known_names_are_trusted(host: str | None, is_trusted: bool) -> None:
    assert is_trusted_host(host, {"gw1.agency.example"}) == is_trusted


async def test_a_name_that_leads_here_by_rebinding_learns_only_that_the_node_lives(
    endpoint: OpsEndpoint,
) -> None:
    for path in ("/readyz", "/metrics"):
        status, text = await asyncio.to_thread(ask, endpoint, path, "rebound.example:9464")
        assert status == 421
        assert "SFTP_GATEWAY_OPS__ALLOWED_HOSTS" in text
        assert (await asyncio.to_thread(ask, endpoint, path, "localhost"))[0] == 200
    assert await asyncio.to_thread(ask, endpoint, "/healthz", "rebound.example") == (200, "ok\n")


async def test_a_scrape_starts_no_probe_and_readiness_writes_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    began = time.monotonic()
    with put_only_store() as store:
        s3 = settings.s3.model_copy(update={"endpoint_url": store.endpoint_url})
        async with serve_ops(settings.model_copy(update={"s3": s3}), IdleNode(tmp_path)) as endpoint:
            status, text = await asyncio.to_thread(ask, endpoint, "/readyz")
            assert (status, json.loads(text)["away"]) == (200, [])
            for _ in range(10):
                metrics = (await asyncio.to_thread(ask, endpoint, "/metrics"))[1]
                assert 'sftp_gateway_dependency_up{dependency="s3"} 1.0' in metrics
                assert (await asyncio.to_thread(ask, endpoint, "/readyz"))[0] == 200
    assert set(store.methods) == {"HEAD"}
    # In the background, one look every four seconds, however many ask.
    assert len(store.methods) <= 2 + (time.monotonic() - began) / 4


async def test_a_bucket_whose_key_must_do_more_is_away_when_it_refuses(
    settings: Settings, tmp_path: Path
) -> None:
    with put_only_store() as store:
        s3 = settings.s3.model_copy(update={"endpoint_url": store.endpoint_url})
        node = IdleNode(tmp_path, puts_only=False)
        async with serve_ops(settings.model_copy(update={"s3": s3}), node) as endpoint:
            status, text = await asyncio.to_thread(ask, endpoint, "/readyz")
    assert (status, json.loads(text)["away"]) == (503, ["s3"])


def test_front_and_api_need_no_more_of_the_bucket_than_to_put(
    start_node: Callable[..., Node], gateway_variables: dict[str, str], good_file: Path
) -> None:
    with put_only_store() as store:
        gateway_variables["SFTP_GATEWAY_S3__ENDPOINT_URL"] = store.endpoint_url
        for part, needs in (
            ("front", ["database", "s3", "smtp", "hostkeys", "spool"]),
            ("api", ["database", "s3"]),
        ):
            checked = json.loads(call(gateway_variables, "check", "--part", part, "--json"))["checks"]
            assert [one["name"] for one in checked] == ["configuration", *needs]
            assert "an object put" in [one["detail"] for one in checked]
        front = start_node("sftpd")
        assert front.upload(good_file) == 0
        wait_until(lambda: front.away() == (200, []), "ready")
        call(gateway_variables, "check", "--part", "worker", status=2)
        assert [key.split("/")[0] for key in store.keys] == ["probes", "probes", "originals", "probes"]
        front.process.terminate()
        front.process.wait(60)


async def test_who_waits_for_the_first_looks_is_answered_after_a_reload(
    settings: Settings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        s3 = settings.s3.model_copy(update={"endpoint_url": silent_url})
        async with serve_ops(settings.model_copy(update={"s3": s3}), IdleNode(tmp_path)) as served:
            asked = asyncio.create_task(asyncio.to_thread(ask, served, "/readyz"))
            async with asyncio.timeout(30):
                while not served._readiness._all_asked._waiters:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                await served.adopt(settings)
                status, body = await asked
    assert (status, json.loads(body)["away"]) == (200, [])
