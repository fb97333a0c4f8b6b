"""Three PostgreSQL servers under Debian's Patroni, by the file that the docs give to operators, with etcd beside them."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.server_process import ServerProcess, answers, free_port
from gateway.errors import EmbeddedError
from tests.database.failover.servers import process_tree

CONFIGURATION: Final = Path(__file__).resolve().parents[3] / "docs" / "ops" / "patroni.yml"
_PROGRAMS: Final = Path("/usr/lib/postgresql/15/bin")
_SUPERUSER: Final = "postgres"
_START: Final = 240.0
# A cluster that has all its servers and isn't whole after so long, is helped.
_STUCK: Final = 90.0


def missing_programs() -> list[str]:
    """What a Patroni cluster needs and this machine lacks."""
    missing = [name for name in ("patroni", "etcd") if shutil.which(name) is None]
    return missing if (_PROGRAMS / "postgres").exists() else [*missing, "postgresql-15"]


@dataclass
class Member:
    """One server with its Patroni: what would be a machine of its own."""

    name: str
    folder: Path
    port: int
    rest_port: int
    environment: dict[str, str]
    process: ServerProcess | None = None

    def start(self) -> None:
        """Run Patroni, which runs PostgreSQL."""
        self.process = ServerProcess(
            self.name,
            ["patroni", CONFIGURATION_COPY.format(folder=self.folder.parent)],
            log=self.folder / "patroni.log",
            user=_SUPERUSER if os.geteuid() == 0 else None,
            environment=self.environment,
        )

    def ask(self, path: str, asked: object = None) -> tuple[int, Any]:
        """A call of its HTTP interface: status and document; status 0 where it doesn't answer."""
        body = None if asked is None else json.dumps(asked).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.rest_port}/{path}", body)
        try:
            with urllib.request.urlopen(request, timeout=60 if body else 1) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    @property
    def is_leader(self) -> bool:
        return self.ask("primary")[0] == 200

    def followers(self) -> list[str]:
        """How each server that streams from this one is followed by it: `sync`, `async` or `potential`."""
        status, text = self.ask("patroni")
        rows = json.loads(text).get("replication", []) if status == 200 else []
        return [row["sync_state"] for row in rows if row["state"] == "streaming"]

    def postmaster(self) -> int | None:
        """The number of PostgreSQL's first process."""
        try:
            return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def processes(self, *, patroni: bool) -> list[int]:
        """All processes of PostgreSQL, and of Patroni too if asked, parents first."""
        roots = [self.process.pid] if patroni and self.process else []
        postmaster = self.postmaster()
        return [pid for root in (*roots, *([postmaster] if postmaster else [])) for pid in process_tree(root)]

    def signal(self, number: signal.Signals, *, patroni: bool) -> None:
        """Send a signal to all of them. Asked for twice, as one of them may be starting another one."""
        for _ in range(2):
            for pid in self.processes(patroni=patroni):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)


CONFIGURATION_COPY: Final = "{folder}/patroni.yml"


