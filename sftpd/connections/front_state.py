"""What all connections of one front process share, and the one question that a login asks of PostgreSQL."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from config.errors import ConfigError, ServiceUnreachable
from config.logs import get_logger
from config.sections import SFTPSettings
from database.connections import Pool, database_troubles
from keys.access import Access, fetch_access
from processing.intake import Intake
from sftpd.connections.limits import Limits, share_of
from sftpd.connections.live_connections import LiveSessions
from sftpd.connections.log_sampling import SampledLog
from sftpd.connections.login_audit import LoginAudit
from sftpd.connections.pacing import Pacer
from sftpd.connections.shutouts import Shutouts, shutout_rule
from sftpd.session.received_uploads import ReceivedUploads
from sftpd.spool.spool import Spool

logger = get_logger("sftpd")


class AccessLookup:
    """Asks who may come in: one query a login, over a part of the pool, so that uploads keep the rest.

    `generation` grows whenever some campaign's access may have changed: an answer asked for before is stale. `changed`
    holds the campaigns whose live sessions must be judged anew; `access_watch` does it. `is_away` as the last question,
    or the watch's own connection, found PostgreSQL.
    """

    def __init__(self, pool: Pool, *, at_a_time: int, timeout: float) -> None:
        self._pool: Final = pool
        self._turns: Final = asyncio.Semaphore(at_a_time)
        self._timeout: Final = timeout
        self.is_away = False
        self.generation = 0
        self.to_recheck: set[str] = set()
        self.recheck_wanted: Final = asyncio.Event()

    def note_change(self, campaign_id: str) -> None:
        """A campaign's access changed, or may have."""
        self.generation += 1
        self.request_recheck(campaign_id)

    def request_recheck(self, campaign_id: str) -> None:
        """Have the live sessions of a campaign looked at."""
        self.to_recheck.add(campaign_id)
        self.recheck_wanted.set()

    async def fetch(self, campaign_id: str) -> Access | None:
        """The campaign's access now. Raises ConfigError, whatever keeps the database from an answer."""
        try:
            with database_troubles():
                async with asyncio.timeout(self._timeout), self._turns, self._pool.acquire() as connection:
                    access = await fetch_access(connection, campaign_id)
        except asyncpg.PostgresError as error:
            self.is_away = True
            message = f"the database can't answer ({type(error).__name__}): see `sftp-gateway check`"
            raise ServiceUnreachable(message) from None
        except ConfigError:
            self.is_away = True
            raise
        self.is_away = False
        return access


@dataclass(slots=True)
class FrontState:
    """The parts that every connection needs. One per process."""

    settings: SFTPSettings
    access_lookup: AccessLookup
    spool: Spool
    intake: Intake
    received_uploads: ReceivedUploads
    login_audit: LoginAudit
    limits: Limits
    shutouts: Shutouts
    pacer: Pacer = field(default_factory=Pacer)
    live_sessions: LiveSessions = field(default_factory=LiveSessions)
    sampled_log: SampledLog = field(default_factory=lambda: SampledLog(logger))
    # A stop has begun: no new uploads, no new connections.
    stopping: bool = False

    @staticmethod
    def now() -> float:
        """Seconds of the clock that shut-outs, idle limits and sampling go by."""
        return time.monotonic()


def make_front_state(settings: SFTPSettings, pool: Pool, spool: Spool, intake: Intake) -> FrontState:
    """The parts of one process, from its settings."""
    at_a_time = max(1, pool.get_max_size() // 2)
    return FrontState(
        settings=settings,
        access_lookup=AccessLookup(pool, at_a_time=at_a_time, timeout=settings.login_timeout / 3),
        spool=spool,
        intake=intake,
        received_uploads=ReceivedUploads(pool, timeout=settings.acknowledge_timeout),
        login_audit=LoginAudit(pool),
        limits=Limits(share_of(settings)),
        shutouts=Shutouts(shutout_rule(settings)),
    )
