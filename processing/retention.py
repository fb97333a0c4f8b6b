"""What has had its time goes: originals, reports, the queue's own log. Messages and the audit trail are kept."""

from datetime import UTC, datetime, timedelta
from typing import Final

from config.logs import get_logger
from config.sections import RetentionSettings
from database.connections import Pool
from database.queries import NamedQueries
from processing.object_store import ORIGINALS, REPORTS, ObjectStore

SQL: Final = NamedQueries("processing", "retention.sql")
logger = get_logger("processing")


async def remove_expired(pool: Pool, store: ObjectStore, settings: RetentionSettings) -> None:
    """Remove what is older than its days. Several workers may do so at once; nothing is removed that is still needed.

    An original is kept while its upload has no outcome, however old it is, or still names it. Objects stored by an
    intake that then failed have no row, and go by their age alone.
    """
    now = datetime.now(UTC)
    kept_for = timedelta(days=settings.originals_days)
    async with pool.acquire() as connection:
        for old in ("forget_originals", "remove_queue_log", "remove_queue_statistics"):
            await connection.execute(SQL[old], kept_for)
        rows = await connection.fetch(SQL["list_kept_objects"], kept_for)
    kept = frozenset(row["object_key"] for row in rows)
    originals = await store.delete_older(ORIGINALS, now - kept_for, keep=kept)
    reports = await store.delete_older(REPORTS, now - timedelta(days=settings.reports_days))
    if originals or reports:
        logger.info("expired_removed", originals=originals, reports=reports)
