"""An API process: what it starts, in this order with the listening sockets last; a stop goes through it backwards."""

import asyncio
import socket
from collections.abc import Callable, Sequence

from api.admission import Admission
from api.app import make_app
from api.health import Health
from api.provider_callbacks.callback_keys import CallbackKeys
from api.provider_callbacks.receipt_groups import ReceiptGroups
from api.works import make_works
from config.logs import get_logger
from config.section import networks
from config.settings import Settings
from database.connections import Pool
from database.ranges import keep_adding_ranges
from processing.object_store import ObjectStore
from web.pacing import Pacer
from web.server import Served, load_tls, serve

logger = get_logger("api")


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
    tls = load_tls(settings.api.tls_certificate, settings.api.tls_key, section="API")
    keys = CallbackKeys(pool, settings.secrets)
    await keys.load()
    health = Health(pool)
    await health.look()
    groups = ReceiptGroups(pool)
    admission = Admission(pool, settings)
    works = make_works(settings, pool, store, admission.now)
    pacer = Pacer()

    def tell() -> None:
        logger.info("api_ready", sockets=len(listening), tls=tls is not None)
        ready()

    served = Served(
        app=make_app(settings.api, health, keys, groups, admission, works.by_endpoint, pacer),
        tls=tls,
        proxies=networks(settings.api.trusted_proxies),
        pacer=pacer,
        drain_seconds=settings.api.drain_timeout,
        ready=tell,
        background=[
            health.keep_looking(),
            keep_adding_ranges(pool),
            keys.keep_fresh(),
            groups.run(),
            admission.groups.run(),
            admission.uses.run(),
            *(run() for run in works.background),
        ],
        on_stop=works.on_stop,
    )
    await serve(served, listening, stop)
    logger.info("api_stopped")
