"""Whoever loses access loses it at once: PostgreSQL announces changes, and live sessions are judged anew.

The triggers of `database/migrations/0001` notify `sftp_gateway_access` with the campaign's id. While the listening connection
was away, anything may have changed: once it is back, all live sessions are judged, and whose partials lie in the spool.
"""

import asyncio
import contextlib
from typing import Final

import asyncpg

from config.errors import ConfigError
from config.logs import describe_exception, get_logger
from config.sections import DatabaseSettings
from database.connections import UNREACHABLE, Connection, connect
from keys.access import Access
from sftpd import metrics
from sftpd.connections.front_state import Door
from sftpd.connections.live_connections import Visit
from sftpd.connections.login import LoginRefusal, is_campaign_id, judge
from sftpd.connections.source_addresses import parse_address

logger = get_logger("sftpd")

CHANNEL: Final = "sftp_gateway_access"
# A connection whose peer vanished without a word says nothing: a question now and then finds out, in seconds.
_PROBE_INTERVAL: Final = 5.0
_PROBE_TIMEOUT: Final = 3.0
_RECONNECT_FIRST, _RECONNECT_MOST = 0.1, 2.0
_LOST: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, asyncpg.PostgresError)


async def listen_for_changes(database: DatabaseSettings, door: Door) -> None:
    """Keep a connection of its own listening, until cancelled. Opens it anew whenever it is lost."""
    pause = _RECONNECT_FIRST
    while True:
        try:
            connection = await connect(database)
        except ConfigError as error:
            door.desk.is_away = True
            logger.warning("access_watch_unreachable", reason=str(error))
        else:
            try:
                pause = _RECONNECT_FIRST
                await _listen(connection, door)
            except _LOST as error:
                logger.warning("access_watch_lost", **describe_exception(error))
            finally:
                door.desk.is_away = True
                metrics.ACCESS_WATCH_CONNECTED.set(0)
                with contextlib.suppress(*UNREACHABLE):
                    await connection.close(timeout=1)
        await asyncio.sleep(pause)
        pause = min(pause * 2, _RECONNECT_MOST)


async def _listen(connection: "asyncpg.Connection[asyncpg.Record]", door: Door) -> None:
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _connection: lost.set())

    def note(_connection: Connection, _pid: int, _channel: str, campaign_id: object) -> None:
        if isinstance(campaign_id, str) and is_campaign_id(campaign_id):
            door.desk.note_change(campaign_id)

    await connection.add_listener(CHANNEL, note)
    door.desk.is_away = False
    metrics.ACCESS_WATCH_CONNECTED.set(1)
    # What was announced before this moment was not heard.
    door.desk.generation += 1
    concerned = {*door.roster.campaigns, *door.spool.campaigns()}
    for campaign_id in concerned:
        door.desk.judge_anew(campaign_id)
    logger.info("access_watch_connected", campaigns=len(concerned))
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lost.wait(), _PROBE_INTERVAL)
        if lost.is_set():
            logger.warning("access_watch_lost")
            return
        await connection.fetchval("select 1", timeout=_PROBE_TIMEOUT)


async def judge_live_sessions(door: Door) -> None:
    """Judge the live sessions of changed campaigns, until cancelled. Those that may not stay are ended."""
    desk = door.desk
    while True:
        await desk.wanted.wait()
        if not desk.changed:
            desk.wanted.clear()
            continue
        campaign_id = desk.changed.pop()
        if not door.roster.of_campaign(campaign_id) and not door.spool.partials(campaign_id):
            continue
        try:
            access = await desk.fetch(campaign_id)
        except ConfigError:
            # PostgreSQL is away again: its return has every session judged, this one before.
            desk.changed.add(campaign_id)
            await asyncio.sleep(_RECONNECT_FIRST)
            continue
        try:
            _apply(door, campaign_id, access)
        except Exception:  # one campaign's trouble must not keep the others' sessions alive
            logger.exception("access_unapplied", campaign_id=campaign_id)


def _apply(door: Door, campaign_id: str, access: Access | None) -> None:
    for visit in door.roster.of_campaign(campaign_id):
        refusal = _judge_visit(visit, access)
        if refusal is not None:
            visit.revoke()
            logger.info(
                "session_revoked",
                connection_id=visit.connection_id,
                campaign_id=campaign_id,
                reason=refusal.value,
            )
    # Unfinished uploads of whoever may not finish them; those open just now are dropped by their sessions' own ends.
    in_force = access.fingerprints if access else frozenset()
    for partial in door.spool.partials(campaign_id):
        if partial.notes.fingerprint not in in_force:
            door.spool.remove(partial)


def _judge_visit(visit: Visit, access: Access | None) -> LoginRefusal | None:
    session = visit.session
    if session is None:
        return None
    return judge(access, session.fingerprint, parse_address(session.source_address))
