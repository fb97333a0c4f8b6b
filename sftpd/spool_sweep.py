"""Sweeping the spool: it removes what has expired and what dead processes left, and reports temporary names that stayed.

Every front process of a node may sweep at any time, because nothing is removed without the lock that writers hold.
"""

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from audit.events import Actor
from config.logs import describe_exception, get_logger
from config.sections import RetentionSettings, SFTPSettings
from processing.intake import Intake, Sender
from sftpd.refusals import Refusal
from sftpd.session.intake_client import RefusedUpload, report_refusal
from sftpd.spool.partials import Partial, PartialState
from sftpd.spool.spool import Spool, read_notes
from sftpd.spool.spool_file import open_locked

SWEEP_SECONDS: Final = 60.0
# A file that is younger than this may lack its note only because it is being made or removed at this moment.
_YOUNG: Final = timedelta(seconds=5)

_log = get_logger("sftpd")


async def sweep_regularly(
    spool: Spool, intake: Intake, settings: SFTPSettings, retention: RetentionSettings
) -> None:
    """Sweep now and every minute, until cancelled. A failed round is logged, and the next one tries again."""
    while True:
        try:
            await sweep_spool(spool, intake, settings, retention, datetime.now(UTC))
        except OSError as error:
            _log.error("spool_sweep_failed", **describe_exception(error))
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep_spool(
    spool: Spool, intake: Intake, settings: SFTPSettings, retention: RetentionSettings, now: datetime
) -> None:
    """One round over all campaigns. Raises OSError where the spool's disk refuses."""
    expired_before = now - timedelta(hours=retention.partials_hours)
    reported_before = now - timedelta(minutes=settings.temporary_name_minutes)
    for campaign_id in await asyncio.to_thread(spool.campaigns):
        await asyncio.to_thread(_remove_leftovers, spool, campaign_id, now)
        for partial in await asyncio.to_thread(spool.partials, campaign_id):
            if partial.notes.changed_at < expired_before:
                if spool.remove(partial):
                    _log.info("partial_expired", campaign_id=campaign_id, bytes=partial.size)
            elif (
                partial.state is PartialState.WAITING
                and not partial.notes.reported
                and partial.notes.changed_at < reported_before
            ):
                await _report(spool, intake, partial)


async def _report(spool: Spool, intake: Intake, partial: Partial) -> None:
    """Tell the agency once that an upload was closed and still has its temporary name. The first process to come does it."""
    notes = partial.notes
    actor = Actor(notes.fingerprint, notes.connection_id, notes.source_address)
    try:
        spool.change_notes(partial, reported=True)
    except Refusal:
        # Somebody is renaming, removing, resuming or reporting it at this moment.
        return
    _log.info("temporary_name_stayed", campaign_id=partial.campaign_id, bytes=partial.size)
    told = await report_refusal(
        intake, Sender(partial.campaign_id, actor), partial.name, RefusedUpload.NOT_CSV, partial.size
    )
    if not told:
        with suppress(Refusal):
            spool.change_notes(spool.reread(partial), reported=False)


def _remove_leftovers(spool: Spool, campaign_id: str, now: datetime) -> None:
    """Remove what nobody can use: bytes without a readable note, notes without bytes, and half-written notes."""
    folder = spool.root / campaign_id
    removed = 0
    with suppress(FileNotFoundError):
        for path in list(folder.iterdir()):
            with suppress(FileNotFoundError):
                changed_at = datetime.fromtimestamp(path.stat(follow_symlinks=False).st_mtime, UTC)
                if now - changed_at >= _YOUNG:
                    removed += _remove_leftover(path)
        with suppress(OSError):
            # Only an empty folder can be removed, and a new upload makes it again.
            folder.rmdir()
    if removed:
        spool.usage.forget(campaign_id)
        _log.info("spool_leftovers_removed", campaign_id=campaign_id, files=removed)


def _remove_leftover(path: Path) -> int:
    """Remove one file if it is a leftover. Returns the number of files removed."""
    if path.suffix == ".bytes":
        return _remove_orphan(path)
    if path.suffix == ".json" and path.with_suffix(".bytes").exists():
        return 0
    path.unlink()
    return 1


def _remove_orphan(path: Path) -> int:
    """Remove bytes that no process writes and no note describes. Returns the number of files removed."""
    notes_path = path.with_suffix(".json")
    notes = read_notes(notes_path)
    if notes is not None and (notes.in_order or notes.state is not PartialState.WRITING):
        return 0
    descriptor = open_locked(path)
    if descriptor is None:
        return 0
    try:
        # The note may have come while the lock was being taken.
        again = read_notes(notes_path)
        if again is not None and again != notes:
            return 0
        notes_path.unlink(missing_ok=True)
        path.unlink()
    finally:
        os.close(descriptor)
    return 1
