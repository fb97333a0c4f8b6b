"""SFTP packets of one channel: asyncssh's own handler, with the gaps closed that an upload service can't live with.

asyncssh's `SFTPServerHandler` calls `SFTPServer.close()` for the client's own FXP_CLOSE and for the clean-up after a cut
connection alike, sends the text of an unexpected exception to the client, tells its name and release in an extension,
and sends no exit status, so that `scp` fails after a good upload. `tests/sftpd/session/test_asyncssh_inside.py` fails when the
methods relied on here change.
"""

import secrets
from typing import Any, Final, cast

import asyncssh
from asyncssh.constants import (
    FX_EOF,
    FX_OK,
    FXP_BLOCK,
    FXP_CLOSE,
    FXP_EXTENDED,
    FXP_HANDLE,
    FXP_NAME,
    FXP_OPEN,
    FXP_OPENDIR,
    FXP_STATUS,
    FXP_UNBLOCK,
)
from asyncssh.packet import PacketDecodeError, SSHPacket, String, UInt32
from asyncssh.sftp import MAX_SFTP_READ_LEN, SFTPServerHandler

from config.logs import get_logger
from sftpd.budgets import SessionBudget
from sftpd.refusals import (
    AccessEnded,
    InternalError,
    InvalidHandle,
    MalformedRequest,
    Refusal,
    TooManyHandles,
    UnsupportedRequest,
)
from sftpd.session.drop_box import DropBox
from sftpd.session.file_names import NameKind
from sftpd.session.requests import WRITE_OVERHEAD, RequestStream
from sftpd.session.uploading import OpenFile

SFTP_VERSION: Final = 3
# A temporary name is no upload yet, and an agency whose program never renames it should see so.
WAITS: Final = "waits for its rename to a name in .csv"

_log = get_logger("sftpd")


