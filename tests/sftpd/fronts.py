"""A front in the test's own event loop, a campaign with a key, and clients that connect to it."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from audit.events import Actor
from campaigns.campaigns import add_keys
from campaigns.creation import create_campaign
from config.settings import Settings
from database.connections import Pool
from gateway.processes.front import intake_settings
from keys.host_key_changes import generate_host_keys
from keys.public_keys import check_lines
from processing.intake import Intake
from processing.object_store import open_store
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template
from sftpd import metrics
from sftpd.front import serve_front
from tests.conftest import KeyPair

OPS = Actor(name="test")
GOOD_CSV = b"recipient,language,recipient_name\n6591234567,english,Emily\n6591234568,english,James\n"


async def add_campaign(pool: Pool, *keys: KeyPair, sources: Sequence[str] = ()) -> str:
    """An active campaign with these keys. Returns its id."""
    template = Template("Agency", {Language.ENGLISH: "Dear {{recipient_name}}"})
    async with pool.acquire() as connection, connection.transaction():
        campaign = await create_campaign(
            connection,
            name="Parking",
            template=template,
            notify_email="night@agency.example",
            unsupported=UnsupportedRule(),
            actor=OPS,
        )
        for key in keys:
            passed, refused = check_lines(key.public_line)
            assert not refused
            await add_keys(connection, campaign.id, passed, actor=OPS)
        if sources:
            await connection.execute(
                "update campaigns set allowed_sources = $2::text[]::cidr[] where id = $1",
                campaign.id,
                list(sources),
            )
    return campaign.id


def fingerprint(key: KeyPair) -> str:
    """How the database names the key."""
    return asyncssh.import_public_key(key.public_line).get_fingerprint()


def change_sftp(settings: Settings, **changes: object) -> Settings:
    """The same settings with some of the section `sftp` changed."""
    return settings.model_copy(update={"sftp": settings.sftp.model_copy(update=changes)})


@dataclass
class Front:
    """A front that is running."""

    settings: Settings
    port: int
    stop: asyncio.Event
    ended: "asyncio.Task[None]"
    connections: list[asyncssh.SSHClientConnection] = field(default_factory=list)

    async def connect(
        self,
        user: str,
        key: KeyPair | None,
        *,
        source: str | None = None,
        **options: object,
    ) -> asyncssh.SSHClientConnection:
        """Log in with asyncssh's client, from another loopback address if `source` names one."""
        given = {
            "username": user,
            "client_keys": [str(key.private_file)] if key else [],
            "known_hosts": None,
            "config": None,
            "agent_path": None,
            "local_addr": (source, 0) if source else (),
            **options,
        }
        connection = await asyncssh.connect("127.0.0.1", self.port, **given)
        self.connections.append(connection)
        return connection

    async def connect_bare(
        self, source: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a bare TCP connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))

    def sftp_command(self, user: str, key: KeyPair, *options: str) -> list[str]:
        """OpenSSH's `sftp -b -` against this front."""
        return [
            *("sftp", "-q", "-b", "-", "-P", str(self.port), "-i", str(key.private_file)),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "IdentitiesOnly=yes", "-F", "none", *options, f"{user}@127.0.0.1"),
        ]

    async def sftp(self, user: str, key: KeyPair, batch: str, *options: str) -> "Ended":
        """Run a batch of OpenSSH's `sftp`."""
        return await run(self.sftp_command(user, key, *options), batch.encode())

    async def ssh(self, user: str, key: KeyPair, *words: str, options: Sequence[str] = ()) -> "Ended":
        """Run OpenSSH's `ssh` with a command."""
        command = [
            *("ssh", "-p", str(self.port), "-i", str(key.private_file), "-F", "none", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=INFO"),
            *("-o", "IdentitiesOnly=yes", *options, f"{user}@127.0.0.1", *words),
        ]
        return await run(command)


async def eventually(holds: Callable[[], bool], timeout: float = 30) -> None:
    """Wait until something that the server does on its own has happened."""
    async with asyncio.timeout(timeout):
        while not holds():  # noqa: ASYNC110 - it happens inside the server, which has no event for it
            await asyncio.sleep(0.01)


def _connections_ended(outcome: str | None) -> float:
    samples = [sample for metric in metrics.CONNECTIONS.collect() for sample in metric.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name.endswith("_total") and outcome in (None, sample.labels["outcome"])
    )


@contextlib.asynccontextmanager
async def counted(connections: int = 1, *, outcome: str | None = None) -> AsyncIterator[None]:
    """Wait, once what is inside is done, until the front of this process has taken note of the end of so many connections.

    A client knows of its end sooner: what the front makes of it, such as a failed login, comes with that note.
    """
    before = _connections_ended(outcome)
    yield
    await eventually(lambda: _connections_ended(outcome) >= before + connections)


@dataclass(frozen=True)
class Ended:
    """How a client ended."""

    status: int
    stdout: str
    stderr: str


async def run(command: Sequence[str], stdin: bytes = b"", timeout: float = 30) -> Ended:
    """Run a client program to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout):
            stdout, stderr = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, stdout.decode(), stderr.decode())


def listening_socket() -> socket.socket:
    """A socket that listens on any free port of 127.0.0.1."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listening.setblocking(False)
    return listening


async def install_host_keys(settings: Settings, pool: Pool, made: Path) -> None:
    """Give this test's node the run's host keys, and record them in its database."""
    folder = settings.sftp.host_key_dir
    if not folder.exists():
        shutil.copytree(made, folder)
        folder.chmod(0o700)
    async with pool.acquire() as connection, connection.transaction():
        await generate_host_keys(connection, folder, actor=OPS)


@contextlib.asynccontextmanager
async def running_front(
    settings: Settings, pool: Pool, listening: socket.socket | None = None
) -> AsyncIterator[Front]:
    """A front with a real intake, on a port of its own. At the end it is stopped, and all that it started has ended."""
    async with open_store(settings.s3) as store:
        intake = Intake(pool, store, intake_settings(settings.sftp))
        with contextlib.closing(listening or listening_socket()) as listening:
            stop, ready = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(serve_front(settings, [listening], pool, intake, stop, ready.set))
            # A front that fails at its start never calls `ready`, so its end must wake us as well.
            task.add_done_callback(lambda _: ready.set())
            async with asyncio.timeout(20):
                await ready.wait()
            if task.done():
                await task
            front = Front(settings, listening.getsockname()[1], stop, task)
            try:
                yield front
            finally:
                for connection in front.connections:
                    connection.abort()
                stop.set()
                async with asyncio.timeout(settings.sftp.drain_timeout + 10):
                    await task
