"""What all tests of this folder run on: embedded PostgreSQL, S3 behind a proxy, a mail server, campaigns with a key, and any
number of nodes of the gateway, each a process tree of its own."""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
from pydantic import SecretStr

from audit.events import Actor
from campaigns.campaigns import add_keys
from config.fault_points import VARIABLE as FAULT_POINTS_VARIABLE
from config.sections import DatabaseSettings
from config.settings import PREFIX, variable_of
from database.connections import Connection
from database.hosts import connect_to_any
from database.schema import migrate
from gateway.embedded.mail_server import Mailbox, open_mailbox
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from gateway.embedded.s3 import S3Server, s3_server
from gateway.embedded.stack import BUCKET, database_variables, mailbox_variables, s3_variables
from keys.host_key_changes import generate_host_keys
from keys.host_keys import HostKey
from keys.public_keys import check_lines
from tests.chaos.testbed.files import TEMPLATE
from tests.chaos.testbed.node import Command, Node, new_port
from tests.chaos.testbed.proxy import Proxy, open_proxy
from tests.conftest import KeyPair, make_key

DATABASE: Final = "postgres"
_ACTOR: Final = Actor(name="chaos")
# The nodes retry and sweep sooner than in production, since a run of kills would take hours otherwise.
QUICK: Final = {
    "worker.retry_first": "0.5",
    "worker.heartbeat_timeout": "4",
    "worker.sweep_interval": "2",
    "smtp.timeout": "4",
}


