"""Archiving by itself: what has been in the database for as many months as the settings say."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from config.logs import get_logger
from database.connections import Pool
from processing.archives.archives import State, list_archives, work_alone
from processing.archives.archiving import Archiver
from processing.archives.ranges import Terms, list_ranges
from processing.errors import ArchivingBusy, RangeStays
from processing.metrics import RANGES_NOT_ARCHIVED
from processing.object_store import ObjectStore
from rules.billing.periods import SINGAPORE, Month

logger = get_logger("processing")

# Before people come to work in Singapore.
_HOURS: Final = range(1, 6)
# What somebody has brought back stays for so long.
_RESTORED_FOR: Final = timedelta(days=30)


def month_before(months: int, *, now: datetime) -> Month:
    """The month so many months ago: what was made before it has been kept for that long."""
    month = Month.of(now)
    for _ in range(months):
        month = month.previous
    return month


async def archive_old(
    pool: Pool, store: ObjectStore, terms: Terms, *, now: datetime, stop: asyncio.Event
) -> None:
    """Archive all ranges that these terms let go, at night, unless somebody is about it. What stays is for another night."""
    if now.astimezone(SINGAPORE).hour not in _HOURS:
        return
    try:
        async with work_alone(pool):
            async with pool.acquire() as connection:
                ranges = await list_ranges(connection)
                known = {archive.name: archive for archive in await list_archives(connection)}
            archiver = Archiver(pool, store, terms, stop=stop)
            for range_ in ranges:
                if not range_.is_of_before(terms.before):
                    continue
                archive = known.get(range_.name)
                if (
                    archive is not None
                    and archive.state is State.RESTORED
                    and archive.restored_at is not None
                    and now - archive.restored_at < _RESTORED_FOR
                ):
                    continue
                try:
                    with RANGES_NOT_ARCHIVED.count_exceptions():
                        done = await archiver.archive(range_, now=now)
                except RangeStays as stays:
                    logger.warning("range_stays", archive=range_.name, reason=stays.reason)
                else:
                    logger.info(
                        "range_archived",
                        archive=done.name,
                        messages=done.rows,
                        files=done.files,
                        bytes=done.byte_count,
                    )
    except ArchivingBusy:
        return
