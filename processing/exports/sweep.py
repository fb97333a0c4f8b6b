"""Finds message logs in the making that nobody makes, and deletes files that have had their time."""

from datetime import UTC, datetime, timedelta
from typing import Final

from config.logs import get_logger
from database.connections import Connection, Pool
from database.job_queue import enqueue, subjects_without_job
from processing import metrics
from processing.exports.exports import (
    ENTRYPOINT,
    delete_exports,
    list_expired,
    list_unfinished,
    record_failed,
)
from processing.exports.job import AWAY
from processing.object_store import EXPORTS, ObjectStore

logger = get_logger("processing")
# Whatever happened to its job, whoever asked is told an end after so long.
_LATE_AFTER: Final = timedelta(days=1)


async def sweep_exports(connection: Connection, older_than: timedelta) -> int:
    """Put back on the queue what has lost its job, and give up what is a day old. Returns how many were put back."""
    waiting, late = await list_unfinished(connection, older_than=older_than, late_after=_LATE_AFTER)
    for export_id in late:
        if await record_failed(connection, export_id, AWAY):
            metrics.LOG_EXPORTS.labels("failed").inc()
            logger.error("export_failed", export_id=export_id, reason="late")
    lost = await subjects_without_job(connection, ENTRYPOINT, waiting)
    for export_id in lost:
        await enqueue(connection, ENTRYPOINT, export_id)
    return len(lost)


async def remove_expired_exports(pool: Pool, store: ObjectStore, kept_for: timedelta) -> int:
    """Delete files whose time is over, and then their rows; returns how many.

    A file that was put and never told, as its worker died and its row expired, goes by its age.
    """
    removed = 0
    while True:
        async with pool.acquire() as connection:
            expired = await list_expired(connection)
        if not expired:
            break
        for export in expired:
            if export.object_key is not None:
                await store.delete(export.object_key)
        async with pool.acquire() as connection:
            await delete_exports(connection, [export.id for export in expired])
        removed += len(expired)
    await store.delete_older(EXPORTS, datetime.now(UTC) - kept_for - timedelta(days=1))
    return removed