@dataclass
class Testbed:
    """Running servers, and the nodes that were added to them so far."""

    # Its name begins as pytest's test classes do.
    __test__ = False

    folder: Path
    postgres: PostgreSQLServer
    s3: S3Server
    proxy: Proxy
    s3_url: str
    """Where the nodes find S3: at the proxy in front of it, or at the server itself."""
    mailbox: Mailbox
    key: KeyPair
    host_keys: Sequence[HostKey]
    campaigns: list[str]
    nodes: list[Node] = field(default_factory=list)

    @property
    def fault_points(self) -> Path:
        """A file put here, named like a fault point, kills the next process that reaches it."""
        return self.folder / "fault-points"

    @property
    def temporary(self) -> Path:
        """The folder that the nodes use in place of /tmp, so that what they leave there is found."""
        return self.folder / "tmp"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def fronts(self) -> list[Node]:
        return [node for node in self.nodes if node.has_front]

    async def add_node(self, command: Command = "run", *, start: bool = True, **changes: str) -> Node:
        """Add a node with these settings changed, such as `worker__processes="2"`. With `start` it is then ready."""
        node = self._new_node(command, changes, None)
        if start:
            await node.start()
        return node

    async def add_node_of(self, tree: Path) -> Node:
        """Add a node that runs another release, whose packages lie in `tree`, and wait until it is ready."""
        node = self._new_node("run", {}, tree)
        await node.start()
        return node

    def _new_node(self, command: Command, changes: Mapping[str, str], tree: Path | None) -> Node:
        name = f"node{len(self.nodes) + 1}"
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        port = new_port()
        settings = {
            variable_of("environment"): "production",
            **database_variables(self.postgres.tcp_url(DATABASE)),
            **s3_variables(self.s3_url, BUCKET),
            **mailbox_variables(self.mailbox),
            variable_of("sftp.host"): "127.0.0.1",
            variable_of("sftp.port"): str(port),
            variable_of("sftp.host_key_dir"): str(self.folder / "host-keys"),
            variable_of("sftp.spool_dir"): str(folder / "spool"),
            # All clients come from one address here and kills end logins half-way, which would shut that address out.
            variable_of("sftp.trusted_addresses"): "127.0.0.1",
            variable_of("ops.port"): "0",
            variable_of("log.format"): "json",
            **{variable_of(key): value for key, value in QUICK.items()},
            # Kills by chance may hit one job five times, which is no fault of its own. The release before has no such setting.
            **({} if tree else {variable_of("worker.max_job_crashes"): "1000"}),
            **{variable_of(key.replace("__", ".")): value for key, value in changes.items()},
        }
        environment = {
            **_shell(),
            **settings,
            FAULT_POINTS_VARIABLE: str(self.fault_points),
            "TMPDIR": str(self.temporary),
        }
        node = Node(name, folder, command, environment, port, tree)
        with self.known_hosts.open("a") as lines:
            lines.writelines(f"{key.known_hosts_line('127.0.0.1', port)}\n" for key in self.host_keys)
        self.nodes.append(node)
        return node

    async def add_nodes(self, count: int, command: Command = "run", **changes: str) -> list[Node]:
        """Add several nodes with the same settings, which start at once."""
        nodes = [await self.add_node(command, start=False, **changes) for _ in range(count)]
        await asyncio.gather(*(node.start() for node in nodes))
        return nodes

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Ask the database."""
        async with self.connected() as connection:
            return await connection.fetch(statement, *arguments)

    async def fetch_value(self, statement: str, *arguments: Any) -> Any:
        """Ask the database for one value."""
        async with self.connected() as connection:
            return await connection.fetchval(statement, *arguments)

    async def holds(self, statement: str, *arguments: Any) -> bool:
        """Ask the database a question whose answer is yes or no; null counts as no."""
        return bool(await self.fetch_value(statement, *arguments))

    @contextlib.asynccontextmanager
    async def connected(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        """A connection to the database."""
        connection = await connect_to_any(self.postgres.socket_url(DATABASE), timeout=10)
        try:
            yield connection
        finally:
            await connection.close()


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout: float) -> float:
    """Wait until `condition` holds, and return the seconds that took. Raises TimeoutError with `what`, what was waited for."""
    began = time.monotonic()
    while not await condition():
        if time.monotonic() - began > timeout:
            message = f"{what}: not within {timeout:.0f} s"
            raise TimeoutError(message)
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def _shell() -> dict[str, str]:
    dropped = ("NOTIFY_SOCKET", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "LISTEN_PID", "LISTEN_FDS")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(PREFIX) and name not in dropped
    }


def _migrate(database: DatabaseSettings) -> None:
    asyncio.run(migrate(database))


@contextlib.asynccontextmanager
async def open_testbed(
    *,
    campaigns: int = 3,
    proxied: bool = True,
    keep_logs: Path | None = None,
    migrate_with: Callable[[DatabaseSettings], object] = _migrate,
    server: Callable[[Path], contextlib.AbstractContextManager[PostgreSQLServer]] = postgres_server,
) -> AsyncIterator[Testbed]:
    """Start the servers and set up schema, host keys, and campaigns that share one key. At the end all of it is removed.

    With `proxied` unset the nodes speak to S3 itself, so that a measurement leaves out the proxy's own work. With `keep_logs`
    the logs of the nodes are copied to that folder before it ends. `migrate_with` makes the schema; it is called in a thread.
    `server` starts the database in a folder.
    """
    with ExitStack() as servers:
        folder = Path(
            servers.enter_context(tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True))
        )
        postgres = servers.enter_context(server(folder / "pg"))
        s3 = servers.enter_context(s3_server(folder / "s3", bucket=BUCKET))
        mailbox = servers.enter_context(open_mailbox(folder / "mail"))
        key = make_key(folder, "-t", "ed25519")
        for name in ("fault-points", "tmp", "files"):
            (folder / name).mkdir()
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(open_proxy(s3.port))
            database = DatabaseSettings(url=SecretStr(postgres.socket_url(DATABASE)))
            await asyncio.to_thread(migrate_with, database)
            host_keys, campaign_ids = await _provision(postgres, folder / "host-keys", key, campaigns)
            s3_url = proxy.endpoint_url if proxied else s3.endpoint_url
            testbed = Testbed(folder, postgres, s3, proxy, s3_url, mailbox, key, host_keys, campaign_ids)
            try:
                yield testbed
            finally:
                await asyncio.gather(*(node.kill() for node in testbed.nodes))
                if keep_logs:
                    for node in testbed.nodes:
                        if node.log.exists():
                            shutil.copy(node.log, keep_logs / f"{node.name}.log")


async def _provision(
    postgres: PostgreSQLServer, host_key_folder: Path, key: KeyPair, campaigns: int
) -> tuple[list[HostKey], list[str]]:
    connection = await connect_to_any(postgres.socket_url(DATABASE), timeout=10)
    try:
        async with connection.transaction():
            host_keys = await generate_host_keys(connection, host_key_folder, actor=_ACTOR)
            passed, refused = check_lines(key.public_line)
            assert not refused
            ids = []
            for number in range(1, campaigns + 1):
                campaign_id = f"campaign_{uuid.uuid4()}"
                await _insert_campaign(connection, campaign_id, number)
                await add_keys(connection, campaign_id, passed, actor=_ACTOR)
                ids.append(campaign_id)
    finally:
        await connection.close()
    return host_keys, ids


async def _insert_campaign(connection: Connection, campaign_id: str, number: int) -> None:
    """A campaign by the columns that it has had since the first release, whose schema this may be."""
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email) values ($1, $2, $3, $4)",
        campaign_id, f"Harbour {number}", TEMPLATE.header, f"night{number}@agency.example",
    )  # fmt: skip
    for position, (language, body) in enumerate(TEMPLATE.bodies.items()):
        await connection.execute(
            "insert into template_bodies (campaign_id, language, body, position) values ($1, $2, $3, $4)",
            campaign_id, language.value, body, position,
        )  # fmt: skip
