"""The audit trail of logins. It is written after a login, not during it: a flood of failures must not flood PostgreSQL.

Accepted logins wait in line as long as there is room. Refused ones are kept at a rate per campaign; the next one written
tells how many were left out. Only known campaigns have an audit trail.
"""

import asyncio
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from audit.events import Actor, AuditEvent, record_event
from config.errors import ConfigError
from config.logs import get_logger
from database.connections import Pool, database_troubles
from database.queries import NamedQueries
from sftpd import metrics

SQL: Final = NamedQueries("sftpd.connections", "login_audit.sql")
logger = get_logger("sftpd")

# Lines that may wait while PostgreSQL is slow or away.
_ROOM: Final = 2_000
# Refused logins written in a minute, for one campaign and in all; campaigns whose counts are remembered.
_REFUSED_PER_CAMPAIGN: Final = 10
_REFUSED_IN_ALL: Final = 120
_CAMPAIGNS_REMEMBERED: Final = 5_000
_WINDOW: Final = 60.0
_RETRY_AFTER: Final = 2.0


@dataclass(frozen=True, slots=True)
class LoginEvent:
    """A line to be written. `details` are codes and counts."""

    event: AuditEvent
    campaign_id: str
    actor: Actor
    details: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class _Window:
    began: float
    kept: int = 0
    left_out: int = 0


class LoginAudit:
    """The lines waiting to be written. `run` writes them, one at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self._lines: deque[LoginEvent] = deque()
        self._wanted = asyncio.Event()
        self._refused: OrderedDict[str, _Window] = OrderedDict()
        self._refused_in_all = _Window(0)

    def note(self, event: LoginEvent) -> None:
        """Have this written: an accepted login, or the end of a session."""
        if len(self._lines) >= _ROOM:
            metrics.AUDIT_EVENTS_DROPPED.inc()
            return
        self._lines.append(event)
        self._wanted.set()

    def note_refused(self, campaign_id: str, actor: Actor, reason: str) -> None:
        """Have a refused login written if its campaign exists and has not had too many lately."""
        now = time.monotonic()
        in_all = self._refused_in_all
        if now - in_all.began >= _WINDOW:
            in_all = self._refused_in_all = _Window(now)
        window = self._refused.pop(campaign_id, None)
        left_out = 0
        if window is None or now - window.began >= _WINDOW:
            left_out = window.left_out if window else 0
            window = _Window(now)
        self._refused[campaign_id] = window
        if len(self._refused) > _CAMPAIGNS_REMEMBERED:
            self._refused.popitem(last=False)
        if window.kept >= _REFUSED_PER_CAMPAIGN or in_all.kept >= _REFUSED_IN_ALL:
            window.left_out += 1
            metrics.AUDIT_EVENTS_DROPPED.inc()
            return
        window.kept += 1
        in_all.kept += 1
        details: dict[str, object] = {"reason": reason}
        if left_out:
            details["left_out_before"] = left_out
        self.note(LoginEvent(AuditEvent.LOGIN_REFUSED, campaign_id, actor, details))

    async def run(self) -> None:
        """Write until cancelled. With PostgreSQL away the lines wait."""
        while True:
            await self._wanted.wait()
            if not self._lines:
                self._wanted.clear()
                continue
            try:
                await self._write(self._lines[0])
            except ConfigError as error:
                logger.warning("trail_unwritten", waiting=len(self._lines), reason=str(error))
                await asyncio.sleep(_RETRY_AFTER)
                continue
            except Exception:  # one line that can't be written must not hold up all others
                logger.exception("trail_line_lost")
            self._lines.popleft()

    async def finish(self, timeout: float) -> None:
        """Write what waits, for at most `timeout` seconds. `run` has ended."""
        try:
            async with asyncio.timeout(timeout):
                while self._lines:
                    await self._write(self._lines[0])
                    self._lines.popleft()
        except (ConfigError, TimeoutError):
            logger.warning("trail_unwritten", waiting=len(self._lines), reason="stopping")

    async def _write(self, line: LoginEvent) -> None:
        with database_troubles():
            async with self._pool.acquire() as connection:
                known = line.event is not AuditEvent.LOGIN_REFUSED or await connection.fetchval(
                    SQL["is_campaign_known"], line.campaign_id
                )
                if known:
                    await record_event(
                        connection,
                        line.event,
                        campaign_id=line.campaign_id,
                        actor=line.actor,
                        details=line.details,
                    )
