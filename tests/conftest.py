"""What the tests of every room use: real servers, started once per run, and settings that lead there.

The servers need no event loop, so that each test has its own. The fixtures for all are `database_url`, `pool`, `connection`,
`campaign_id`, `s3_settings`, `mailbox`, `settings`, `gateway_variables` and `ed25519_key`. A test that stops or
restarts PostgreSQL or S3 takes one of its own: `own_postgres`, `own_s3`.
"""

import asyncio
import contextlib
import fcntl
import functools
import gc
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import hypothesis
import pytest
from pydantic import SecretStr

from audit.events import Actor
from campaigns.creation import create_campaign
from config.sections import DatabaseSettings, S3Settings
from config.settings import PREFIX, Settings, load_settings, variable_of
from database.connections import Connection, Pool, open_pool
from database.schema import migrate
from gateway.embedded.mail_server import Mailbox
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from gateway.embedded.s3 import S3Server, s3_server
from gateway.embedded.stack import database_variables, mailbox_variables, s3_variables
from rules.characters.unsupported import UnsupportedRule
from rules.templates import Language, Template

T = TypeVar("T")
TEMPLATE = "gateway_template"
# Bytes. The servers and temporary files of a whole run have taken 2.4 GiB at most.
ROOM_IN_MEMORY = 4 << 30
# Held for as long as a run uses the folder that this lies in.
LOCK = "in-use"
# Seconds, as a machine with other work may take several over any answer. What hangs has time-outs of its test's own.
PATIENT = {
    variable_of(name): "30"
    for name in (
        "database.connect_timeout",
        "database.command_timeout",
        "s3.connect_timeout",
        "s3.read_timeout",
    )
}
ADMIN = Actor(name="admin", source_address="192.0.2.9")
CAMPAIGN_TEMPLATE = Template("Clinic", {Language.CHINESE: "您好 {{name}}", Language.ENGLISH: "Dear {{name}}"})

