"""Uploads of one channel, from OPEN to the client's own CLOSE or RENAME (2-gateway.md §1, from "Opening and resuming" on).

Every OPEN writes to a spooled upload of its own. An upload is complete when the client closes it under a .csv name, or when
it renames to such a name what it has closed. Whatever else happens to a handle leaves a partial, or nothing.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from asyncssh import SFTPAttrs
from asyncssh.constants import FXF_CREAT, FXF_TRUNC

from config.logs import get_logger
from config.sections import SFTPSettings
from sftpd.refusals import (
    InterruptedUnrenamable,
    NoSuchFile,
    NotCSV,
    Refusal,
    SpoilingRefusal,
    TooLarge,
    UploadInterrupted,
    WriterWithdrawn,
    WrongOffset,
)
from sftpd.session.file_names import NameKind, classify_name
from sftpd.session.intake_client import IntakeClient, RefusedUpload
from sftpd.session.received_uploads import ReceivedUploads
from sftpd.sessions import Session
from sftpd.spool.interruption import EXCUSED_BY_EMPTY_LINE, Suspicion, is_putty
from sftpd.spool.partials import Partial, PartialState
from sftpd.spool.spool import Spool
from sftpd.spool.spool_file import SpoolFile

_log = get_logger("sftpd")


@dataclass(slots=True, eq=False)
class OpenFile:
    """An open handle. It writes to a `spooled` upload of its own, or shows a `partial` until its first WRITE."""

    name: str
    kind: NameKind
    # The size in bytes that the client gave in OPEN.
    announced: int | None
    # The OPEN asked for truncation: whatever had this name before, this is a new upload, even an empty one.
    opened_anew: bool = True
    # It goes on writing to a partial.
    is_resumed: bool = False
    # The client set the size by FSETSTAT.
    size_was_set: bool = False
    spooled: SpoolFile | None = None
    partial: Partial | None = None
    # Why this handle will never complete an upload. Clients send CLOSE all the same, and are then told it again.
    refusal: Refusal | None = None
    modified_at: datetime | None = None

    @property
    def size(self) -> int:
        """What FSTAT tells, in bytes."""
        if self.spooled is not None:
            return self.spooled.size
        return self.partial.size if self.partial is not None else 0


class ChannelUploads:
    """What one channel is uploading. A method that refuses a request raises a Refusal."""

    def __init__(
        self,
        session: Session,
        spool: Spool,
        intake_client: IntakeClient,
        received_uploads: ReceivedUploads,
        settings: SFTPSettings,
    ) -> None:
        self._session = session
        self._spool = spool
        self._intake_client = intake_client
        self._received_uploads = received_uploads
        self._settings = settings
        self._log = _log.bind(campaign_id=session.campaign_id, connection_id=session.connection_id)
        self.open: set[OpenFile] = set()
        # The temporary name that was closed last, until the next OPEN or RENAME. WinSCP and lftp remove the earlier upload of
        # the final name in between.
        self.closed_temporary: str | None = None

    async def begin(self, name: str, flags: int, attributes: SFTPAttrs) -> OpenFile:
        """Open `name` for writing, either anew or showing its partial until the first WRITE."""
        self.closed_temporary = None
        kind = await self._check_kind(name, 0)
        # A size of 0 announces nothing: clients send it for a file that they are about to fill.
        announced = attributes.size or None
        if announced is not None and announced >= self._settings.max_upload_bytes:
            await self._intake_client.report(name, RefusedUpload.TOO_LARGE, announced)
            raise TooLarge.beyond(self._settings.max_upload_bytes)
        opened = OpenFile(name, kind, announced, opened_anew=bool(flags & FXF_TRUNC))
        partial = await self._spool.look_up(self._session.campaign_id, name)
        if (
            partial is None
            and not flags & FXF_CREAT
            and not await self._received_uploads.fetch(self._session.campaign_id, name)
        ):
            raise NoSuchFile
        if partial is not None and not flags & FXF_TRUNC:
            opened.partial = partial
        else:
            opened.spooled = await self._create(name, announced)
        self.open.add(opened)
        self._session.begin_upload(opened)
        return opened

    async def write(self, opened: OpenFile, offset: int, content: bytes) -> None:
        """Take in a WRITE. Where the handle shows a partial, the first one at 0 begins anew, and one at its end resumes it."""
        if opened.refusal is not None:
            raise opened.refusal
        end = offset + len(content)
        if end >= self._settings.max_upload_bytes:
            await self._refuse_size(opened, end)
        spooled = opened.spooled
        if spooled is None:
            if opened.partial is not None and offset not in {0, opened.partial.size}:
                self._spoil(opened, WrongOffset())
            spooled = await self._start_spooling(opened, resume=offset != 0)
        try:
            await self._spool.write(spooled, offset, content)
        except SpoilingRefusal as refusal:
            self._spoil(opened, refusal)

    async def truncate(self, opened: OpenFile, size: int) -> None:
        """Take in the size of an FSETSTAT, which truncates, or leaves a hole up to there."""
        if opened.refusal is not None:
            raise opened.refusal
        if size >= self._settings.max_upload_bytes:
            await self._refuse_size(opened, size)
        opened.size_was_set = True
        spooled = opened.spooled
        if spooled is None:
            if size == opened.size:
                return
            spooled = await self._start_spooling(opened, resume=size != 0)
        try:
            await self._spool.truncate(spooled, size)
        except SpoilingRefusal as refusal:
            self._spoil(opened, refusal)

    async def complete(self, opened: OpenFile) -> None:
        """Answer the client's own CLOSE. Returns when an upload is durable, or a temporary file waits for its rename."""
        self.open.discard(opened)
        try:
            await self._complete(opened)
        finally:
            self._session.end_upload(opened)

    async def _complete(self, opened: OpenFile) -> None:
        if opened.refusal is not None:
            raise opened.refusal
        spooled = opened.spooled
        if spooled is None:
            if opened.partial is not None and opened.partial.state is PartialState.WAITING:
                # The client has only looked at it, so it goes on waiting for its rename.
                return
            # The client wanted to resume it and sent nothing, as an interrupted client does.
            await self._intake_client.report(opened.name, RefusedUpload.INTERRUPTED, opened.size)
            raise UploadInterrupted.after(opened.size)
        if (
            not opened.opened_anew
            and not opened.is_resumed
            and spooled.trace.count == 0
            and await self._is_nothing_new(opened, spooled)
        ):
            return
        spooled.set_modified_at(opened.modified_at)
        suspicion = await self._find_suspicion(spooled)
        if suspicion is not None:
            self._log.info("upload_suspected", suspicion=suspicion.value, bytes=spooled.size)
            # Content with a hole is nobody's file, so nobody may ever want it released. A single byte would have 30 MB stored.
            kept = None if suspicion is Suspicion.HOLE else spooled.path
            try:
                # The bytes stay locked while the intake copies them.
                await self._intake_client.report(opened.name, RefusedUpload.INTERRUPTED, spooled.size, kept)
            finally:
                await self._keep(spooled, PartialState.INTERRUPTED)
            raise UploadInterrupted.after(spooled.size)
        if opened.kind is NameKind.TEMPORARY:
            await self._keep(spooled, PartialState.WAITING)
            self.closed_temporary = opened.name
            return
        try:
            await self._intake_client.store(spooled, opened.name, opened.modified_at)
        finally:
            spooled.discard()
        await self._spool.run(self._spool.remove_all_of, self._session.campaign_id, opened.name)

    async def _find_suspicion(self, spooled: SpoolFile) -> Suspicion | None:
        """Why this CLOSE looks like an interrupted upload's, or None. The content is read only where it may excuse it."""
        suspicion = spooled.suspicion(by_putty=is_putty(self._session.client_version))
        if suspicion in EXCUSED_BY_EMPTY_LINE and await self._spool.run(spooled.ends_in_its_only_empty_line):
            return None
        return suspicion

    async def _is_nothing_new(self, opened: OpenFile, spooled: SpoolFile) -> bool:
        """Whether a handle without a WRITE was opened to resume an earlier upload, which is whole. If so, its spool is dropped.

        curl's `-C -` and lftp's `put -c` do so where only the answer to their CLOSE was lost.
        """
        try:
            earlier = await self._received_uploads.fetch(self._session.campaign_id, opened.name)
            if earlier is None or (opened.size_was_set and not earlier.byte_count == spooled.size > 0):
                return False
            if opened.modified_at is not None:
                await self._received_uploads.record_modified_at(
                    self._session.campaign_id, opened.name, opened.modified_at
                )
        except Refusal:
            spooled.discard()
            raise
        spooled.discard()
        self._log.info("upload_whole_already", bytes=earlier.byte_count)
        return True

    async def cut(self, opened: OpenFile) -> None:
        """Close a handle that its client did not close. What came becomes a partial, and is never processed as it is."""
        if opened not in self.open:
            return
        self.open.discard(opened)
        try:
            spooled = opened.spooled
            if spooled is None:
                return
            if self._session.revoked or spooled.size == 0:
                spooled.discard()
                return
            self._log.info("upload_cut", bytes=spooled.size)
            spooled.set_modified_at(opened.modified_at)
            await self._keep(spooled, PartialState.CUT)
        finally:
            self._session.end_upload(opened)

    async def rename(self, partial: Partial, name: str) -> None:
        """Rename an upload that waits for it. A name in .csv completes it; this then returns when it is durable, like CLOSE."""
        if partial.state is not PartialState.WAITING:
            raise InterruptedUnrenamable
        kind = await self._check_kind(name, partial.size)
        self.closed_temporary = None
        if kind is NameKind.TEMPORARY:
            await self._spool.run(self._spool.rename, partial, name)
            return
        self._session.begin_upload()
        try:
            spooled = await self._spool.run(self._spool.resume, partial)
            try:
                await self._intake_client.store(spooled, name, partial.notes.modified_at)
            except WriterWithdrawn:
                spooled.discard()
                raise
            except BaseException:
                # Its CLOSE was answered OK, so the client may try the rename again.
                await self._spool.run(self._spool.keep, spooled, PartialState.WAITING)
                raise
            spooled.discard()
        finally:
            self._session.end_upload()
        await self._spool.run(self._spool.remove_all_of, self._session.campaign_id, name)

    async def _check_kind(self, name: str, size: int) -> NameKind:
        kind = classify_name(name, self._settings.temporary_suffixes)
        if kind is NameKind.OTHER:
            await self._intake_client.report(name, RefusedUpload.NOT_CSV, size)
            raise NotCSV
        return kind

    async def _create(self, name: str, announced: int | None) -> SpoolFile:
        """Begin a new upload, for which the oldest partials make room where there are too many."""
        evicted = await self._spool.run(self._spool.make_room, self._session.campaign_id, name)
        await self._intake_client.report_evicted(evicted)
        return await self._spool.run(self._spool.create, self._session, name, announced)

    async def _keep(self, spooled: SpoolFile, state: PartialState) -> None:
        """Release an upload as a partial, for which the oldest others make room where there are too many."""
        await self._intake_client.report_evicted(await self._spool.run(self._spool.keep, spooled, state))

    async def _start_spooling(self, opened: OpenFile, *, resume: bool) -> SpoolFile:
        """Give a handle that showed a partial something to write to: that partial, or a new upload in its place."""
        partial, opened.partial = opened.partial, None
        try:
            if resume and partial is not None:
                opened.spooled = await self._spool.run(
                    self._spool.resume, partial, opened.announced, writer=self._session.key_use
                )
                opened.is_resumed = True
            else:
                opened.spooled = await self._create(opened.name, opened.announced)
        except Refusal as refusal:
            self._spoil(opened, refusal)
        return opened.spooled

    async def _refuse_size(self, opened: OpenFile, size: int) -> NoReturn:
        if opened.partial is not None:
            await self._spool.run(self._spool.remove, opened.partial)
        try:
            self._spoil(opened, TooLarge.beyond(self._settings.max_upload_bytes))
        finally:
            await self._intake_client.report(opened.name, RefusedUpload.TOO_LARGE, size)

    def _spoil(self, opened: OpenFile, refusal: Refusal) -> NoReturn:
        """Drop what came, and raise the refusal. The handle stays, because clients still send CLOSE for it."""
        spooled, opened.spooled = opened.spooled, None
        opened.partial = None
        if spooled is not None:
            spooled.discard()
        opened.refusal = refusal
        raise refusal
