"""Whoever loses access loses it at once: PostgreSQL announces each change, and the live sessions concerned are rechecked.

The triggers of `database/migrations/0001` notify `sftp_gateway_access` with the campaign's id. While the listening connection
was away, anything may have changed. Once it is back, every campaign is rechecked that has live sessions, or partials in the
spool.
"""

import asyncio
import contextlib
from typing import Final

import asyncpg

from config.addresses import parse_address
from config.errors import ConfigError
from config.identifiers import is_campaign_id
from config.logs import describe_exception, get_logger
from config.sections import DatabaseSettings
from database.connections import UNREACHABLE, Connection, connect
from keys.access import Access
from sftpd import metrics
from sftpd.connections.front_state import FrontState
from sftpd.connections.live_connections import LiveConnection
from sftpd.connections.login import LoginRefusal, find_login_refusal

logger = get_logger("sftpd")

CHANNEL: Final = "sftp_gateway_access"
# A server may vanish without closing the connection. A question now and then finds that out. All are in seconds.
_PROBE_INTERVAL: Final = 5.0
_PROBE_TIMEOUT: Final = 3.0
_CLOSE_TIMEOUT: Final = 1.0
_RECONNECT_FIRST, _RECONNECT_MOST = 0.1, 2.0
_LOST: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, asyncpg.PostgresError)


async def listen_for_changes(database: DatabaseSettings, front: FrontState) -> None:
    """Listen on a connection of our own until cancelled, and open it anew whenever it is lost."""
    pause = _RECONNECT_FIRST
    while True:
        try:
            connection = await connect(database)
        except ConfigError as error:
            front.access_lookup.is_away = True
            logger.warning("access_watch_unreachable", reason=str(error))
        else:
            try:
                pause = _RECONNECT_FIRST
                await _listen(connection, front)
            except _LOST as error:
                logger.warning("access_watch_lost", **describe_exception(error))
            finally:
                front.access_lookup.is_away = True
                metrics.ACCESS_WATCH_CONNECTED.set(0)
                # The time-out is not `close`'s own, which doesn't hold while a cancelled question is unanswered.
                with contextlib.suppress(*_LOST):
                    async with asyncio.timeout(_CLOSE_TIMEOUT):
                        await connection.close()
        await asyncio.sleep(pause)
        pause = min(pause * 2, _RECONNECT_MOST)


async def _listen(connection: "asyncpg.Connection[asyncpg.Record]", front: FrontState) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())

    def note(_connection: Connection, _pid: int, _channel: str, campaign_id: object) -> None:
        if isinstance(campaign_id, str) and is_campaign_id(campaign_id):
            front.access_lookup.note_change(campaign_id)

    async with asyncio.timeout(_PROBE_TIMEOUT):
        await connection.add_listener(CHANNEL, note)
    front.access_lookup.is_away = False
    metrics.ACCESS_WATCH_CONNECTED.set(1)
    # Whatever was announced before this moment was not heard.
    front.access_lookup.generation += 1
    concerned = {*front.live_sessions.campaigns, *_spooled_campaigns(front)}
    for campaign_id in concerned:
        front.access_lookup.request_recheck(campaign_id)
    logger.info("access_watch_connected", campaigns=len(concerned))
    pause = min(_PROBE_INTERVAL, front.settings.recheck_interval)
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), pause)
        if lost.is_set():
            logger.warning("access_watch_lost")
            return
        await connection.fetchval("select 1", timeout=_PROBE_TIMEOUT)


async def recheck_regularly(front: FrontState) -> None:
    """Recheck all live sessions at each `recheck_interval`, whatever was or wasn't announced, until cancelled."""
    while True:
        await asyncio.sleep(front.settings.recheck_interval)
        for campaign_id in front.live_sessions.campaigns:
            front.access_lookup.request_recheck(campaign_id)


async def recheck_live_sessions(front: FrontState) -> None:
    """Recheck the live sessions of changed campaigns, until cancelled. Those that have lost their access are ended."""
    access_lookup = front.access_lookup
    while True:
        await access_lookup.recheck_wanted.wait()
        if not access_lookup.to_recheck:
            access_lookup.recheck_wanted.clear()
            continue
        campaign_id = access_lookup.to_recheck.pop()
        if not _concerns_somebody(front, campaign_id):
            continue
        try:
            access = await access_lookup.fetch(campaign_id)
        except ConfigError:
            # PostgreSQL is away again. All sessions are rechecked once it is back, and this campaign's as soon as it answers.
            access_lookup.to_recheck.add(campaign_id)
            await asyncio.sleep(_RECONNECT_FIRST)
            continue
        try:
            _apply(front, campaign_id, access)
        except Exception:  # one campaign's trouble must not keep others' sessions alive
            logger.exception("access_unapplied", campaign_id=campaign_id)


def _spooled_campaigns(front: FrontState) -> list[str]:
    """The campaigns with a folder in the spool. None are known while its disk refuses, which must not keep us from listening."""
    try:
        return front.spool.campaigns()
    except OSError as error:
        metrics.SPOOL_FAILURES.inc()
        logger.warning("spool_unreadable", **describe_exception(error))
        return []


def _concerns_somebody(front: FrontState, campaign_id: str) -> bool:
    """Whether the campaign has sessions or partials here. Where its folder can't be read, it may have."""
    try:
        return bool(front.live_sessions.of_campaign(campaign_id) or front.spool.partials(campaign_id))
    except OSError as error:
        metrics.SPOOL_FAILURES.inc()
        logger.warning("spool_folder_failed", campaign_id=campaign_id, **describe_exception(error))
        return True


def _apply(front: FrontState, campaign_id: str, access: Access | None) -> None:
    for live_connection in front.live_sessions.of_campaign(campaign_id):
        refusal = _find_refusal(live_connection, access)
        if refusal is not None:
            live_connection.revoke()
            logger.info(
                "session_revoked",
                connection_id=live_connection.connection_id,
                campaign_id=campaign_id,
                reason=refusal.value,
            )
    # Drop the unfinished uploads into which a key wrote that may not come in any more. Uploads that are open just now are
    # dropped when their sessions end.
    for partial in front.spool.partials(campaign_id):
        if access is None or not all(access.lets_in(use) for use in partial.notes.writers):
            front.spool.remove(partial)


def _find_refusal(live_connection: LiveConnection, access: Access | None) -> LoginRefusal | None:
    session = live_connection.session
    if session is None:
        return None
    return find_login_refusal(access, session.fingerprint, parse_address(session.source_address))
