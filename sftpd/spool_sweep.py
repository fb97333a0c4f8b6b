"""Sweeping the spool: it removes what has expired and what dead processes left, and reports what nobody has finished.

Every front process of a node may sweep at any time, because nothing is removed without the lock that writers hold.
"""

import asyncio
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from config.logs import describe_exception, get_logger
from config.sections import RetentionSettings, SFTPSettings
from processing.intake import Intake
from sftpd.metrics import SPOOL_FAILURES
from sftpd.refusals import ListingUnavailable, Refusal
from sftpd.session.file_names import final_names
from sftpd.session.intake_client import report_unfinished
from sftpd.session.received_uploads import ReceivedUploads
from sftpd.spool.partial_index import read_notes
from sftpd.spool.partials import Partial, PartialState
from sftpd.spool.spool import Spool
from sftpd.spool.spool_file import open_locked

SWEEP_SECONDS: Final = 60.0
# A file that is younger than this may lack its note only because it is being made or removed at this moment.
_YOUNG: Final = timedelta(seconds=5)

_log = get_logger("sftpd")


class SpoolSweep:
    """Sweeps one node's spool. `received_uploads` tells what other nodes have taken in meanwhile."""

    def __init__(
        self,
        spool: Spool,
        intake: Intake,
        received_uploads: ReceivedUploads,
        settings: SFTPSettings,
        retention: RetentionSettings,
    ) -> None:
        self._spool = spool
        self._intake = intake
        self._received_uploads = received_uploads
        self._suffixes = settings.temporary_suffixes
        self._kept_for = timedelta(hours=retention.partials_hours)
        self._told_after = {
            PartialState.WAITING: timedelta(minutes=settings.temporary_name_minutes),
            PartialState.CUT: timedelta(minutes=settings.cut_upload_minutes),
        }

    async def run(self) -> None:
        """Sweep now and every minute, until cancelled. A failed round is logged, and the next one tries again."""
        while True:
            try:
                await self.sweep(datetime.now(UTC))
            except OSError as error:
                SPOOL_FAILURES.inc()
                _log.error("spool_sweep_failed", **describe_exception(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self, now: datetime) -> None:
        """One round over all campaigns. Raises OSError where the disk doesn't tell which there are.

        Trouble with one campaign's folder is logged, and leaves the others to be swept.
        """
        for campaign_id in await self._spool.run(self._spool.campaigns):
            try:
                await self._sweep_campaign(campaign_id, now)
            except Exception as error:  # noqa: BLE001 - nobody else's session may end for it
                SPOOL_FAILURES.inc()
                _log.error("spool_folder_failed", campaign_id=campaign_id, **describe_exception(error))

    async def _sweep_campaign(self, campaign_id: str, now: datetime) -> None:
        spool = self._spool
        await spool.run(_remove_leftovers, spool, campaign_id, now)
        for partial in await spool.look_up_all(campaign_id):
            age = now - partial.notes.changed_at
            # One that was refused at its CLOSE was told then.
            told_after = self._told_after.get(partial.state)
            if told_after is not None and age >= told_after and not partial.notes.reported:
                await self._report(partial)
            if age >= self._kept_for and await spool.run(spool.remove, partial):
                _log.info("partial_expired", campaign_id=campaign_id, bytes=partial.size)

    async def _report(self, partial: Partial) -> None:
        """Tell the agency of an upload that nobody has finished.

        Every process that comes here reports it under the same id, of which the intake takes only the first. It is noted
        as told after that, so that a process that dies in between leaves it to the next.
        """
        is_cut = partial.state is PartialState.CUT
        try:
            if is_cut and await self._came_later(partial):
                return
        except ListingUnavailable:
            return
        event = "cut_upload_stayed" if is_cut else "temporary_name_stayed"
        _log.info(event, campaign_id=partial.campaign_id, bytes=partial.size)
        is_told = await report_unfinished(self._intake, partial)
        if is_told:
            # Somebody may be renaming, removing, resuming or noting it at this moment.
            with suppress(Refusal):
                await self._spool.run(self._spool.change_notes, partial, reported=True)

    async def _came_later(self, partial: Partial) -> bool:
        """Whether the file was uploaded, or told of, since it was cut off. Raises ListingUnavailable."""
        names = final_names(partial.name, self._suffixes)
        return await self._received_uploads.has_any_since(
            partial.campaign_id, names, partial.notes.changed_at
        )


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
