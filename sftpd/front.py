"""A front process: what it starts, in this order with the listening sockets last; a stop goes through it backwards."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Final

from config.errors import ConfigurationError
from config.logs import get_logger
from config.settings import Settings
from database.connections import Pool, database_troubles
from keys.host_key_fingerprints import check_host_keys
from keys.host_keys import load_host_keys
from processing.intake import Intake
from sftpd import metrics
from sftpd.connections.access_watch import (
    listen_for_changes,
    recheck_live_sessions,
    recheck_regularly,
)
from sftpd.connections.algorithms import quiet_group_exchange_warnings, server_options
from sftpd.connections.front_state import FrontState, make_front_state
from sftpd.connections.listener import Listener
from sftpd.connections.live_connections import LiveConnection
from sftpd.connections.session_table import SessionTable
from sftpd.session.channel import ChannelTasks
from sftpd.spool.spool import Spool
from sftpd.spool_sweep import SpoolSweep

logger = get_logger("sftpd")

RESTARTING: Final = "this service is restarting: please log in again"
IDLE: Final = "this session was idle for too long"

# Seconds between two periodic checks. With a short idle limit they come more often.
_CHECK_INTERVAL: Final = 1.0
# A session that was served within this many seconds may be about to send the next request of the same upload.
_JUST_SERVED: Final = 1.0
# A client that is logging in when a stop begins may finish, and send its upload, so that nobody notices a reload. One
# that has not logged in after this many seconds doesn't hold up the stop any longer.
_LOGIN_GRACE: Final = 5.0


async def serve_front(
    settings: Settings,
    listening: Sequence[socket.socket],
    pool: Pool,
    intake: Intake,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Serve SFTP from sockets that listen already, until `stop`; then let uploads in progress finish.

    `ready` is called when clients are let in. The sockets, the pool and the intake stay the caller's to close.
    Raises HostKeyError, ConfigError.
    """
    quiet_group_exchange_warnings()
    host_keys = await asyncio.to_thread(load_host_keys, settings.sftp.host_key_dir)
    options = server_options(settings.sftp, [host_key.key for host_key in host_keys])
    with database_troubles():
        async with pool.acquire() as connection:
            await check_host_keys(connection, host_keys)
    spool = Spool(settings.sftp)
    try:
        await asyncio.to_thread(spool.prepare)
    except OSError as error:
        message = (
            f"the spool folder {settings.sftp.spool_dir} can't be used: {error.strerror}; see sftp.spool_dir"
        )
        raise ConfigurationError(message) from None
    _allow_open_files()
    async with ChannelTasks() as channel_tasks:
        front = make_front_state(settings.sftp, pool, spool, intake, channel_tasks)
        session_table = SessionTable(pool, front.live_sessions)
        sweep = SpoolSweep(spool, intake, front.received_uploads, settings.sftp, settings.retention)
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(front.login_audit.run()),
                tasks.create_task(front.pacer.run()),
                tasks.create_task(session_table.run()),
                tasks.create_task(recheck_live_sessions(front)),
                tasks.create_task(recheck_regularly(front)),
                tasks.create_task(listen_for_changes(settings.database, front)),
                tasks.create_task(_check_regularly(front)),
                tasks.create_task(sweep.run()),
            ]
            listener = Listener(front, options, tasks)
            listener.open(listening)
            logger.info("front_ready", sockets=len(listening), processes=settings.sftp.processes)
            ready()
            await stop.wait()
            listener.close()
            await drain(front)
            for task in reversed(background):
                task.cancel()
    await front.login_audit.finish(timeout=2)
    await session_table.finish()
    logger.info("front_stopped")


def _allow_open_files() -> None:
    """Raise this process's limit of open files as far as the system allows: every connection takes one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A system that is stricter than our units may forbid it. Then the limit stays as it is.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def drain(front: FrontState) -> None:
    """Let uploads in progress, and logins, finish within `drain_timeout` seconds. Everything else ends at once."""
    front.stopping = True
    began = asyncio.get_running_loop().time()
    deadline = began + front.settings.drain_timeout
    logger.info("front_draining", sessions=front.limits.sessions)
    while front.limits.connections and asyncio.get_running_loop().time() < deadline:
        now = front.now()
        _drop_unauthenticated(front, everyone=asyncio.get_running_loop().time() - began >= _LOGIN_GRACE)
        for live_connection in front.live_sessions:
            session = live_connection.session
            if (
                session is not None
                and not session.active_uploads
                and now - session.touched_at >= _JUST_SERVED
            ):
                live_connection.end("stopping", RESTARTING)
        await asyncio.sleep(0.05)
    _drop_unauthenticated(front, everyone=True)
    cut = 0
    for live_connection in front.live_sessions:
        live_connection.end("stopping", RESTARTING)
        cut += 1
    logger.info("front_drained", cut=cut)
    # asyncssh tells of the end of these connections only in the next rounds of the event loop.
    await asyncio.sleep(0.05)


def _drop_unauthenticated(front: FrontState, *, everyone: bool) -> None:
    """Drop connections that are not logged in; without `everyone`, those that are logging in may stay."""
    for waiting in front.limits.waiting:
        if everyone or not (isinstance(waiting, LiveConnection) and waiting.is_logging_in):
            waiting.drop()


async def _check_regularly(front: FrontState) -> None:
    """Set the gauges, end idle sessions and forget old shut-outs, again and again until cancelled."""
    pause = min(_CHECK_INTERVAL, front.settings.idle_timeout / 4)
    while True:
        metrics.CONNECTIONS_OPEN.set(front.limits.connections)
        metrics.CONNECTIONS_UNAUTHENTICATED.set(front.limits.unauthenticated)
        metrics.SESSIONS_OPEN.set(front.limits.sessions)
        metrics.KEY_EXCHANGES_WAITING.set(front.pacer.waiting)
        front.shutouts.forget_old(front.now())
        end_idle_sessions(front)
        await asyncio.sleep(pause)


def end_idle_sessions(front: FrontState) -> None:
    """End the sessions that have asked for nothing for `idle_timeout` seconds."""
    now = front.now()
    for live_connection in front.live_sessions:
        session = live_connection.session
        if session is not None and now - session.touched_at >= front.settings.idle_timeout:
            live_connection.end("idle", IDLE)
