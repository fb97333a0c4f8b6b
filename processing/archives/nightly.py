"""Archiving by itself: what has been in the database for as many months as the settings say."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from config.logs import get_logger
from database.connections import Pool
from processing.archives.archives import State, is_night, list_archives, work_alone
from processing.archives.archiving import Archiver
from processing.archives.kinds import Kind
from processing.archives.ranges import Terms, list_ranges
from processing.errors import ArchivingBusy, RangeStays
from processing.metrics import RANGES_NOT_ARCHIVED
from processing.object_store import ObjectStore
from rules.billing.periods import Month

logger = get_logger("processing")

# What somebody has brought back stays for so long.
_RESTORED_FOR: Final = timedelta(days=30)


def month_before(months: int, *, now: datetime) -> Month:
    """The month so many months ago: what was made before it has been kept for that long."""
    month = Month.of(now)
    for _ in range(months):
        month = month.previous
    return month


async def archive_old(
    pool: Pool, store: ObjectStore, terms: Mapping[Kind, Terms], *, now: datetime, stop: asyncio.Event
) -> None:
    """Archive what the terms of its kind let go, at night, unless somebody is about it. What stays is for another night."""
    if not is_night(now):
        return
    try:
        async with work_alone(pool):
            async with pool.acquire() as connection:
                ranges = await list_ranges(connection)
                known = {archive.name: archive for archive in await list_archives(connection)}
            for range_ in ranges:
                of_kind = terms.get(range_.kind)
                if of_kind is None or not range_.is_of_before(of_kind.before):
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
                        done = await Archiver(pool, store, of_kind, stop=stop).archive(range_, now=now)
                except RangeStays as stays:
                    logger.warning("range_stays", archive=range_.name, reason=stays.reason)
                else:
                    logger.info(
                        "range_archived",
                        archive=done.name,
                        **done.rows,
                        files=done.files,
                        bytes=done.byte_count,
                    )
    except ArchivingBusy:
        return
