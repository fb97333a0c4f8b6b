"""The drop box: one flat, write-only folder, in which a campaign sees only its own (2-gateway.md §1).

In: the requests of one channel, each of which is answered here or refused with a `Refusal`. Out: a finished spool, to the
intake. Names here are only names: they are never used as paths on the node's disk. `sftpd.session.packet_handler` calls
`open_file`, `complete`, `cut` and `list_names`; the other methods are asyncssh's hooks.
"""

# ruff: noqa: ARG002 - asyncssh names the arguments of its hooks

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from operator import itemgetter

import asyncssh
from asyncssh.constants import FXF_APPEND, FXF_WRITE

from config.sections import SFTPSettings
from processing.intake import Intake
from sftpd.refusals import (
    AcceptedUnchangeable,
    FolderRefused,
    LinksRefused,
    NameRefused,
    NoSuchFile,
    Refusal,
    StillOpen,
    WriteOnly,
)
from sftpd.session.file_names import is_root, may_become, parse_name
from sftpd.session.intake_client import IntakeClient
from sftpd.session.listing import (
    MAX_TIME,
    folder_attributes,
    listed_name,
    partial_attributes,
    space_attributes,
    upload_attributes,
)
from sftpd.session.received_uploads import ReceivedUploads
from sftpd.session.uploading import ChannelUploads, OpenFile
from sftpd.sessions import Session
from sftpd.spool.partials import Partial
from sftpd.spool.spool import Spool


