"""The audit trail of logins. It is written after a login, not during it: a flood of failures must not flood PostgreSQL.

Accepted logins wait in line to be written as long as there is room. Of refused ones only so many a minute are kept for each
campaign, and the next one written tells how many were left out. Names that no campaign is known by are counted apart, so that
made-up ones use up nothing of a real campaign's budget. Campaigns that don't exist have no audit trail.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, TypeVar

from audit.details import EventDetails
from audit.events import Actor, AuditEvent, record_event
from config.errors import ConfigError
from config.logs import get_logger
from database.connections import Pool, database_troubles
from database.queries import NamedQueries
from sftpd import metrics

_T = TypeVar("_T")
SQL: Final = NamedQueries("sftpd.connections", "login_audit.sql")
logger = get_logger("sftpd")

# How many events may wait while PostgreSQL is slow or away.
_ROOM: Final = 2_000
# How many refused logins are written in a minute: for one name, for all known campaigns, and for all other names. And how many
# names are remembered of each kind.
_REFUSED_PER_NAME: Final = 10
_REFUSED_OF_KNOWN: Final = 1_000
_REFUSED_OF_OTHERS: Final = 120
_NAMES_REMEMBERED: Final = 5_000
_WINDOW: Final = 60.0
_RETRY_AFTER: Final = 2.0


@dataclass(frozen=True, slots=True)
class LoginEvent:
    """An event to be written. `details` hold only codes and counts."""

    kind: AuditEvent
    campaign_id: str
    actor: Actor
    details: EventDetails = field(default_factory=EventDetails)


@dataclass(slots=True)
class _Window:
    began: float
    kept: int = 0
    left_out: int = 0


class _RefusedLogins:
    """Counts the refused logins of one kind of names, by name and in all. `most` may be written in a minute."""

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._in_all = _Window(0)
        self._by_name: OrderedDict[str, _Window] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_name)

    def count(self, name: str, now: float) -> int | None:
        """Count one. None where it is too many to be written, else how many the name's last minute left out and nobody told."""
        if now - self._in_all.began >= _WINDOW:
            self._in_all = _Window(now)
        window = self._by_name.pop(name, None)
        left_out = 0
        if window is None or now - window.began >= _WINDOW:
            left_out = window.left_out if window else 0
            window = _Window(now)
        _remember(self._by_name, name, window)
        if window.kept >= _REFUSED_PER_NAME or self._in_all.kept >= self._most:
            window.left_out += 1
            return None
        window.kept += 1
        self._in_all.kept += 1
        return left_out


def _remember(table: "OrderedDict[str, _T]", name: str, value: _T) -> None:
    """Enter a name as the newest, and forget the oldest where there are too many."""
    table.pop(name, None)
    table[name] = value
    if len(table) > _NAMES_REMEMBERED:
        table.popitem(last=False)


class LoginAudit:
    """The events that wait to be written. `run` writes them, one at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Final = pool
        self._events: deque[LoginEvent] = deque()
        self._wanted = asyncio.Event()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._refused_of_known = _RefusedLogins(_REFUSED_OF_KNOWN)
        self._refused_of_others = _RefusedLogins(_REFUSED_OF_OTHERS)

    def note(self, event: LoginEvent) -> None:
        """Have an accepted login, or the end of a session, written."""
        self.note_known(event.campaign_id)
        self._add(event)

    def note_known(self, campaign_id: str) -> None:
        """Take in that there is a campaign of this name."""
        _remember(self._known, campaign_id, None)

    def _add(self, event: LoginEvent) -> None:
        if len(self._events) >= _ROOM:
            metrics.AUDIT_EVENTS_DROPPED.inc()
            return
        self._events.append(event)
        self._wanted.set()

    def note_refused(
        self, campaign_id: str, actor: Actor, cause: str, keys_tried: Collection[str] = ()
    ) -> None:
        """Have a refused login written if its campaign exists and has not had too many lately.

        `keys_tried` are fingerprints, no more than a connection may try: they tell which key the agency's program has.
        """
        refused = self._refused_of_known if campaign_id in self._known else self._refused_of_others
        left_out = refused.count(campaign_id, time.monotonic())
        if left_out is None:
            metrics.AUDIT_EVENTS_DROPPED.inc()
            return
        details: EventDetails = {"reason": cause}
        if keys_tried:
            details["keys_tried"] = sorted(keys_tried)
        if left_out:
            details["left_out_before"] = left_out
        self._add(LoginEvent(AuditEvent.LOGIN_REFUSED, campaign_id, actor, details))

    async def run(self) -> None:
        """Write until cancelled. While PostgreSQL is away the events wait."""
        while True:
            await self._wanted.wait()
            if not self._events:
                self._wanted.clear()
                continue
            try:
                await self._write(self._events[0])
            except ConfigError as error:
                logger.warning("trail_unwritten", waiting=len(self._events), reason=str(error))
                await asyncio.sleep(_RETRY_AFTER)
                continue
            except Exception:  # one event that can't be written must not hold up all others
                logger.exception("trail_line_lost")
            self._events.popleft()

    async def finish(self, timeout: float) -> None:
        """Write what still waits, for at most `timeout` seconds. Called after `run` has ended."""
        try:
            async with asyncio.timeout(timeout):
                while self._events:
                    await self._write(self._events[0])
                    self._events.popleft()
        except (ConfigError, TimeoutError):
            logger.warning("trail_unwritten", waiting=len(self._events), reason="stopping")

    async def _write(self, event: LoginEvent) -> None:
        with database_troubles():
            async with self._pool.acquire() as connection:
                known = event.kind is not AuditEvent.LOGIN_REFUSED or await connection.fetchval(
                    SQL["is_campaign_known"], event.campaign_id
                )
                if known:
                    self.note_known(event.campaign_id)
                    await record_event(
                        connection,
                        event.kind,
                        campaign_id=event.campaign_id,
                        actor=event.actor,
                        details=event.details,
                    )
