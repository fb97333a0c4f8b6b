"""Deletes what has had its time: originals, reports, message logs made in the background, the queue's own log, answers kept for
repeated calls.

Messages and the audit trail are kept.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from config.logs import get_logger
from config.sections import RetentionSettings
from database.connections import Pool
from database.job_queue import remove_old_log
from database.queries import NamedQueries
from messages.idempotency_keys import forget_old
from processing.exports.sweep import remove_expired_exports
from processing.object_store import ORIGINALS, OUTCOMES, PROBES, REPORTS, ObjectStore, original_key
from processing.uploads import forget_originals, forget_superseded, list_kept_originals

SQL: Final = NamedQueries("processing", "retention.sql")
logger = get_logger("processing")

# What `check` put with a key that may not delete, or before it was stopped. Nobody reads it.
_PROBES_KEPT_FOR: Final = timedelta(days=1)


async def remove_expired(pool: Pool, store: ObjectStore, settings: RetentionSettings) -> None:
    """Remove what is older than its days, unless another worker is about it; nothing is removed that is still needed.

    An original is kept while its upload has no outcome, however old it is, or still names it. Objects stored by an
    intake that then failed have no row, and go by their age alone.
    """
    async with pool.acquire() as lock, lock.transaction():
        # Held without a snapshot, so that it keeps nothing else waiting.
        if await lock.fetchval(SQL["try_lock"]):
            await _remove_expired(pool, store, settings)


async def _remove_expired(pool: Pool, store: ObjectStore, settings: RetentionSettings) -> None:
    now = datetime.now(UTC)
    kept_for = timedelta(days=settings.originals_days)
    async with pool.acquire() as connection:
        await remove_old_log(connection, kept_for)
        await forget_old(connection)
        await forget_originals(connection, kept_for)
        # Asked after it: what an upload still names stays, though the bucket's clock, or ours, finds it old enough.
        kept = await list_kept_originals(connection, kept_for)
    originals = await store.delete_older(ORIGINALS, now - kept_for, keep=kept)
    await store.delete_older(OUTCOMES, now - kept_for)
    reports = await store.delete_older(REPORTS, now - timedelta(days=settings.reports_days))
    await store.delete_older(PROBES, now - _PROBES_KEPT_FOR)
    logs = await remove_expired_exports(pool, store, timedelta(days=settings.log_exports_days))
    if originals or reports or logs:
        logger.info("expired_removed", originals=originals, reports=reports, logs=logs)


async def remove_superseded(pool: Pool, store: ObjectStore) -> None:
    """Remove what is kept of an interrupted upload when a newer one of the same name is kept as well.

    An original that can't be deleted now goes with the others of its age.
    """
    async with pool.acquire() as connection:
        superseded = await forget_superseded(connection)
    for upload_id, campaign_id in superseded:
        await store.delete(original_key(campaign_id, upload_id))
    if superseded:
        logger.info("superseded_removed", originals=len(superseded))