class DropBox(asyncssh.SFTPServer):
    """What one SFTP channel sees and may do."""

    def __init__(
        self,
        channel: "asyncssh.SSHServerChannel[bytes]",
        session: Session,
        spool: Spool,
        intake: Intake,
        received_uploads: ReceivedUploads,
        settings: SFTPSettings,
    ) -> None:
        super().__init__(channel)
        self.session = session
        self.settings = settings
        self._spool = spool
        self._received_uploads = received_uploads
        self._uploads = ChannelUploads(
            session, spool, IntakeClient(intake, session), received_uploads, settings
        )

    async def open_file(self, path: bytes, flags: int, attributes: asyncssh.SFTPAttrs) -> OpenFile:
        """Answer an OPEN for writing with a new handle. Raises WriteOnly for any other OPEN."""
        name = _name(path)
        if not flags & (FXF_WRITE | FXF_APPEND):
            raise WriteOnly
        return await self._uploads.begin(name, flags, attributes)

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Answer a WRITE."""
        await self._uploads.write(_opened(file_obj), offset, data)
        return len(data)

    async def complete(self, opened: OpenFile) -> None:
        """Answer the client's own CLOSE."""
        await self._uploads.complete(opened)

    async def cut(self, opened: OpenFile) -> None:
        """Close a handle that a lost connection has left open."""
        await self._uploads.cut(opened)

    async def close(self, file_obj: object) -> None:
        """asyncssh calls this hook for a CLOSE and for a clean-up alike, so it must never complete an upload."""
        await self._uploads.cut(_opened(file_obj))

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Answer a RENAME. One to a name that ends in .csv completes an upload."""
        old, new = _name(oldpath), _name(newpath)
        partial = await self._find(old)
        if partial is None:
            raise await self._refusal_for_missing(old)
        await self._uploads.rename(partial, new)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Do the same as RENAME, which never minds an earlier upload of the new name."""
        await self.rename(oldpath, newpath)

    async def remove(self, path: bytes) -> None:
        """Answer a REMOVE of a partial, or of an accepted upload that makes room for the temporary file closed just before."""
        name = _name(path)
        if partial := await self._find(name):
            if not await self._spool.run(self._spool.remove, partial):
                raise StillOpen
            return
        temporary = self._uploads.closed_temporary
        if (
            temporary is not None
            and may_become(temporary, name, self.settings.temporary_suffixes)
            and await self._received_uploads.fetch(self.session.campaign_id, name)
        ):
            await self._received_uploads.unlist(self.session.campaign_id, name)
            return
        raise await self._refusal_for_missing(name)

    async def _refusal_for_missing(self, name: str) -> Refusal:
        """What to tell a client that wants to rename or remove a name of which there is no partial."""
        if any(opened.name == name for opened in self._uploads.open):
            return StillOpen()
        return (
            AcceptedUnchangeable()
            if await self._received_uploads.fetch(self.session.campaign_id, name)
            else NoSuchFile()
        )

    async def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """The attributes of the drop box, of a partial, or of an upload of the last 24 hours. Raises NoSuchFile."""
        if is_root(path):
            return folder_attributes(datetime.now(UTC))
        name = _known_name(path)
        if partial := await self._find(name):
            return partial_attributes(partial.size, partial.modified_at)
        for opened in self._uploads.open:
            if opened.name == name:
                return partial_attributes(opened.size, opened.modified_at or datetime.now(UTC))
        upload = await self._received_uploads.fetch(self.session.campaign_id, name)
        if upload is None:
            raise NoSuchFile
        return upload_attributes(upload.byte_count, upload.modified_at or upload.received_at)

    async def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        """Do the same as STAT, because there are no links."""
        return await self.stat(path)

    async def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        """The attributes of an open handle. Until its first WRITE they are those of the partial that it was opened on."""
        opened = _opened(file_obj)
        modified_at = opened.modified_at or (
            opened.partial.modified_at if opened.partial else datetime.now(UTC)
        )
        return partial_attributes(opened.size, modified_at)

    async def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Note the time that a client sets, and ignore modes and owners. Raises AcceptedUnchangeable for another size."""
        if is_root(path):
            return
        name = _known_name(path)
        modified_at = _modified_at(attrs)
        partial = await self._find(name)
        if attrs.size is not None and attrs.size != (await self.stat(path)).size:
            raise AcceptedUnchangeable
        if modified_at is None:
            return
        for opened in self._uploads.open:
            if opened.name == name:
                opened.modified_at = modified_at
        if partial is not None:
            await self._spool.run(self._spool.change_notes, partial, modified_at=modified_at)
        else:
            await self._received_uploads.record_modified_at(self.session.campaign_id, name, modified_at)

    async def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Do the same as SETSTAT, because there are no links."""
        await self.setstat(path, attrs)

    async def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """Note the time. A size truncates, or leaves a hole up to there. Raises TooLarge and what a WRITE raises."""
        opened = _opened(file_obj)
        if attrs.size is not None:
            await self._uploads.truncate(opened, attrs.size)
        opened.modified_at = _modified_at(attrs) or opened.modified_at

    async def list_names(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """The drop box's listing, of uploads only the newest. Raises NoSuchFile for any other folder, ListingUnavailable.

        Entries are made when they are asked for: a listing that is open keeps little more than names.
        """
        if not is_root(path):
            raise NoSuchFile
        now = datetime.now(UTC)
        campaign_id = self.session.campaign_id
        listed: dict[str, _Entry] = {
            upload.file_name: (upload_attributes, upload.byte_count, upload.modified_at or upload.received_at)
            for upload in await self._received_uploads.fetch_newest(
                campaign_id, self.settings.max_listed_uploads
            )
        }
        for opened in self._uploads.open:
            listed[opened.name] = partial_attributes, opened.size, opened.modified_at or now
        for partial in reversed(await self._spool.look_up_all(campaign_id)):
            listed[partial.name] = partial_attributes, partial.size, partial.modified_at
        return _make_names(sorted(listed.items(), key=itemgetter(0)), now)

    async def realpath(self, path: bytes) -> bytes:
        """The one spelling of a name, such as `/x`."""
        return b"/" if is_root(path) else b"/" + parse_name(path).encode()

    async def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Agree to make the drop box itself, since some clients make their home folder first. Refuse any other folder."""
        if not is_root(path):
            raise FolderRefused

    async def rmdir(self, path: bytes) -> None:
        """Refuse: there are no folders."""
        raise FolderRefused

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Refuse: nobody may read a byte back."""
        raise WriteOnly

    async def readlink(self, path: bytes) -> bytes:
        """Refuse: there are no links."""
        raise LinksRefused

    async def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        """Refuse: there are no links."""
        raise LinksRefused

    async def link(self, oldpath: bytes, newpath: bytes) -> None:
        """Refuse: there are no links."""
        raise LinksRefused

    async def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        """How much this campaign may still spool."""
        return space_attributes(
            await self._spool.free(self.session.campaign_id),
            self.settings.max_spool_bytes_per_campaign,
            self.settings.max_handles,
        )

    async def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        """Do the same as STATVFS: all of the drop box has the same space."""
        return await self.statvfs(b"/")

    async def fsync(self, file_obj: object) -> None:
        """Do nothing, because an upload is durable only when its CLOSE is answered OK."""
        _opened(file_obj)

    async def _find(self, name: str) -> Partial | None:
        return await self._spool.look_up(self.session.campaign_id, name)


# Who makes the attributes of a listed name, its bytes, and its time.
_Entry = tuple[Callable[[int, datetime], asyncssh.SFTPAttrs], int, datetime]


async def _make_names(listed: list[tuple[str, _Entry]], now: datetime) -> AsyncIterator[asyncssh.SFTPName]:
    for name, (make_attributes, size, modified_at) in listed:
        yield listed_name(name, make_attributes(size, modified_at), now)


def _opened(file_obj: object) -> OpenFile:
    if not isinstance(file_obj, OpenFile):
        message = "a handle that the drop box did not open"
        raise TypeError(message)
    return file_obj


def _name(path: bytes) -> str:
    """The name in a request that makes or changes a file. Raises NameRefused or FolderRefused."""
    if is_root(path):
        raise FolderRefused
    return parse_name(path)


def _known_name(path: bytes) -> str:
    """The name to look up. Raises NoSuchFile for a name that could never have been uploaded."""
    try:
        return parse_name(path)
    except (NameRefused, FolderRefused):
        raise NoSuchFile from None


def _modified_at(attributes: asyncssh.SFTPAttrs) -> datetime | None:
    if attributes.mtime is None:
        return None
    return datetime.fromtimestamp(min(attributes.mtime, MAX_TIME), UTC)
