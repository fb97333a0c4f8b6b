"""What is known in memory of the partials on disk, so that a request needs no look into their folder.

Several processes share the folder. Every change of theirs makes, replaces or removes a note in it, which changes the folder's
own modification time. So one `stat` of the folder tells whether what is known still holds. Only when it doesn't, the folder
is scanned, and only the notes that have changed are read.
"""

import os
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from sftpd.spool.partials import Partial, PartialNotes, PartialState
from sftpd.spool.spool_file import open_locked

# The system's clock of modification times goes in steps of up to 10 ms. Two changes within one step look like one, so what
# was seen so soon after a change (in nanoseconds) isn't relied on.
_SETTLED: Final = 50_000_000
# A process that is killed while it writes changes nothing in the folder. While somebody writes, what is known is therefore
# relied on for so many seconds only.
_WRITERS_SECONDS: Final = 0.1
# Beyond so many campaigns the one asked for longest ago is forgotten, and read again when it is asked for.
_MOST_CAMPAIGNS: Final = 256


@dataclass(frozen=True, slots=True)
class _ReadNotes:
    """A note as it was read, and the file that it stood in."""

    file: tuple[int, int]
    settled: bool
    notes: PartialNotes | None


@dataclass(frozen=True, slots=True)
class _Scan:
    """A campaign's folder as it was found."""

    folder: tuple[int, int]
    settled: bool
    scanned_at: float
    has_writers: bool
    notes: dict[str, _ReadNotes]
    partials: tuple[Partial, ...]


class PartialIndex:
    """The partials of the campaigns that were asked for last. Its methods may be called in any thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._scans: OrderedDict[str, _Scan] = OrderedDict()

    def known(self, campaign_id: str) -> tuple[Partial, ...] | None:
        """The partials that no handle is open on, the newest first, or None where only a scan can tell.

        It asks the disk for nothing but the state of one folder, so the event loop may call it.
        """
        try:
            folder = os.stat(self._root / campaign_id)  # noqa: PTH116 - a third of the time, at each STAT of a client
        except FileNotFoundError:
            return ()
        except OSError:
            return None
        with self._lock:
            scan = self._scans.get(campaign_id)
            if scan is None:
                return None
            self._scans.move_to_end(campaign_id)
        if not scan.settled or scan.folder != _version(folder):
            return None
        if scan.has_writers and time.monotonic() - scan.scanned_at > _WRITERS_SECONDS:
            return None
        return scan.partials

    def scan(self, campaign_id: str) -> tuple[Partial, ...]:
        """Look into the folder, and return its partials as `known` does. For a thread, not the event loop."""
        scanned_at, now = time.monotonic(), time.time_ns()
        folder = self._root / campaign_id
        with self._lock:
            before = self._scans.get(campaign_id)
        notes: dict[str, _ReadNotes] = {}
        partials: list[Partial] = []
        has_writers = False
        try:
            status = folder.stat()
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.name.endswith(".json"):
                        continue
                    with suppress(FileNotFoundError):
                        read = _read(entry, before.notes.get(entry.name) if before else None, now)
                        notes[entry.name] = read
                        partial, is_written = _partial_of(campaign_id, folder / entry.name, read.notes)
                        has_writers |= is_written
                        if partial is not None:
                            partials.append(partial)
        except FileNotFoundError:
            return ()
        partials.sort(key=lambda partial: partial.notes.changed_at, reverse=True)
        found = _Scan(
            _version(status), _is_settled(status, now), scanned_at, has_writers, notes, tuple(partials)
        )
        with self._lock:
            self._scans[campaign_id] = found
            self._scans.move_to_end(campaign_id)
            while len(self._scans) > _MOST_CAMPAIGNS:
                self._scans.popitem(last=False)
        return found.partials


def read_notes(path: Path) -> PartialNotes | None:
    """The note in a file, or None where there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        try:
            return PartialNotes.model_validate_json(stream.read())
        except ValidationError:
            return None


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_mtime_ns


def _is_settled(status: os.stat_result, now: int) -> bool:
    return now - status.st_mtime_ns > _SETTLED


def _read(entry: "os.DirEntry[str]", before: _ReadNotes | None, now: int) -> _ReadNotes:
    status = entry.stat(follow_symlinks=False)
    if before is not None and before.settled and before.file == _version(status):
        return before
    notes = read_notes(Path(entry.path))
    return _ReadNotes(_version(status), _is_settled(status, now), notes and notes.without_ranges())


def _partial_of(
    campaign_id: str, notes_path: Path, notes: PartialNotes | None
) -> tuple[Partial | None, bool]:
    """The partial that a note describes, or None where it is nobody's; and whether somebody is writing to it."""
    if notes is None:
        return None, False
    bytes_path = notes_path.with_suffix(".bytes")
    if notes.state is PartialState.WRITING:
        if not notes.in_order:
            return None, False
        if _is_locked(bytes_path):
            return None, True
    size = bytes_path.stat(follow_symlinks=False).st_size if notes.in_order else notes.size
    return Partial(campaign_id, notes_path.stem, notes_path.parent, notes, size), False


def _is_locked(path: Path) -> bool:
    """Whether some process is writing these bytes. Where the disk gives no answer, somebody may be."""
    try:
        descriptor = open_locked(path)
    except OSError:
        return True
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
