"""The job of this room: one outcome, one e-mail. Fetch the notice, compose and send, record what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from audit.events import AuditEvent, record_event
from config.fault_points import reach
from config.logs import get_logger
from config.sections import SMTPSettings
from database.connections import Connection, Pool, database_troubles
from database.job_queue import (
    JobKind,
    RunningJob,
    TryAgain,
    enqueue,
)
from notifications.errors import MailRefused, MailUnavailable
from notifications.mailer import LinkSigner, Mailer, make_message
from notifications.metrics import NOTIFICATIONS, RETRIES
from notifications.notifications import (
    ENTRYPOINT,
    Notice,
    fetch_notice,
    list_notices_without_job,
    record_refused,
    record_sent,
)

logger = get_logger("notifications")

# Seconds to wait after the first, second and third time that the mail server did not take it; then doubling.
_FIRST_DELAYS: Final = (5.0, 15.0, 45.0)
_LONGEST_DELAY: Final = 1800.0


def retry_delay(attempts: int) -> timedelta:
    """How long to wait after that many earlier attempts: 5, 15, 45 s, then doubling to half an hour."""
    if attempts < len(_FIRST_DELAYS):
        return timedelta(seconds=_FIRST_DELAYS[attempts])
    doubled = _FIRST_DELAYS[-1] * 2 ** min(attempts - len(_FIRST_DELAYS) + 1, 10)
    return timedelta(seconds=min(doubled, _LONGEST_DELAY))


class NotificationJob:
    """Sends notices. Safe to run twice: a second e-mail of the same outcome has the same Message-ID."""

    def __init__(self, pool: Pool, mailer: Mailer, links: LinkSigner, settings: SMTPSettings) -> None:
        self._pool = pool
        self._mailer = mailer
        self._links = links
        self._settings = settings

    def kind(self, concurrency: int, heartbeat_timeout: float) -> JobKind:
        """How the queue runs it."""
        return JobKind(ENTRYPOINT, concurrency, heartbeat_timeout)

    async def __call__(self, job: RunningJob) -> None:
        """Handle one job. Raises TryAgain while the mail server does not take it, for `give_up_hours` at most."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                notice = await fetch_notice(connection, job.subject_id)
        if notice is None or notice.is_done:
            return
        log = logger.bind(
            upload_id=notice.upload_id,
            campaign_id=notice.campaign_id,
            connection_id=notice.connection_id,
            outcome=notice.number,
        )
        reach("notification.fetched")
        try:
            message = await make_message(notice, self._settings, self._links)
            await self._mailer.send(message, notice.notify_email)
        except MailRefused as error:
            log.warning("notification_refused", reason=str(error))
            await self._record_end(notice, "refused", str(error))
        except MailUnavailable as error:
            if datetime.now(UTC) - notice.created_at > timedelta(hours=self._settings.give_up_hours):
                log.warning("notification_given_up", reason=str(error))
                await self._record_end(notice, "given_up", f"given up: {error}")
                return
            RETRIES.inc()
            delay = retry_delay(job.attempts)
            log.warning("notification_delayed", reason=str(error), seconds=delay.total_seconds())
            raise TryAgain(delay, str(error)) from None
        else:
            reach("notification.sent")
            await self._record_end(notice, "sent", None)
            reach("notification.recorded")
            log.info("notification_sent")

    async def _record_end(self, notice: Notice, result: str, reason: str | None) -> None:
        NOTIFICATIONS.labels(result).inc()
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if reason is None:
                    await record_sent(connection, notice)
                else:
                    await record_refused(connection, notice, reason)
                await record_event(
                    connection,
                    AuditEvent.NOTIFICATION_SENT if reason is None else AuditEvent.NOTIFICATION_REFUSED,
                    campaign_id=notice.campaign_id,
                    upload_id=notice.upload_id,
                    details={"outcome": notice.number} | ({"reason": reason} if reason else {}),
                )


async def sweep_notices(connection: Connection, older_than: timedelta) -> int:
    """Put back on the queue every notice that has no job. Returns how many."""
    lost = await list_notices_without_job(connection, older_than)
    for subject_id in lost:
        await enqueue(connection, ENTRYPOINT, subject_id)
    return len(lost)
