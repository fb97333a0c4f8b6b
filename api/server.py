"""An API process: what it starts, in this order with the listening sockets last; a stop goes through it backwards."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import uvicorn

from api.admission import Admission
from api.app import make_app
from api.health import Health
from api.provider_callbacks.callback_keys import CallbackKeys
from api.provider_callbacks.receipt_groups import ReceiptGroups
from api.works import make_works
from config.addresses import Address
from config.logs import get_logger
from config.section import networks
from config.settings import Settings
from database.connections import Pool
from processing.object_store import ObjectStore
from web.events import Events
from web.listener import Listener
from web.pacing import Pacer
from web.protocol import GuardedHTTP
from web.tls import load_tls

logger = get_logger("api")

# Seconds for which a connection may wait for its next request.
_KEEP_ALIVE_SECONDS: Final = 30


class _Server(uvicorn.Server):
    """uvicorn in a loop of ours: signals are the process's own to answer."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_api(
    settings: Settings,
    listening: Sequence[socket.socket],
    pool: Pool,
    store: ObjectStore,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve HTTP from sockets that listen already, until `stop`; then answer the requests that are there.

    `ready` is called when clients are let in. Sockets, pool and store stay the caller's to close. Raises ConfigError.
    """
    # What a stranger sends that is no HTTP is counted, and not worth a line each time.
    for name in ("uvicorn.error", "python_multipart"):
        logging.getLogger(name).setLevel(logging.ERROR)
    tls = load_tls(settings.api.tls_certificate, settings.api.tls_key, section="API")
    keys = CallbackKeys(pool, settings.secrets)
    await keys.load()
    health = Health(pool)
    await health.look()
    groups = ReceiptGroups(pool)
    admission = Admission(pool, settings)
    works = make_works(settings, pool, store, admission.now)
    pacer = Pacer()
    config = uvicorn.Config(
        make_app(settings.api, health, keys, groups, admission, works.by_endpoint, pacer),
        log_config=None, access_log=False, lifespan="off", server_header=False, proxy_headers=False, ws="none",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.api.drain_timeout),
    )  # fmt: skip
    config.load()
    server = _Server(config)

    def make_protocol(events: Events, peer: Address, source: Address) -> GuardedHTTP:
        return GuardedHTTP(config, server.server_state, events, peer, source)

    async with asyncio.TaskGroup() as tasks:
        loops = [
            health.keep_looking(),
            keys.keep_fresh(),
            groups.run(),
            admission.groups.run(),
            *(run() for run in works.background),
        ]
        background = [tasks.create_task(loop) for loop in loops]
        # It keeps time and lets requests finish at the end; connections come to it from the listener.
        serving = tasks.create_task(server.serve(sockets=[]))
        listener = Listener(make_protocol, tls, networks(settings.api.trusted_proxies), tasks, pacer)
        listener.open(listening)
        logger.info("api_ready", sockets=len(listening), tls=tls is not None)
        ready()
        await stop.wait()
        listener.close()
        works.on_stop()
        server.should_exit = True
        await serving
        for task in reversed(background):
            task.cancel()
    logger.info("api_stopped")
