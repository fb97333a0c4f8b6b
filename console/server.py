"""A console process: what it starts, in this order with the listening sockets last; a stop goes through it backwards."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

from config.console_section import ConsoleSettings
from config.errors import ConfigError, ConfigurationError
from config.logs import get_logger
from config.section import networks
from config.settings import Settings
from console import metrics
from console.app import make_app
from console.campaigns.drafts import delete_old_drafts
from console.forms import delete_old_forms
from console.live.hub import Hub
from console.login.codes import delete_old_codes
from console.login.sessions import delete_old_sessions
from console.pages import ROUTES
from console.paths import learn_paths
from console.rendering import Renderer
from console.technical.static_files import StaticFiles
from console.visits import Services
from database.connections import Pool, database_troubles
from notifications.mailer import Mailer
from processing.object_store import ObjectStore
from web.pacing import Pacer
from web.server import Served, load_tls, serve

logger = get_logger("console")

_TIDY_EVERY: Final = 600.0


def check_settings(settings: ConsoleSettings) -> ssl.SSLContext | None:
    """What a console can't start without; returns what it speaks TLS by, if it does. Raises ConfigurationError."""
    if settings.secret is None:
        raise ConfigurationError(
            "the console needs SFTP_GATEWAY_CONSOLE__SECRET, the same on all nodes: make one with `openssl rand -base64 32`"
        )
    return load_tls(settings.tls_certificate, settings.tls_key, section="CONSOLE")


async def serve_console(
    settings: Settings,
    listening: Sequence[socket.socket],
    pool: Pool,
    store: ObjectStore,
    mailer: Mailer,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve the pages from sockets that listen already, until `stop`; then answer the requests that are there.

    `ready` is called when people are let in. Sockets, pool and store stay the caller's to close. Raises ConfigError.
    """
    tls = check_settings(settings.console)
    learn_paths(ROUTES)
    # The alert on it counts from here: what is first seen as one would look as if nothing had been added.
    metrics.CODES.labels("failed")
    static = StaticFiles()
    renderer = Renderer(static)
    hub = Hub(settings.database, pool, renderer)
    services = Services(settings, pool, store, mailer, static, renderer, hub)
    pacer = Pacer()

    def tell() -> None:
        logger.info("console_ready", sockets=len(listening), tls=tls is not None)
        ready()

    served = Served(
        app=make_app(services, ROUTES, pacer),
        tls=tls,
        proxies=networks(settings.console.trusted_proxies),
        pacer=pacer,
        drain_seconds=settings.console.drain_timeout,
        ready=tell,
        background=[hub.run(), _tidy(pool)],
        on_stop=hub.stop,
    )
    await serve(served, listening, stop)
    logger.info("console_stopped")


async def _tidy(pool: Pool) -> None:
    """Forget what is over, until cancelled."""
    while True:
        await asyncio.sleep(_TIDY_EVERY)
        try:
            with database_troubles():
                async with pool.acquire() as connection:
                    await delete_old_forms(connection)
                    await delete_old_sessions(connection)
                    await delete_old_codes(connection)
                    await delete_old_drafts(connection)
        except ConfigError as error:
            logger.warning("console_untidy", reason=str(error))
