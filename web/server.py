"""What serves an ASGI application to strangers from sockets that listen already; a stop goes through it backwards."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from config.addresses import Address, Network
from config.errors import ConfigurationError
from web.events import Events
from web.listener import Listener
from web.pacing import Pacer
from web.protocol import GuardedHTTP

# Seconds for which a connection may wait for its next request.
_KEEP_ALIVE_SECONDS: Final = 30


class _Server(uvicorn.Server):
    """uvicorn in a loop of ours: signals are the process's own to answer."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Served:
    """What is served. `background` runs beside the requests and ends after the last one; `on_stop` is called before they end.

    `drain_seconds`: how long requests have to be answered after a stop. `ready` is called when clients are let in.
    """

    app: ASGIApp
    tls: ssl.SSLContext | None
    proxies: Sequence[Network]
    pacer: Pacer
    drain_seconds: float
    ready: Callable[[], None]
    background: Sequence[Coroutine[Any, Any, None]] = ()
    on_stop: Callable[[], None] = field(default=_nothing)


async def serve(served: Served, listening: Sequence[socket.socket], stop: asyncio.Event) -> None:
    """Serve until `stop`; then answer the requests that are there. Sockets stay the caller's to close."""
    # What a stranger sends that is no HTTP is counted, and not worth a line each time.
    for name in ("uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)
    config = uvicorn.Config(
        served.app,
        log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False, ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(served.drain_seconds),
    )  # fmt: skip
    config.load()
    server = _Server(config)

    def make_protocol(events: Events, peer: Address, source: Address) -> GuardedHTTP:
        return GuardedHTTP(config, server.server_state, events, peer, source)

    async with asyncio.TaskGroup() as tasks:
        background = [tasks.create_task(loop) for loop in served.background]
        # It keeps time and lets requests finish at the end; connections come to it from the listener.
        serving = tasks.create_task(server.serve(sockets=[]))
        listener = Listener(make_protocol, served.tls, served.proxies, tasks, served.pacer)
        listener.open(listening)
        served.ready()
        await stop.wait()
        listener.close()
        served.on_stop()
        server.should_exit = True
        await serving
        for task in reversed(background):
            task.cancel()


def load_tls(certificate: Path | None, key: Path | None, *, section: str) -> ssl.SSLContext | None:
    """What TLS is spoken with, or None where a front speaks it. `section` names the settings. Raises ConfigurationError."""
    if certificate is None or key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password here, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"the certificate {certificate} and its key {key} can't be used "
            f"({error.strerror or type(error).__name__}): both must be PEM, belong together, and the key have no password; see "
            f"SFTP_GATEWAY_{section}__TLS_CERTIFICATE and SFTP_GATEWAY_{section}__TLS_KEY"
        ) from None
    return context
