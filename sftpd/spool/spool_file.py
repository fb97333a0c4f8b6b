"""One upload that is being written: its bytes on disk under a random name, the note beside them, and the lock on the bytes.

The lock (flock) lives as long as the handle's descriptor, and a SIGKILL releases it. So bytes without a lock whose note says
"writing" were cut off. Bytes without a note belong to nobody.
"""

import fcntl
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sftpd.refusals import SpoolFull, TooScattered
from sftpd.spool.interruption import (
    Suspicion,
    WriteTrace,
    ends_in_its_only_empty_line,
    find_suspicion,
)
from sftpd.spool.partials import PartialNotes, PartialState
from sftpd.spool.usage import SpoolUsage
from sftpd.spool.written_ranges import WrittenRanges

# A client that writes in parallel has some 64 blocks in flight, which are as many separate ranges at most. More than this
# are an attack on memory, and on the time that reading its note takes.
MAX_RANGES: Final = 256

# So many bytes of the content are looked at in one go.
_READ_BYTES: Final = 1024 * 1024

_READ_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = _READ_WRITE | os.O_CREAT | os.O_EXCL


def open_locked(path: Path, *, new: bool = False) -> int | None:
    """A descriptor with the lock on it, or None where another handle has the lock or the file is gone.

    Raises OSError where the disk refuses.
    """
    try:
        descriptor = os.open(path, _NEW if new else _READ_WRITE, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        return None
    return descriptor


def write_notes(path: Path, notes: PartialNotes) -> None:
    """Write a note as a whole or not at all. Raises OSError."""
    fresh = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, _NEW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            # Programs of the release before know no `later_writers`, and would take such a note for a broken one.
            unneeded = None if notes.later_writers else {"later_writers"}
            stream.write(notes.model_dump_json(exclude=unneeded))
        fresh.replace(path)
    except OSError:
        with suppress(OSError):
            fresh.unlink()
        raise


class SpoolFile:
    """An upload's bytes while a handle is open on it. Sizes and offsets are bytes.

    `write` and `truncate` run on the event loop, because they are a few quick system calls on the page cache: writing 256 KB
    takes less time than giving it to a thread would. What reads or writes the note is for a thread.
    """

    def __init__(
        self, usage: SpoolUsage, campaign_id: str, path: Path, descriptor: int, notes: PartialNotes, size: int
    ) -> None:
        self.campaign_id = campaign_id
        self.path = path
        self.notes = notes
        self.size = size
        # The writes of this handle alone: what earlier handles wrote of a partial says nothing about how this one ends.
        self.trace = WriteTrace()
        self._usage = usage
        self._descriptor = descriptor
        self._ranges = WrittenRanges([(0, size)] if notes.in_order else notes.ranges)
        self._on_disk = size

    @property
    def _notes_path(self) -> Path:
        return self.path.with_suffix(".json")

    def set_modified_at(self, modified_at: datetime | None) -> None:
        """Put the time that the client set into the note, which is written at the next `keep`."""
        if modified_at is not None:
            self.notes = self.notes.model_copy(update={"modified_at": modified_at})

    def suspicion(self, *, by_putty: bool = False) -> Suspicion | None:
        """Why a CLOSE now would look like an interrupted upload's, or None. The content isn't looked at."""
        return find_suspicion(
            self.trace,
            size=self.size,
            whole=self._ranges.covers(self.size),
            announced=self.notes.announced,
            by_putty=by_putty,
        )

    def ends_in_its_only_empty_line(self) -> bool:
        """Whether the content so far ends in an empty line and has no other. It is read from disk: call it in a thread."""
        offsets = range(0, self.size, _READ_BYTES)
        return ends_in_its_only_empty_line(
            os.pread(self._descriptor, min(_READ_BYTES, self.size - offset), offset) for offset in offsets
        )

    def is_left_in_order(self, offset: int) -> bool:
        """Whether a write at this offset, or a truncation to it, would be the first that leaves a hole."""
        return self.notes.in_order and offset > self.size

    def leave_order(self) -> None:
        """Write into the note that the size on disk doesn't tell any more what was written. Raises SpoolFull.

        It is done before the first hole: by those who write, unless a thread has done it for them already.
        """
        self.notes = self.notes.model_copy(update={"in_order": False})
        try:
            write_notes(self._notes_path, self.notes)
        except OSError:
            raise SpoolFull from None

    def write(self, offset: int, content: bytes) -> None:
        """Write at an offset. Raises QuotaExceeded, SpoolFull or TooScattered, after which the upload can't be used any more."""
        end = offset + len(content)
        if end == offset:
            return
        if self.is_left_in_order(offset):
            self.leave_order()
        self._grow(end)
        try:
            view = memoryview(content)
            while view:
                written = os.pwrite(self._descriptor, view, offset)
                view, offset = view[written:], offset + written
        except OSError:
            raise SpoolFull from None
        self._ranges.add(end - len(content), end)
        self.trace.note(len(content))
        self.size = max(self.size, end)
        if len(self._ranges) > MAX_RANGES:
            raise TooScattered

    def truncate(self, size: int) -> None:
        """Set the size, as FSETSTAT does. What lies beyond it is lost, and a size beyond the end leaves a hole up to there.

        Raises QuotaExceeded or SpoolFull.
        """
        if size == self.size:
            return
        if self.is_left_in_order(size):
            self.leave_order()
        self._grow(size)
        try:
            os.ftruncate(self._descriptor, size)
        except OSError:
            raise SpoolFull from None
        self._usage.refund(self.campaign_id, max(0, self._on_disk - size))
        self._on_disk = self.size = size
        self._ranges.truncate(size)

    def keep(self, state: PartialState, changed_at: datetime | None = None) -> None:
        """Release the upload as a partial, which was last changed now unless told otherwise.

        Where the note can't be written, the upload is discarded.
        """
        self.notes = self.notes.model_copy(
            update={
                "state": state,
                "changed_at": changed_at or datetime.now(UTC),
                "size": self.size,
                "ranges": [] if self.notes.in_order else list(self._ranges.pairs()),
            }
        )
        try:
            write_notes(self._notes_path, self.notes)
        except OSError:
            self.discard()
        else:
            self._close()

    def forget_notes(self) -> None:
        """Remove the note, so that nobody takes the bytes for a partial if this process dies now."""
        with suppress(FileNotFoundError):
            self._notes_path.unlink()

    def discard(self) -> None:
        """Remove the upload from disk."""
        self.forget_notes()
        with suppress(FileNotFoundError):
            self.path.unlink()
        self._usage.refund(self.campaign_id, self._on_disk)
        self._on_disk = 0
        self._close()

    def _grow(self, size: int) -> None:
        growth = size - self._on_disk
        if growth > 0:
            self._usage.charge(self.campaign_id, growth)
            self._on_disk = size

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
