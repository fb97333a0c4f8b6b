"""A drop box on a server that lets everybody in, for tests of the box alone: its intake only writes down what it is asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import FXF_CREAT, FXF_TRUNC, FXF_WRITE
from asyncssh.sftp import SFTPClientHandler

from config.addresses import block_of, parse_address
from config.sections import SFTPSettings
from processing.intake import FinishedSpool, Intake, IntakeUnavailable, Sender
from processing.uploads import ListedUpload
from rules.codes import FindingCode
from sftpd.budgets import Turns
from sftpd.connections.pacing import Pacer
from sftpd.connections.ssh_connection import GuardedConnection
from sftpd.refusals import ListingUnavailable
from sftpd.session.channel import ChannelTasks, GuardedChannel, UploadChannel, open_channel
from sftpd.session.drop_box import DropBox
from sftpd.session.received_uploads import ReceivedUploads
from sftpd.sessions import Session
from sftpd.spool.spool import Spool

CAMPAIGN = "campaign_test"
# Bytes from which on the box of `session/conftest.py` refuses an upload.
LIMIT = 100_000


class NotedIntake(Intake):
    """An intake that keeps what was stored, with its bytes, and what was refused. While `away` it takes nothing."""

    def __init__(self) -> None:
        self.stored: list[tuple[str, bytes]] = []
        self.refused: list[tuple[str, FindingCode, int, bytes | None]] = []
        self.listed: dict[str, ListedUpload] = {}
        # The names of all that came in, taken or refused, and when: what is taken out of the listing stays here.
        self.came_in: list[tuple[str, datetime]] = []
        self._refused_once: set[str] = set()
        self.away = False
        # While this is cleared, a store waits.
        self.may_store = asyncio.Event()
        self.may_store.set()
        self.storing = asyncio.Event()

    async def store(self, spool: FinishedSpool) -> None:
        self.storing.set()
        await self.may_store.wait()
        if self.away:
            raise IntakeUnavailable("the upload could not be stored; please send it again")
        content = spool.path.read_bytes()
        assert len(content) == spool.byte_count
        self.stored.append((spool.file_name, content))
        self.list_upload(
            ListedUpload(spool.file_name, spool.byte_count, spool.modified_at, datetime.now(UTC))
        )

    def list_upload(self, upload: ListedUpload) -> None:
        """Have the listing show it in place of an earlier one of its name."""
        self.listed[upload.file_name] = upload
        self.came_in.append((upload.file_name, upload.received_at))

    async def refuse(
        self,
        sender: Sender,
        file_name: str,
        code: FindingCode,
        *,
        byte_count: int,
        path: Path | None = None,
        upload_id: str | None = None,
    ) -> str:
        if self.away:
            raise IntakeUnavailable("the refusal could not be recorded")
        if upload_id is not None:
            if upload_id in self._refused_once:
                return upload_id
            self._refused_once.add(upload_id)
        self.came_in.append((file_name, datetime.now(UTC)))
        self.refused.append((file_name, code, byte_count, path.read_bytes() if path else None))  # noqa: ASYNC240 - tiny
        return "upload_refused"

    @property
    def names(self) -> list[str]:
        """The names of what was stored, in order."""
        return [name for name, _ in self.stored]

    @property
    def codes(self) -> list[FindingCode]:
        """The codes of what was refused, in order."""
        return [code for _, code, _, _ in self.refused]


class NotedUploads(ReceivedUploads):
    """The listing of what the intake above has stored, for tests of the box that need no server.

    `test_received_uploads.py` holds it to the database's answers.
    """

    def __init__(self, intake: NotedIntake) -> None:
        self._intake = intake

    async def fetch_newest(self, campaign_id: str, most: int) -> list[ListedUpload]:
        newest = sorted(self._listed.values(), key=lambda upload: upload.received_at, reverse=True)[:most]
        return sorted(newest, key=lambda upload: upload.file_name)

    async def fetch(self, campaign_id: str, name: str) -> ListedUpload | None:
        return self._listed.get(name)

    async def has_any_since(self, campaign_id: str, names: Sequence[str], since: datetime) -> bool:
        if self._intake.away:
            raise ListingUnavailable
        return any(name in names and at >= since for name, at in self._intake.came_in)

    async def unlist(self, campaign_id: str, name: str) -> None:
        self._listed.pop(name, None)

    async def record_modified_at(self, campaign_id: str, name: str, modified_at: datetime) -> None:
        if upload := self._listed.get(name):
            self._listed[name] = replace(upload, modified_at=modified_at)

    @property
    def _listed(self) -> dict[str, ListedUpload]:
        if self._intake.away:
            raise ListingUnavailable
        return self._intake.listed


@dataclass
class Box:
    """A running server, and what to ask of it."""

    port: int
    settings: SFTPSettings
    spool: Spool
    intake: NotedIntake
    tasks: ChannelTasks
    pacer: Pacer
    sessions: list[Session] = field(default_factory=list)
    connections: list[asyncssh.SSHClientConnection] = field(default_factory=list)
    # The server's ends of them, and of those of other programs.
    served: list[asyncssh.SSHServerConnection] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Every file in the spool."""
        return sorted(path for path in self.settings.spool_dir.rglob("*") if path.is_file())

    async def connect(self, **options: Any) -> asyncssh.SSHClientConnection:
        """A login of the one campaign; `options` are asyncssh's."""
        connection = await asyncssh.connect(
            "127.0.0.1",
            self.port,
            username=CAMPAIGN,
            known_hosts=None,
            config=None,
            client_keys=[],
            agent_path=None,
            **options,
        )
        self.connections.append(connection)
        return connection

    async def client(self) -> SFTPClientHandler:
        """A client that sends exactly the packets it is told to."""
        connection = await self.connect()
        sftp = await connection.start_sftp_client()
        return sftp._handler

    async def wait_cut(self) -> None:
        """Wait until no upload is in progress in any session."""
        async with asyncio.timeout(10):
            while any(session.active_uploads for session in self.sessions):  # noqa: ASYNC110 - the session has no event for it
                await asyncio.sleep(0.01)

    def raw_command(self, program: str, *options: str) -> list[str]:
        """A command line of OpenSSH's sftp or scp, up to its operands."""
        return [
            *(program, "-q", "-P", str(self.port), "-F", "none", "-o", "StrictHostKeyChecking=no"),
            *("-o", "UserKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=none", *options),
        ]