class PatroniCluster(PostgreSQLServer):
    """The three as one server: who connects to it names all of them, and comes to the one that takes writes."""

    def __init__(self, folder: Path) -> None:
        """Prepare; `start` runs it. The cluster isn't made by the embedded programs, so nothing of theirs is called."""
        self.folder = folder
        self.password = secrets.token_urlsafe(18)
        self.members: list[Member] = []
        self._etcd: ServerProcess | None = None
        self._proxy: ServerProcess | None = None
        self._proxy_port = 0
        self._etcd_url = ""
        self.cures = 0
        """How often a cluster that stayed without a synchronous standby had to be helped."""

    def socket_url(self, database: str) -> str:
        return self.tcp_url(database)

    def tcp_url(self, database: str) -> str:
        hosts = ",".join(f"127.0.0.1:{member.port}" for member in self.members)
        return f"postgresql://{_SUPERUSER}:{self.password}@{hosts}/{database}"

    def start(self) -> None:
        """Start etcd and the members, and wait until one takes writes and another follows synchronously."""
        self.folder.mkdir(mode=0o755)
        # PostgreSQL's user must come through here.
        for path in self.folder.parents:
            if path.stat().st_uid == os.geteuid() and not path.stat().st_mode & 0o001:
                path.chmod(path.stat().st_mode | 0o011)
        shutil.copy(CONFIGURATION, CONFIGURATION_COPY.format(folder=self.folder))
        client, peer = free_port(), free_port()
        here = "http://127.0.0.1"
        self._etcd_url = f"{here}:{client}"
        self._etcd = ServerProcess(
            "etcd",
            ["etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", f"{here}:{client}",
             "--advertise-client-urls", f"{here}:{client}", "--listen-peer-urls", f"{here}:{peer}",
             "--initial-advertise-peer-urls", f"{here}:{peer}", "--initial-cluster", f"default={here}:{peer}"],
            log=self.folder / "etcd.log",
        )  # fmt: skip
        self._etcd.wait_until_ready(lambda: answers(client))
        replication = secrets.token_urlsafe(18)
        for name in ("db1", "db2", "db3"):
            folder = self.folder / name
            folder.mkdir()
            if os.geteuid() == 0:
                shutil.chown(folder, _SUPERUSER, _SUPERUSER)
            port, rest_port = free_port(), free_port()
            environment = {
                **os.environ,
                "PATRONI_NAME": name,
                "PATRONI_ETCD3_HOSTS": f"127.0.0.1:{client}",
                "PATRONI_RESTAPI_LISTEN": f"127.0.0.1:{rest_port}",
                "PATRONI_RESTAPI_CONNECT_ADDRESS": f"127.0.0.1:{rest_port}",
                "PATRONI_POSTGRESQL_LISTEN": f"127.0.0.1:{port}",
                "PATRONI_POSTGRESQL_CONNECT_ADDRESS": f"127.0.0.1:{port}",
                "PATRONI_POSTGRESQL_DATA_DIR": str(folder / "data"),
                "PATRONI_POSTGRESQL_BIN_DIR": str(_PROGRAMS),
                "PATRONI_POSTGRESQL_PGPASS": str(folder / "pgpass"),
                "PATRONI_SUPERUSER_USERNAME": _SUPERUSER,
                "PATRONI_SUPERUSER_PASSWORD": self.password,
                "PATRONI_REPLICATION_USERNAME": "replicator",
                "PATRONI_REPLICATION_PASSWORD": replication,
            }
            self.members.append(Member(name, folder, port, rest_port, environment))
        for member in self.members:
            member.start()
        self.wait_until_whole()

    def proxy_url(self, database: str) -> str | None:
        """The address of an HAProxy before the three, by the docs' own file; None without the program."""
        program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            return None
        if self._proxy is None:
            self._proxy_port = free_port()
            environment = {**os.environ, "HAPROXY_BIND": f"127.0.0.1:{self._proxy_port}"}
            for member in self.members:
                name = f"HAPROXY_{member.name.upper()}"
                environment[name] = f"127.0.0.1:{member.port}"
                environment[f"{name}_REST"] = str(member.rest_port)
            self._proxy = ServerProcess(
                "HAProxy",
                [program, "-db", "-f", CONFIGURATION.with_name("haproxy.cfg")],
                log=self.folder / "haproxy.log",
                environment=environment,
            )
            self._proxy.wait_until_ready(lambda: answers(self._proxy_port))
        return f"postgresql://{_SUPERUSER}:{self.password}@127.0.0.1:{self._proxy_port}/{database}"

    def leader(self) -> Member | None:
        """The member that takes writes now, by its own word."""
        return next((member for member in self.members if member.is_leader), None)

    def is_whole(self) -> bool:
        """Whether one leads, both others stream from it, and one of them synchronously."""
        leader = self.leader()
        followers = leader.followers() if leader else []
        # The second is what the others will rely on, a moment later than the first.
        return (
            len(followers) == len(self.members) - 1
            and "sync" in followers
            and any(member.ask("sync")[0] == 200 for member in self.members)
        )

    def wait_until_whole(self, timeout: float = _START) -> None:
        """Raises EmbeddedError where it isn't in time."""
        began = time.monotonic()
        deadline = began + timeout
        while not self.is_whole():
            if time.monotonic() > began + _STUCK * (self.cures + 1) and self.leader() is not None:
                self._cure()
            if time.monotonic() > deadline:
                states = "; ".join(
                    f"{member.name} {member.ask('patroni')[1][:300]}" for member in self.members
                )
                raise EmbeddedError(f"the cluster isn't whole after {timeout:.0f} s: {states}")
            time.sleep(0.2)

    def _cure(self) -> None:
        """What the docs tell operators to do where a leader that hung has written itself down again, as Patroni 3.0 lets it."""
        key = base64.b64encode(b"/service/sftp-gateway/sync").decode()
        urllib.request.urlopen(
            f"{self._etcd_url}/v3/kv/deleterange", json.dumps({"key": key}).encode(), timeout=10
        ).close()
        self.cures += 1

    def stop(self) -> None:
        """End all of it; nothing is kept."""
        for member in self.members:
            member.signal(signal.SIGKILL, patroni=True)
            if member.process:
                member.process.kill()
        for server in (self._proxy, self._etcd):
            if server:
                server.kill()


@contextlib.contextmanager
def patroni_cluster(folder: Path) -> Iterator[PatroniCluster]:
    """A running cluster whose folder is removed at the end. Raises EmbeddedError."""
    if missing := missing_programs():
        raise EmbeddedError(
            f"no {', '.join(missing)} here: apt-get install patroni python3-etcd etcd-server postgresql-15"
        )
    cluster = PatroniCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
