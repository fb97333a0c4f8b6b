"""The table `notifications`: what an agency is to be told of one outcome, written together with that outcome."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from database.connections import Connection, json_object
from database.job_queue import enqueue, subjects_without_job
from database.queries import NamedQueries

SQL: Final = NamedQueries("notifications", "notifications.sql")
ENTRYPOINT: Final = "notification"
_SWEPT_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A batch was made, or the one made before of the same bytes is named again."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """No message was made. `num_rows` counts rows with findings; `report_key` is None where no rows could be read."""

    report_key: str | None
    num_rows: int
    num_errors: int
    has_avoidable: bool
    has_unicode: bool
    error_reason: str | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The service itself is at fault."""

    support_id: str


Outcome = Accepted | Rejected | Failed
_KINDS: Final = {"accepted": Accepted, "rejected": Rejected, "failed": Failed}


@dataclass(frozen=True, slots=True)
class Notification:
    """An outcome, with all that its e-mail needs. `number` counts the outcomes of the upload, from 1.

    The number 0 tells of other uploads of the campaign, which were refused and only counted.
    """

    upload_id: str
    number: int
    outcome: Outcome
    campaign_id: str
    campaign_name: str
    notify_email: str
    file_name: str
    connection_id: str | None
    created_at: datetime
    is_done: bool


def notification_id(upload_id: str, number: int) -> str:
    """`<uploadId>.<outcome number>`: the job's subject and the Message-ID's local part."""
    return f"{upload_id}.{number}"


async def record_notification(connection: Connection, upload_id: str, number: int, outcome: Outcome) -> None:
    """Write down what is to be told and its job, in the caller's transaction."""
    status = next(name for name, kind in _KINDS.items() if isinstance(outcome, kind))
    await connection.execute(
        SQL["insert_notification"], upload_id, number, status, json.dumps(asdict(outcome))
    )
    await enqueue(connection, ENTRYPOINT, notification_id(upload_id, number))


async def fetch_notification(connection: Connection, subject_id: str) -> Notification | None:
    """The notification of that id, or None."""
    upload_id, number = subject_id.rsplit(".", 1)
    row = await connection.fetchrow(SQL["fetch_notification"], upload_id, int(number))
    if row is None:
        return None
    return Notification(
        upload_id=row["upload_id"],
        number=row["outcome"],
        outcome=_KINDS[row["status"]](**json_object(row["facts"])),
        campaign_id=row["campaign_id"],
        campaign_name=row["campaign_name"],
        notify_email=row["notify_email"],
        file_name=row["file_name"],
        connection_id=row["connection_id"],
        created_at=row["created_at"],
        is_done=row["done_at"] is not None,
    )


async def record_sent(connection: Connection, notification: Notification) -> None:
    """The mail server has taken it."""
    await connection.execute(SQL["record_sent"], notification.upload_id, notification.number)


async def record_refused(connection: Connection, notification: Notification, cause: str) -> None:
    """It was refused for good, or given up after `give_up_hours`. `cause` is a fixed text."""
    await connection.execute(SQL["record_refused"], notification.upload_id, notification.number, cause)


async def list_notifications_without_job(connection: Connection, older_than: timedelta) -> list[str]:
    """Ids of notifications that no job would ever send: at most 1,000, oldest first."""
    rows = await connection.fetch(SQL["list_undone"], older_than)
    undone = [notification_id(row["upload_id"], row["outcome"]) for row in rows]
    return (await subjects_without_job(connection, ENTRYPOINT, undone))[:_SWEPT_AT_ONCE]
