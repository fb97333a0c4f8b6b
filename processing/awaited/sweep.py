"""Finds awaited uploads that nobody acts on: one that has lost its job gets another, one that nobody waits for is withdrawn."""

from datetime import timedelta
from typing import Final

from config.logs import get_logger
from database.connections import Connection
from database.job_queue import subjects_without_job
from processing import metrics
from processing.awaited.uploads import (
    Withdrawal,
    is_forsaken,
    list_undecided_awaited,
    lock_awaited,
    withdraw,
)
from processing.verdicts.queueing import AWAITED_ENTRYPOINT, enqueue_verdict

logger = get_logger("processing")

# A process that has lost its connection, and so its locks, takes them again within seconds. Nobody waits as long as this.
_FORSAKEN_AFTER: Final = timedelta(minutes=2)


async def sweep_awaited(connection: Connection, older_than: timedelta) -> int:
    """Withdraw what nobody waits for any more, and put back on the queue what has no job. Returns how many were put back."""
    undecided = await list_undecided_awaited(connection, older_than=older_than, late_after=_FORSAKEN_AFTER)
    waited_for = {}
    for upload in undecided:
        if upload.is_late and await is_forsaken(connection, upload.waiter):
            # One that is being judged just now is withdrawn there, or at the next sweep.
            if await lock_awaited(connection, upload.id, wait=False):
                await withdraw(connection, upload.id, Withdrawal.FORSAKEN)
                metrics.UPLOADS_WITHDRAWN.labels(Withdrawal.FORSAKEN.value).inc()
                logger.warning(
                    "upload_withdrawn", upload_id=upload.id, campaign_id=upload.campaign_id, reason="forsaken"
                )
        else:
            waited_for[upload.id] = upload.campaign_id
    lost = await subjects_without_job(connection, AWAITED_ENTRYPOINT, list(waited_for))
    for upload_id in lost:
        await enqueue_verdict(connection, upload_id, waited_for[upload_id], entrypoint=AWAITED_ENTRYPOINT)
    return len(lost)
