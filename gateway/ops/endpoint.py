"""The ops endpoint: `/healthz`, `/readyz` and `/metrics`. The parent of a node serves it, on loopback unless told otherwise."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Protocol

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from config.errors import ConfigError, ConfigurationError
from config.settings import Settings
from database.connections import Pool, open_pool
from gateway.ops.backlog import fetch_backlogs
from gateway.ops.dependencies import DISPENSABLE, Backlog, Dependency
from gateway.ops.http_limits import LimitedProtocol, is_trusted_host
from gateway.ops.probes import Answer
from gateway.ops.readiness import Readiness

# The library tells no types here.
_SummedCollector: Final[Any] = MultiProcessCollector
# Seconds that a scrape waits for PostgreSQL. Without an answer it gets everything else.
_PATIENCE = 3.0


class Node(Protocol):
    """What the endpoint asks of the node: its parts by name, and what they need."""

    restarts: Counter[str]

    @property
    def dependencies(self) -> frozenset[Dependency]: ...

    @property
    def backlogs(self) -> frozenset[Backlog]: ...

    @property
    def parts_uploads_need(self) -> frozenset[str]: ...

    @property
    def is_stopping(self) -> bool: ...

    @property
    def puts_only(self) -> bool: ...

    @property
    def metrics_folder(self) -> Path: ...

    def ready_processes(self) -> Mapping[str, int]: ...


class OpsEndpoint:
    """The three pages, made anew at each request. All but `/healthz` look at the name by which they are asked."""

    def __init__(self, node: Node, port: int, trusted_names: Collection[str]) -> None:
        self.port = port
        self._trusted_names = trusted_names
        self._node = node
        self._readiness: Readiness
        self._pool: Pool
        self._opened = AsyncExitStack()

    async def adopt(self, settings: Settings) -> None:
        """Look at the dependencies with these settings from now on: at the start, and after a reload."""
        async with AsyncExitStack() as opening:
            readiness = Readiness(settings, self._node.dependencies, puts_only=self._node.puts_only)
            await opening.enter_async_context(readiness.looking())
            pool = await opening.enter_async_context(open_pool(settings.database, name="ops"))
            former, self._opened = self._opened, opening.pop_all()
            self._readiness, self._pool = readiness, pool
        await former.aclose()

    async def aclose(self) -> None:
        """Close what was opened to look at the dependencies."""
        await self._opened.aclose()

    def app(self) -> Starlette:
        """The pages as an ASGI application."""
        return Starlette(
            routes=[
                Route("/healthz", self.show_health),
                Route("/readyz", self.show_readiness),
                Route("/metrics", self.show_metrics),
            ]
        )

    async def show_health(self, _request: Request) -> Response:
        """200 as long as this process answers."""
        return PlainTextResponse("ok\n")

    async def show_readiness(self, request: Request) -> Response:
        """Each dependency by name. 503 when one that uploads need is away, a part has no process at work, or the node stops."""
        if refused := self._refuse_stranger(request):
            return refused
        answers = await self._first_answers()
        dependencies = {answer.name: {"ok": answer.is_well, "detail": answer.detail} for answer in answers}
        processes = self._node.ready_processes()
        for part, count in processes.items():
            dependencies[part] = {"ok": count > 0, "detail": f"{count} at work"}
        away = [name for name, found in dependencies.items() if not found["ok"]]
        if self._node.is_stopping:
            away.append("stopping")
        is_ready = not set(away) - DISPENSABLE - (processes.keys() - self._node.parts_uploads_need)
        body = {"ready": is_ready, "away": away, "dependencies": dependencies}
        return JSONResponse(body, status_code=200 if is_ready else 503)

    async def _first_answers(self) -> Sequence[Answer]:
        """Of the looks that go on now: a reload ends those before it, which may have come to no answer."""
        while True:
            readiness = self._readiness
            answers = await readiness.first()
            if readiness is self._readiness:
                return answers

    async def show_metrics(self, request: Request) -> Response:
        """Everything that all processes of this node counted, and what waits in PostgreSQL."""
        if refused := self._refuse_stranger(request):
            return refused
        backlog = await self._fetch_backlog()
        registry = CollectorRegistry()
        _SummedCollector(registry, path=str(self._node.metrics_folder))
        registry.register(_Families([*self._own(), *backlog]))
        return Response(await asyncio.to_thread(generate_latest, registry), media_type=CONTENT_TYPE_LATEST)

    def _refuse_stranger(self, request: Request) -> Response | None:
        if is_trusted_host(request.headers.get("host"), self._trusted_names):
            return None
        text = "this name is not one of SFTP_GATEWAY_OPS__ALLOWED_HOSTS: ask by an address or by localhost\n"
        return PlainTextResponse(text, status_code=421)

    async def _fetch_backlog(self) -> list[GaugeMetricFamily]:
        with contextlib.suppress(ConfigError, TimeoutError):
            return await asyncio.wait_for(fetch_backlogs(self._pool, self._node.backlogs), _PATIENCE)
        return []

    def _own(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("sftp_gateway_build_info", "The running release.", labels=["version"])
        build.add_metric([_version()], 1)
        up = GaugeMetricFamily(
            "sftp_gateway_dependency_up",
            "Whether a dependency answered its last probe.",
            labels=["dependency"],
        )
        for answer in self._readiness.latest:
            up.add_metric([answer.name], answer.is_well)
        processes = GaugeMetricFamily("sftp_gateway_processes", "Processes at work.", labels=["part"])
        restarts = CounterMetricFamily(
            "sftp_gateway_process_restarts", "Processes that died and were replaced.", labels=["part"]
        )
        for part, count in self._node.ready_processes().items():
            processes.add_metric([part], count)
            restarts.add_metric([part], self._node.restarts[part])
        yield from (build, up, processes, restarts)


class _Families(Collector):
    """Metrics that have their values already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


class _Server(uvicorn.Server):
    """uvicorn in the supervisor's loop: it must leave the signals to the supervisor."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve_ops(settings: Settings, node: Node) -> AsyncIterator[OpsEndpoint]:
    """Serve the endpoint. Raises ConfigurationError where the port is taken."""
    with contextlib.closing(_listen(settings)) as listening:
        endpoint_of_node = OpsEndpoint(
            node, listening.getsockname()[1], {settings.ops.host, *settings.ops.allowed_hosts}
        )
        async with contextlib.aclosing(endpoint_of_node) as endpoint:
            await endpoint.adopt(settings)
            config = uvicorn.Config(
                endpoint.app(),
                log_config=None, access_log=False, lifespan="off", server_header=False,
                timeout_graceful_shutdown=2, http=LimitedProtocol, ws="none", headers=[("Connection", "close")],
            )  # fmt: skip
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listening]), name="ops endpoint")
            try:
                yield endpoint
            finally:
                server.should_exit = True
                await serving


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.ops.host, settings.ops.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            # From here on whoever asks waits until the server is up.
            listening.listen(128)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"the ops endpoint can't listen on port {port} of {host} ({error.strerror}): "
            "set SFTP_GATEWAY_OPS__PORT or SFTP_GATEWAY_OPS__HOST"
        ) from None
    return listening


def _version() -> str:
    try:
        return version("sftp-gateway")
    except PackageNotFoundError:
        return "unknown"