class _OpenServer(asyncssh.SSHServer):
    def __init__(self, box: Box) -> None:
        self._box = box
        self._session = Session(
            CAMPAIGN, f"connection_{len(box.sessions) + 1}", "127.0.0.1", "SHA256:fingerprint"
        )
        box.sessions.append(self._session)

    async def begin_auth(self, username: str) -> bool:
        self._connection.logged_in = True
        return False

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, GuardedConnection)
        self._connection = conn
        self._box.served.append(conn)

    def session_requested(self) -> tuple[GuardedChannel, UploadChannel]:
        box = self._box
        budget = self._connection.budget
        upload_channel = UploadChannel(
            self._session,
            budget,
            lambda channel: DropBox(
                channel, self._session, box.spool, box.intake, NotedUploads(box.intake), box.settings
            ),
            lambda: None,
            lambda: None,
            box.tasks,
        )
        return open_channel(self._connection, budget, upload_channel, others=len(self._connection._channels))


@contextlib.asynccontextmanager
async def running_box(spool_dir: Path, **changes: Any) -> AsyncIterator[Box]:
    """A box that lets everybody in as the one campaign."""
    settings = SFTPSettings(spool_dir=spool_dir, host_key_dir=spool_dir, **changes)
    spool = Spool(settings)
    spool.prepare()
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with ChannelTasks() as tasks:
        box = Box(0, settings, spool, NotedIntake(), tasks, Pacer(rate=0, burst=10_000))
        loop, turns = asyncio.get_running_loop(), Turns(settings.turn_seconds)

        def make_connection() -> GuardedConnection:
            options = asyncssh.SSHServerConnectionOptions(
                server_factory=lambda: _OpenServer(box), server_host_keys=[key], encoding=None
            )
            return GuardedConnection(
                loop,
                options,
                block=block_of(parse_address("127.0.0.1")),
                pacer=box.pacer,
                turns=turns,
                settings=settings,
            )

        server = await loop.create_server(make_connection, "127.0.0.1", 0)
        box.port = server.sockets[0].getsockname()[1]
        try:
            yield box
        finally:
            for connection in box.connections:
                connection.abort()
            await box.wait_cut()
            for served in box.served:
                served.abort()
                await served.wait_closed()
            server.close()
            await server.wait_closed()


async def write_blocks(
    client: SFTPClientHandler, handle: bytes, content: bytes, block: int, start: int = 0
) -> None:
    """Send `content` from `start` on in WRITEs of `block` bytes, each with its answer."""
    for offset in range(start, len(content), block):
        await client.write(handle, offset, content[offset : min(offset + block, len(content))])


def csv_of(size: int) -> bytes:
    """An upload of exactly that many bytes."""
    line = b"6591234567,english,Emily\n"
    return (line * (size // len(line) + 1))[:size]


@contextlib.asynccontextmanager
async def refused(code: int, text: str) -> AsyncIterator[None]:
    """What is inside must be refused with that status and a text that holds `text`."""
    with pytest.raises(asyncssh.SFTPError) as caught:
        yield
    assert caught.value.code == code, caught.value.reason
    assert text in caught.value.reason


ANEW = FXF_WRITE | FXF_CREAT | FXF_TRUNC
NOTHING = asyncssh.SFTPAttrs()
SMALL = csv_of(1_000)


async def put(client: SFTPClientHandler, path: bytes, content: bytes) -> None:
    """Upload as most clients do: anew, in blocks of 32 KB."""
    handle = await client.open(path, ANEW, NOTHING)
    await write_blocks(client, handle, content, 32_768)
    await client.close(handle)


async def listed(client: SFTPClientHandler) -> list[tuple[bytes, int]]:
    """What the drop box shows: names and sizes."""
    folder = await client.opendir(b"/")
    names: list[tuple[bytes, int]] = []
    try:
        while True:
            found, _ = await client.readdir(folder)
            for name in found:
                assert isinstance(name.filename, bytes)
                assert name.attrs.size is not None
                names.append((name.filename, name.attrs.size))
    except asyncssh.SFTPEOFError:
        await client.close(folder)
        return names