class PacketHandler(SFTPServerHandler):
    """Serves one channel's requests, strictly one after the other."""

    _extensions = [  # noqa: RUF012 - asyncssh's own attribute, replaced whole
        (b"posix-rename@openssh.com", b"1"),
        (b"statvfs@openssh.com", b"2"),
        (b"fstatvfs@openssh.com", b"2"),
        (b"fsync@openssh.com", b"1"),
        (b"lsetstat@openssh.com", b"1"),
        (b"limits@openssh.com", b"1"),
    ]

    def __init__(
        self,
        box: DropBox,
        budget: SessionBudget,
        requests: RequestStream,
        reader: "asyncssh.SSHReader[bytes]",
        writer: "asyncssh.SSHWriter[bytes]",
    ) -> None:
        super().__init__(box, reader, writer, SFTP_VERSION)
        self._box = box
        self._budget = budget
        self._requests = requests
        self._told: set[str] = set()

    async def run(self) -> None:
        """Serve until the client leaves. It never raises, because an exception would end the client's other channels too."""
        try:
            await super().run()
        except EOFError:
            await self._cleanup(None)
        except Exception as error:  # noqa: BLE001 - the border to asyncssh, which would end the connection
            _log.exception("internal_error", connection_id=self._box.session.connection_id, where="run")
            await self._cleanup(error)

    async def recv_packet(self) -> SSHPacket:
        """The next request, when this session's budget allows it to be served."""
        length = await self._requests.wait_whole()
        await self._budget.wait_to_serve()
        return SSHPacket(self._requests.take(length))

    async def recv_packets(self) -> None:
        """Serve requests. A client that speaks only versions 0 to 2 is told what is needed."""
        if self._version < SFTP_VERSION:
            self._tell("this service needs SFTP version 3")
            await self._cleanup(asyncssh.SFTPBadMessage("SFTP version below 3"))
            return
        await super().recv_packets()

    async def _cleanup(self, exc: Exception | None) -> None:
        """Keep what the client has not closed as partials, then tell how the channel ended, which `scp` wants to know."""
        self._requests.drop()
        handles, self._file_handles = list(self._file_handles.values()), {}
        folders, self._dir_handles = len(self._dir_handles), {}
        self._box.session.open_handles -= len(handles) + folders
        for opened in handles:
            try:
                await self._box.cut(cast(OpenFile, opened))
            except Exception:  # noqa: BLE001 - logged; it is the trouble of one upload only
                # What the other handles have written must be kept all the same.
                _log.exception(
                    "internal_error", connection_id=self._box.session.connection_id, where="cleanup"
                )
        if self._writer is not None and not self._writer.channel.is_closing():
            cast("asyncssh.SSHServerChannel[bytes]", self._writer.channel).exit(0 if exc is None else 1)
        await super()._cleanup(exc)

    async def _process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """Answer one request. Whatever goes wrong, the client reads a text that we wrote, and never an exception's."""
        self._box.session.touch()
        try:
            reply_type, reply = await self._answer(pkttype, packet)
        except Refusal as refusal:
            reply_type, reply = FXP_STATUS, self._refuse(refusal)
        except asyncssh.SFTPEOFError:
            reply_type, reply = FXP_STATUS, UInt32(FX_EOF) + String("") + String("")
        except asyncssh.SFTPInvalidHandle:
            reply_type, reply = FXP_STATUS, self._refuse(InvalidHandle())
        except (PacketDecodeError, asyncssh.SFTPBadMessage):
            reply_type, reply = FXP_STATUS, self._refuse(MalformedRequest())
        except Exception:  # noqa: BLE001 - logged with a reference; asyncssh would send its text
            reference = secrets.token_hex(4)
            _log.exception(
                "internal_error",
                connection_id=self._box.session.connection_id,
                campaign_id=self._box.session.campaign_id,
                request=pkttype,
                reference=reference,
            )
            reply_type, reply = FXP_STATUS, self._refuse(InternalError(reference))
        self._box.session.touch()
        self.send_packet(reply_type, pktid, UInt32(pktid), reply)

    async def _answer(self, pkttype: int, packet: SSHPacket) -> tuple[int, bytes]:
        """The type and body of the answer. Raises Refusal, or what asyncssh's own parsing raises."""
        kind: int | bytes = packet.get_string() if pkttype == FXP_EXTENDED else pkttype
        process = self._packet_handlers.get(kind)
        if process is None:
            raise UnsupportedRequest
        if self._box.session.revoked:
            raise AccessEnded
        result: Any = await process(self, packet)
        reply_type = self._return_types.get(kind, FXP_STATUS)
        if reply_type == FXP_STATUS:
            return FXP_STATUS, UInt32(FX_OK) + String("") + String("")
        if reply_type == FXP_HANDLE:
            return reply_type, String(result)
        if reply_type == FXP_NAME:
            names, _at_end = result
            return reply_type, UInt32(len(names)) + b"".join(name.encode(SFTP_VERSION) for name in names)
        if isinstance(result, asyncssh.SFTPLimits):
            return reply_type, result.encode()
        return reply_type, result.encode(SFTP_VERSION)

    def _refuse(self, refusal: Refusal) -> bytes:
        """The body of the status that refuses a request. The first time in a channel, its line goes to stderr too."""
        if refusal.line not in self._told:
            self._told.add(refusal.line)
            if refusal.shown:
                _log.info(
                    refusal.event,
                    campaign_id=self._box.session.campaign_id,
                    connection_id=self._box.session.connection_id,
                )
                self._tell(refusal.line)
        return UInt32(refusal.status) + String(refusal.line) + String("en")

    def _tell(self, line: str) -> None:
        """Write one line to the channel's stderr, which OpenSSH's and PuTTY's clients show."""
        if self._writer is not None and not self._writer.channel.is_closing():
            channel = cast("asyncssh.SSHServerChannel[bytes]", self._writer.channel)
            channel.write_stderr(line.encode() + b"\r\n")

    def _claim_handle(self) -> None:
        session = self._box.session
        if session.open_handles >= self._box.settings.max_handles:
            raise TooManyHandles
        session.open_handles += 1

    async def _process_open(self, packet: SSHPacket) -> bytes:
        path = packet.get_string()
        flags = packet.get_uint32()
        attributes = asyncssh.SFTPAttrs.decode(packet, SFTP_VERSION)
        packet.check_end()
        self._claim_handle()
        try:
            opened = await self._box.open_file(path, flags, attributes)
        except BaseException:
            self._box.session.open_handles -= 1
            raise
        handle = self._get_next_handle()
        self._file_handles[handle] = opened
        return handle

    async def _process_close(self, packet: SSHPacket) -> None:
        """Answer the client's own CLOSE: only this and a RENAME complete an upload."""
        handle = packet.get_string()
        packet.check_end()
        opened = self._file_handles.pop(handle, None)
        if opened is not None:
            self._box.session.open_handles -= 1
            await self._box.complete(cast(OpenFile, opened))
            if cast(OpenFile, opened).kind is NameKind.TEMPORARY and WAITS not in self._told:
                self._told.add(WAITS)
                self._tell(WAITS)
        elif self._dir_handles.pop(handle, None) is not None:
            self._box.session.open_handles -= 1
        else:
            raise InvalidHandle

    async def _process_opendir(self, packet: SSHPacket) -> bytes:
        path = packet.get_string()
        packet.check_end()
        self._claim_handle()
        try:
            names = await self._box.list_names(path)
        except BaseException:
            self._box.session.open_handles -= 1
            raise
        handle = self._get_next_handle()
        self._dir_handles[handle] = names
        return handle

    async def _process_limits(self, packet: SSHPacket) -> asyncssh.SFTPLimits:
        packet.check_end()
        settings = self._box.settings
        return asyncssh.SFTPLimits(
            settings.announced_write_bytes + WRITE_OVERHEAD,
            MAX_SFTP_READ_LEN,
            settings.announced_write_bytes,
            settings.max_handles,
        )

    # asyncssh looks handlers up in this table and not by name, so what is overridden above must be named again. Requests
    # that would read content, or that version 3 doesn't have, are left out.
    _packet_handlers: dict[int | bytes, Any] = {  # noqa: RUF012 - as above
        **{
            kind: process
            for kind, process in SFTPServerHandler._packet_handlers.items()  # noqa: SLF001 - the table we extend
            if kind not in {FXP_BLOCK, FXP_UNBLOCK, b"copy-data", b"ranges@asyncssh.com"}
        },
        FXP_OPEN: _process_open,
        FXP_CLOSE: _process_close,
        FXP_OPENDIR: _process_opendir,
        b"limits@openssh.com": _process_limits,
    }