# Every run has the same examples. A slow machine must not fail one, since pytest has a time-out of its own.
hypothesis.settings.register_profile(
    "gateway", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("gateway")
# Until all tests are collected there is nothing to collect but tests: looking for it takes a sixth of that time.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what all tests share: it would go through every module again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine to its end in a thread with its own event loop, since a test's loop may be running already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key made by ssh-keygen: the private file, mode 0600, and the line that an agency hands in."""

    private_file: Path
    public_line: str


def make_key(folder: Path, *options: str, name: str = "key") -> KeyPair:
    """A fresh key without a passphrase; `options` go to ssh-keygen, such as `-t`, `rsa`, `-b`, `2048`."""
    private_file = folder / name
    subprocess.run(
        ["ssh-keygen", "-q", "-N", "", "-C", "agency key", *options, "-f", private_file],
        check=True,
        timeout=60,
    )
    return KeyPair(private_file, private_file.with_name(f"{name}.pub").read_text().strip())


def folder_in_memory() -> Path | None:
    """Memory as a place for files, if it has room for those of all workers.

    A test's database is some 560 files that are made and removed again. On a disk's file system that takes the processor
    60 to 400 ms, in memory 14, and there are thousands of them.
    """
    memory = Path("/dev/shm")
    try:
        return memory if shutil.disk_usage(memory).free >= ROOM_IN_MEMORY else None
    except OSError:
        return None


def pytest_configure(config: pytest.Config) -> None:
    """Let this run's temporary files, and those of the programs that it starts, lie in memory, unless TMPDIR says where.

    They go with the run. To look at the files of a test that failed, set TMPDIR. A container's memory may take no programs.
    """
    memory = folder_in_memory()
    if memory and "TMPDIR" not in os.environ and not os.statvfs(memory).f_flag & os.ST_NOEXEC:
        run = contextlib.ExitStack()
        config.add_cleanup(run.close)
        os.environ["TMPDIR"] = str(run.enter_context(locked_folder(memory)))
        run.callback(os.environ.pop, "TMPDIR")
        # Python has looked for the place by now, and will have at the end.
        run.callback(setattr, tempfile, "tempdir", None)
        tempfile.tempdir = None


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short name: a socket's path may have 107 bytes."""
    with locked_folder(folder_in_memory() or Path(tempfile.gettempdir())) as folder:
        yield folder


@contextlib.contextmanager
def locked_folder(parent: Path) -> Iterator[Path]:
    """A folder in `parent` that lives as long as this run. What a killed run has left there is removed first."""
    remove_abandoned(parent)
    with (
        tempfile.TemporaryDirectory(prefix="gw-", dir=parent, ignore_cleanup_errors=True) as folder,
        (Path(folder) / "lock").open("x") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        # It gets its name once it is locked, as nobody may take a run that begins for one that has ended.
        Path(lock.name).rename(Path(folder) / LOCK)
        yield Path(folder)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of runs that have ended without it: the kernel gives their locks back."""
    for lock in parent.glob(f"gw-*/{LOCK}"):
        with contextlib.suppress(OSError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the shell that runs the tests, so that they don't change what a test sees."""
    for name in os.environ:
        if name.upper().startswith(PREFIX) or name in (
            "NOTIFY_SOCKET",
            "STATE_DIRECTORY",
            "CREDENTIALS_DIRECTORY",
        ):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres(short_folder: Path) -> Iterator[PostgreSQLServer]:
    """The PostgreSQL server of this run. Never stop it: all tests of the run share it."""
    with postgres_server(short_folder / "pg", durable=False) as server:
        yield server


class DatabaseMaker:
    """Makes and removes the databases of single tests, on one connection that is kept.

    There are thousands of them. A copy of the template's files takes a third of the work of a copy through the log, which
    is PostgreSQL's own choice, and a connection for each database would double what is left.
    """

    def __init__(self, postgres: PostgreSQLServer) -> None:
        self._postgres = postgres
        self._names = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        # In a thread of its own, since a test's loop may be running already.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._connection = self._wait_for(asyncpg.connect(postgres.socket_url("postgres")))

    @contextlib.contextmanager
    def database(self, template: str) -> Iterator[str]:
        """The URL of a copy of `template`, which is removed at the end, whoever is still connected."""
        name = f"test_{os.getpid()}_{next(self._names)}"
        self._wait_for(
            self._connection.execute(f"create database {name} template {template} strategy file_copy")
        )
        try:
            yield self._postgres.socket_url(name)
        finally:
            self._wait_for(self._connection.execute(f"drop database {name} with (force)"))

    def close(self) -> None:
        self._wait_for(self._connection.close())
        self._thread.shutdown()
        self._loop.close()

    def _wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.submit(self._loop.run_until_complete, coroutine).result()


@pytest.fixture(scope="session")
def database_maker(postgres: PostgreSQLServer) -> Iterator[DatabaseMaker]:
    maker = DatabaseMaker(postgres)
    yield maker
    maker.close()


@pytest.fixture(scope="session")
def template_database(postgres: PostgreSQLServer) -> str:
    """A database with the whole schema and no rows."""
    postgres.run_sql(f"create database {TEMPLATE}")
    run_apart(migrate(DatabaseSettings(url=SecretStr(postgres.socket_url(TEMPLATE)))))
    return TEMPLATE


_names = itertools.count(1)


@pytest.fixture
def database_url(database_maker: DatabaseMaker, template_database: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    with database_maker.database(template_database) as url:
        yield url


@pytest.fixture
def empty_database_url(database_maker: DatabaseMaker) -> Iterator[str]:
    """A database of this test's own without any schema."""
    with database_maker.database("template1") as url:
        yield url


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    """A pool of connections to `database_url`."""
    async with open_pool(settings.database, name="test") as opened:
        yield opened


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """A connection to this test's own database."""
    async with pool.acquire() as acquired:
        yield acquired


@pytest.fixture
async def campaign_id(connection: Connection) -> str:
    """An active campaign without keys."""
    created = await create_campaign(
        connection,
        name="Clinic reminders",
        template=CAMPAIGN_TEMPLATE,
        notify_email="ops@clinic.gov.sg",
        unsupported=UnsupportedRule(),
        actor=ADMIN,
    )
    return created.id


@pytest.fixture
async def other_campaign_id(connection: Connection) -> str:
    """Another active campaign without keys."""
    created = await create_campaign(
        connection,
        name="Library notices",
        template=CAMPAIGN_TEMPLATE,
        notify_email="it@library.gov.sg",
        unsupported=UnsupportedRule(),
        actor=ADMIN,
    )
    return created.id


@pytest.fixture(scope="session")
def s3(short_folder: Path) -> Iterator[S3Server]:
    """The S3 server of this run. Never stop it: all tests of the run share it."""
    with s3_server(short_folder / "s3") as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> str:
    """An empty bucket of this test's own."""
    name = f"bucket-{next(_names)}"
    s3.make_bucket(name)
    return name


@pytest.fixture
def s3_settings(settings: Settings) -> S3Settings:
    """The settings that lead to `bucket`."""
    return settings.s3


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """A mail server of this test's own; `become` makes it fail."""
    with Mailbox(tmp_path / "mail") as opened:
        yield opened


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """The gateway's state folder, mode 0700."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gateway_variables(
    database_url: str, s3: S3Server, bucket: str, mailbox: Mailbox, state: Path
) -> dict[str, str]:
    """The environment variables that lead a gateway to this test's own servers; any free ports; test environment."""
    return {
        **database_variables(database_url),
        **s3_variables(s3.endpoint_url, bucket),
        **mailbox_variables(mailbox),
        variable_of("environment"): "test",
        variable_of("sftp.host"): "127.0.0.1",
        variable_of("sftp.port"): "0",
        variable_of("sftp.host_key_dir"): str(state / "host-keys"),
        variable_of("sftp.spool_dir"): str(state / "spool"),
        variable_of("ops.port"): "0",
        # A child for verdicts takes half a second of a processor to start, and few tests have two at a time.
        variable_of("worker.concurrent_verdicts"): "1",
        variable_of("log.format"): "json",
        **PATIENT,
    }


@pytest.fixture
def settings(gateway_variables: dict[str, str]) -> Settings:
    """The settings that `gateway_variables` give. For others use `settings.model_copy(update=…)` or other variables."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in gateway_variables.items():
            environment.setenv(name, value)
        return load_settings(None)


@pytest.fixture
def own_postgres(short_folder: Path) -> Iterator[PostgreSQLServer]:
    """A PostgreSQL that this test may stop, kill and restart, with the migrated database `postgres`."""
    with postgres_server(short_folder / f"pg{next(_names)}", durable=False) as server:
        run_apart(migrate(DatabaseSettings(url=SecretStr(server.socket_url("postgres")))))
        yield server


@pytest.fixture
def own_s3(short_folder: Path) -> Iterator[S3Server]:
    """An S3 server with the bucket `own` that this test may stop and start."""
    with s3_server(short_folder / f"s3-{next(_names)}", bucket="own") as server:
        yield server


@pytest.fixture
def key_maker(tmp_path: Path) -> Callable[..., KeyPair]:
    """Makes keys of any kind: `key_maker("-t", "rsa", "-b", "2048", name="weak")`."""
    return functools.partial(make_key, tmp_path)


@pytest.fixture(scope="session")
def ed25519_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """An agency's Ed25519 key."""
    return make_key(tmp_path_factory.mktemp("ed25519"), "-t", "ed25519")


@pytest.fixture(scope="session")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """Another Ed25519 key, which nobody has handed in."""
    return make_key(tmp_path_factory.mktemp("other"), "-t", "ed25519")


@pytest.fixture(scope="session")
def rsa_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """An RSA key made as the guide says: its private half is PEM."""
    return make_key(tmp_path_factory.mktemp("rsa"), "-t", "rsa", "-b", "3072", "-m", "PEM")


@pytest.fixture(scope="session")
def ecdsa_key(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """An ECDSA key on the curve P-256."""
    return make_key(tmp_path_factory.mktemp("ecdsa"), "-t", "ecdsa", "-b", "256")
