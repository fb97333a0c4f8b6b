"""Finds uploads of the console that nobody acts on: one that lost its job gets another, one whose time is over is forgotten."""

from datetime import timedelta

from audit.events import NOBODY
from config.logs import get_logger
from database.connections import Connection
from database.job_queue import subjects_without_job
from processing import metrics
from processing.checked.uploads import list_left, lock_waiting, withdraw
from processing.verdicts.queueing import CHECKED_ENTRYPOINT, enqueue_verdict

logger = get_logger("processing")


async def sweep_checked(
    connection: Connection, older_than: timedelta, life: timedelta
) -> tuple[int, list[str]]:
    """Put back on the queue what has no job, and withdraw what has waited longer than `life`.

    Returns how many were put back, and the keys of originals to delete once this is committed. One that isn't deleted then goes
    with the others of its age.
    """
    to_judge: dict[str, str] = {}
    keys: list[str] = []
    for left in await list_left(connection, older_than=older_than, life=life):
        if left.is_sending or not left.is_over:
            to_judge[left.id] = left.campaign_id
            continue
        # One that is being judged or sent just now is looked at again by the next sweep.
        waiting = await lock_waiting(connection, left.id, life, wait=False)
        if waiting is None or not waiting.is_over or (waiting.check and waiting.check.asked_by):
            continue
        await withdraw(connection, left.id, waiting, "expired", NOBODY)
        metrics.UPLOADS_WITHDRAWN.labels("expired").inc()
        logger.info("upload_withdrawn", upload_id=left.id, campaign_id=left.campaign_id, reason="expired")
        if waiting.object_key is not None:
            keys.append(waiting.object_key)
    lost = await subjects_without_job(connection, CHECKED_ENTRYPOINT, list(to_judge))
    for upload_id in lost:
        await enqueue_verdict(connection, upload_id, to_judge[upload_id], entrypoint=CHECKED_ENTRYPOINT)
    return len(lost), keys
