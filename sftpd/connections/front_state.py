"""What all connections of one front process share."""

import time
from dataclasses import dataclass, field

from config.logs import get_logger
from config.sections import SFTPSettings
from database.connections import Pool
from processing.intake import Intake
from sftpd.budgets import Turns
from sftpd.connections.limits import Limits, share_of
from sftpd.connections.live_connections import LiveSessions
from sftpd.connections.log_sampling import SampledLog
from sftpd.connections.login import AccessLookup
from sftpd.connections.login_audit import LoginAudit
from sftpd.connections.pacing import Pacer
from sftpd.connections.shutouts import Shutouts, shutout_rule
from sftpd.session.channel import ChannelTasks
from sftpd.session.received_uploads import ReceivedUploads
from sftpd.spool.spool import Spool

logger = get_logger("sftpd")


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
    channel_tasks: ChannelTasks
    turns: Turns
    pacer: Pacer = field(default_factory=Pacer)
    live_sessions: LiveSessions = field(default_factory=LiveSessions)
    sampled_log: SampledLog = field(default_factory=lambda: SampledLog(logger))
    # A stop has begun: connections that still come are told to try again in a minute.
    stopping: bool = False

    @staticmethod
    def now() -> float:
        """Seconds of the monotonic clock by which shut-outs, idle limits and log sampling go."""
        return time.monotonic()


def make_front_state(
    settings: SFTPSettings, pool: Pool, spool: Spool, intake: Intake, channel_tasks: ChannelTasks
) -> FrontState:
    """Make the parts of one process from its settings."""
    at_a_time = max(1, pool.get_max_size() // 2)
    return FrontState(
        settings=settings,
        access_lookup=AccessLookup(pool, at_a_time=at_a_time, timeout=settings.login_timeout / 3),
        spool=spool,
        intake=intake,
        received_uploads=ReceivedUploads(
            pool, timeout=settings.acknowledge_timeout, at_a_time=settings.max_questions_per_campaign
        ),
        login_audit=LoginAudit(pool),
        limits=Limits(share_of(settings)),
        shutouts=Shutouts(shutout_rule(settings)),
        channel_tasks=channel_tasks,
        turns=Turns(settings.turn_seconds),
    )
