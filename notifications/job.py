"""The job of this room sends one e-mail for one outcome: it fetches the notification, sends it, and records what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from audit.details import EventDetails
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
    Notification,
    fetch_notification,
    list_notifications_without_job,
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
    """Sends notifications. It may run twice for one: a second e-mail of the same outcome has the same Message-ID."""

    def __init__(self, pool: Pool, mailer: Mailer, links: LinkSigner, settings: SMTPSettings) -> None:
        self._pool = pool
        self._mailer = mailer
        self._links = links
        self._settings = settings

    def kind(self, concurrency: int, heartbeat_timeout: float) -> JobKind:
        """How the queue runs this job: so many at once, taken over when their process gives no sign for so many seconds."""
        return JobKind(ENTRYPOINT, concurrency, heartbeat_timeout)

    async def __call__(self, job: RunningJob) -> None:
        """Send one notification. Raises TryAgain while the mail server does not take it, for `give_up_hours` at most."""
        with database_troubles():
            async with self._pool.acquire() as connection:
                notification = await fetch_notification(connection, job.subject_id)
        if notification is None or notification.is_done:
            return
        log = logger.bind(
            upload_id=notification.upload_id,
            campaign_id=notification.campaign_id,
            connection_id=notification.connection_id,
            outcome=notification.number,
        )
        reach("notification.fetched")
        try:
            message = await make_message(notification, self._settings, self._links)
            await self._mailer.send(message, notification.notify_email)
        except MailRefused as error:
            log.warning("notification_refused", reason=str(error))
            await self._record_end(notification, "refused", str(error))
        except MailUnavailable as error:
            if datetime.now(UTC) - notification.created_at > timedelta(hours=self._settings.give_up_hours):
                log.warning("notification_given_up", reason=str(error))
                await self._record_end(notification, "given_up", f"given up: {error}")
                return
            RETRIES.inc()
            delay = retry_delay(job.attempts)
            log.warning("notification_delayed", reason=str(error), seconds=delay.total_seconds())
            raise TryAgain(delay, str(error)) from None
        else:
            reach("notification.sent")
            await self._record_end(notification, "sent", None)
            reach("notification.recorded")
            log.info("notification_sent")

    async def _record_end(self, notification: Notification, result: str, cause: str | None) -> None:
        NOTIFICATIONS.labels(result).inc()
        details: EventDetails = {"outcome_number": notification.number}
        if cause is not None:
            details["reason"] = cause
        with database_troubles():
            async with self._pool.acquire() as connection, connection.transaction():
                if cause is None:
                    await record_sent(connection, notification)
                else:
                    await record_refused(connection, notification, cause)
                await record_event(
                    connection,
                    AuditEvent.NOTIFICATION_SENT if cause is None else AuditEvent.NOTIFICATION_REFUSED,
                    campaign_id=notification.campaign_id,
                    upload_id=notification.upload_id,
                    details=details,
                )


async def sweep_notifications(connection: Connection, older_than: timedelta) -> int:
    """Put back on the queue every notification that has no job. Returns how many."""
    lost = await list_notifications_without_job(connection, older_than)
    for subject_id in lost:
        await enqueue(connection, ENTRYPOINT, subject_id)
    return len(lost)
