"""The spool: unfinished uploads on this node's disk, a folder for each campaign, shared by the node's front processes.

The event loop asks it by `look_up`, `look_up_all`, `write`, `truncate` and `free`, and has every other method done by `run`:
those look into folders, read and write notes and take locks, each of which may take a while.

Folders have mode 0700, names are random, and nothing is opened through a link. Each upload is `<key>.bytes` with its note
`<key>.json`. Whoever writes holds a lock on the bytes, so that processes need not know of one another. `sftpd.spool_sweep`
removes what processes that died have left without a note.
"""

import asyncio
import errno
import functools
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, ParamSpec, TypeVar

from config.sections import SFTPSettings
from keys.access import KeyUse
from sftpd.refusals import PartialTaken, SpoolFull
from sftpd.sessions import Session
from sftpd.spool.partial_index import PartialIndex, read_notes
from sftpd.spool.partials import Partial, PartialNotes, PartialState
from sftpd.spool.spool_file import SpoolFile, open_locked, write_notes
from sftpd.spool.usage import SpoolUsage

FOLDER_MODE: Final = 0o700
# A campaign has a few keys and comes from a few addresses. This many writers of one upload are an attack on its note.
_MAX_LATER_WRITERS: Final = 64
# Each work lasts well under a millisecond. More than one thread, so that a disk that hesitates over one doesn't stop all.
_THREADS: Final = 4

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Spool:
    """This node's spool folder, as one front process uses it."""

    def __init__(self, settings: SFTPSettings) -> None:
        self.root = settings.spool_dir
        self.usage = SpoolUsage(self.root, settings)
        self._max_partials = settings.max_partials_per_campaign
        self._index = PartialIndex(self.root)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do some work on the disk in a thread of the spool's own, away from the event loop."""
        call = functools.partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def look_up_all(self, campaign_id: str) -> Sequence[Partial]:
        """The same as `partials`, for the event loop: from memory where nothing has changed on disk."""
        known = self._index.known(campaign_id)
        return await self.run(self._index.scan, campaign_id) if known is None else known

    async def look_up(self, campaign_id: str, name: str) -> Partial | None:
        """The newest partial of that name, or None."""
        partials = await self.look_up_all(campaign_id)
        return next((partial for partial in partials if partial.name == name), None)

    async def write(self, spooled: SpoolFile, offset: int, content: bytes) -> None:
        """Write at an offset, having counted and noted in a thread what must be before. Raises what `SpoolFile.write` does."""
        await self._make_ready(spooled, offset)
        spooled.write(offset, content)

    async def truncate(self, spooled: SpoolFile, size: int) -> None:
        """Set the size in the same way. Raises what `SpoolFile.truncate` does."""
        await self._make_ready(spooled, size)
        spooled.truncate(size)

    async def free(self, campaign_id: str) -> int:
        """Bytes that the campaign may still spool."""
        if self.usage.is_stale(campaign_id):
            await self.run(self.usage.count, campaign_id)
        return self.usage.free(campaign_id)

    async def _make_ready(self, spooled: SpoolFile, offset: int) -> None:
        if self.usage.is_stale(spooled.campaign_id):
            await self.run(self.usage.count, spooled.campaign_id)
        if spooled.is_left_in_order(offset):
            await self.run(spooled.leave_order)

    def prepare(self) -> None:
        """Make the folder with mode 0700. Raises OSError where that can't be done, or where other programs use the folder."""
        self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        mode = stat.S_IMODE(self.root.stat().st_mode)
        if mode & stat.S_ISVTX:
            # This is a folder like /tmp. As root we would close it to everybody else, and sweep what isn't ours.
            raise OSError(
                errno.EPERM, "it is shared with other programs, so give the spool a folder of its own"
            )
        if mode != FOLDER_MODE:
            self.root.chmod(FOLDER_MODE)

    def campaigns(self) -> list[str]:
        """The campaigns that have a folder here. Raises OSError where the disk doesn't tell."""
        with suppress(FileNotFoundError), os.scandir(self.root) as entries:
            # The kind of an entry stands in the folder itself: no one of them is asked for, that may not answer.
            return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        return []

    def partials(self, campaign_id: str) -> list[Partial]:
        """The campaign's unfinished uploads that no handle is open on, the newest first."""
        known = self._index.known(campaign_id)
        return list(self._index.scan(campaign_id) if known is None else known)

    def create(self, session: Session, name: str, announced: int | None) -> SpoolFile:
        """Begin a new upload. It replaces a partial of the same name. Raises QuotaExceeded or SpoolFull."""
        replaced = [partial for partial in self.partials(session.campaign_id) if partial.name == name]
        if self.usage.is_stale(session.campaign_id):
            self.usage.count(session.campaign_id)
        self.usage.charge(session.campaign_id, 0)
        notes = PartialNotes(
            name=name,
            state=PartialState.WRITING,
            changed_at=datetime.now(UTC),
            announced=announced,
            connection_id=session.connection_id,
            source_address=session.source_address,
            fingerprint=session.fingerprint,
        )
        try:
            created = self._create(session.campaign_id, notes)
        except OSError:
            raise SpoolFull from None
        for partial in replaced:
            self.remove(partial)
        return created

    def make_room(self, campaign_id: str, name: str) -> list[Partial]:
        """Remove partials, so that the campaign may have another one of that name. Returns those that were removed."""
        others = [partial for partial in self.partials(campaign_id) if partial.name != name]
        return self._evict(others, self._max_partials - 1)

    def _evict(self, partials: Sequence[Partial], most: int) -> list[Partial]:
        """Remove all but `most`: the oldest, and those that were cut off or interrupted before those that only wait."""
        in_turn = sorted(
            partials,
            key=lambda partial: (partial.state is PartialState.WAITING, partial.notes.changed_at),
        )
        return [partial for partial in in_turn[: max(0, len(partials) - most)] if self.remove(partial)]

    def _create(self, campaign_id: str, notes: PartialNotes) -> SpoolFile:
        folder = self.root / campaign_id
        while True:
            path = folder / f"{secrets.token_hex(16)}.bytes"
            try:
                descriptor = open_locked(path, new=True)
            except FileExistsError:
                continue
            if descriptor is None:
                # The campaign's folder is missing, or another process's sweep was quicker than our lock.
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
                continue
            spooled = SpoolFile(self.usage, campaign_id, path, descriptor, notes, 0)
            try:
                write_notes(path.with_suffix(".json"), notes)
            except OSError:
                spooled.discard()
                raise
            return spooled

    def resume(
        self, partial: Partial, announced: int | None = None, *, writer: KeyUse | None = None
    ) -> SpoolFile:
        """Open a partial for writing, so that no other handle can. Raises PartialTaken or SpoolFull.

        `announced` is the size that the client gave in this OPEN. Without one, that of an earlier OPEN still holds. `writer` is
        the key whose bytes come in now, or None where none will.
        """
        try:
            descriptor = open_locked(partial.bytes_path)
            if descriptor is None:
                raise PartialTaken
            notes = read_notes(partial.notes_path)
            if notes is None or notes.without_ranges() != partial.notes:
                os.close(descriptor)
                raise PartialTaken
            if notes.in_order and os.fstat(descriptor).st_size != partial.size:
                os.close(descriptor)
                raise PartialTaken
            changes: dict[str, object] = {
                "state": PartialState.WRITING,
                "announced": announced or notes.announced,
                # Whatever becomes of it now is told anew.
                "changed_at": datetime.now(UTC),
                "reported": False,
            }
            if writer is not None and writer not in notes.writers:
                if len(notes.later_writers) >= _MAX_LATER_WRITERS:
                    os.close(descriptor)
                    raise PartialTaken
                changes["later_writers"] = [*notes.later_writers, writer]
            writing = notes.model_copy(update=changes)
            spooled = SpoolFile(
                self.usage, partial.campaign_id, partial.bytes_path, descriptor, writing, partial.size
            )
            write_notes(partial.notes_path, writing)
        except OSError:
            raise SpoolFull from None
        return spooled

    def keep(self, spooled: SpoolFile, state: PartialState) -> list[Partial]:
        """Release an upload as a partial, which replaces older ones of its name.

        Returns those of other names that were removed because there were too many.
        """
        spooled.keep(state)
        newest: dict[str, Partial] = {}
        for partial in self.partials(spooled.campaign_id):
            if partial.name in newest:
                self.remove(partial)
            else:
                newest[partial.name] = partial
        return self._evict(list(newest.values()), self._max_partials)

    def remove(self, partial: Partial) -> bool:
        """Remove a partial, unless a handle has been opened on it meanwhile. Returns whether it is gone."""
        try:
            self.resume(partial).discard()
        except (PartialTaken, SpoolFull):
            return not partial.bytes_path.exists()
        return True

    def remove_all_of(self, campaign_id: str, name: str) -> None:
        """Remove every partial of a name, as when an upload of it has been accepted."""
        for partial in self.partials(campaign_id):
            if partial.name == name:
                self.remove(partial)

    def rename(self, partial: Partial, name: str) -> None:
        """Give a partial another name, in place of any that had it. Raises PartialTaken or SpoolFull."""
        if name != partial.name:
            self.remove_all_of(partial.campaign_id, name)
            self.change_notes(partial, name=name)

    def change_notes(self, partial: Partial, **changes: object) -> None:
        """Change fields of a partial's note, but not when it was last changed. Raises PartialTaken or SpoolFull."""
        spooled = self.resume(partial)
        spooled.notes = partial.notes.model_copy(update=changes)
        spooled.keep(partial.state, changed_at=partial.notes.changed_at)
