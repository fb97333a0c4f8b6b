"""The alerts on nodes, uploads and their outcomes ring when their causes are there, in a real node, and none rings without."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import asyncssh
import psutil
import pytest

from config.fault_points import VARIABLE as FAULT_POINTS
from gateway.embedded.mail_server import Mailbox, MailboxMode
from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.s3 import S3Server
from tests.chaos.testbed.proxy import Proxy, ProxyMode
from tests.conftest import KeyPair, run_apart
from tests.gateway.nodes import Node, wait_until
from tests.gateway.ops.alert_rules import names_of_alerts, ringing
from tests.gateway.ops.test_monitoring import needs_promtool

# A rule counts from 800 of 1,000 connections, and from 20 shut-outs.
CONNECTIONS, SHUT_OUT = 810, 25
# A machine that has ten times its work may answer a look too late, and take long over an upload.
OF_LOAD: Final = {"SFTPGatewayDependencyAway", "SFTPGatewayMailServerAway", "SFTPGatewayAcknowledgementsSlow"}
# Rows whose messages are more than a megabyte.
TOO_MUCH: Final = 30_000


def alerts_of_uploads() -> list[str]:
    """They are the first ones of the file."""
    names = names_of_alerts()
    return names[: names.index("SFTPGatewayAPIErrors")]


class Gate:
    """A way to a service that can be closed, from a thread of its own."""

    def __init__(self, target_port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._proxy = Proxy(target_port)

    @contextlib.contextmanager
    def open(self) -> Iterator[int]:
        self._thread.start()
        self._wait_for(self._proxy.open())
        try:
            yield self._proxy.port
        finally:
            self._wait_for(self._proxy.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def become(self, mode: ProxyMode) -> None:
        self._wait_for(self._proxy.become(mode))

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)


@dataclass
class Watched:
    """A node, the ways to its services, and what it told at the last look."""

    node: Node
    database: Gate
    bucket: Gate
    mailbox: Mailbox
    database_url: str
    folder: Path
    spool: Path
    fault_points: Path
    seen: str = ""
    rang: set[str] = field(default_factory=set)
    uploads: int = 0

    def look(self, now: str | None = None, *, lasting: bool = False) -> set[str]:
        """The alerts on uploads that ring for what has changed since the last look, or goes on changing so."""
        before, self.seen = self.seen, self.node.get("/metrics")[1] if now is None else now
        found = ringing(before, self.seen, self.folder, lasting=lasting) & set(alerts_of_uploads())
        self.rang |= found
        return found

    def value(self, series: str) -> float:
        """What a series, with these labels, tells now: 0 where it isn't there."""
        lines = [line for line in self.node.get("/metrics")[1].splitlines() if line.startswith(f"{series} ")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def until(self, series: str, least: float = 1) -> None:
        wait_until(lambda: self.value(series) >= least, f"{series} >= {least}", 90)

    def upload(self, rows: int = 2, *, status: int = 0) -> None:
        self.uploads += 1
        path = self.folder / f"upload-{self.uploads}.csv"
        lines = [f"65{91000000 + row},english,Tan {self.uploads}\n" for row in range(rows)]
        path.write_text("recipient,language,name\n" + "".join(lines))
        assert (self.node.upload(path) == 0) == (status == 0)

    def ask(self, statement: str, *arguments: object) -> Any:
        async def fetch() -> Any:
            connection = await asyncpg.connect(self.database_url)
            try:
                return await connection.fetchval(statement, *arguments)
            finally:
                await connection.close()

        return run_apart(fetch())

    def until_asked(self, statement: str, what: str) -> None:
        wait_until(lambda: bool(self.ask(statement)), what, 90)

    def until_decided(self) -> None:
        self.until_asked("select count(*) = 0 from uploads where finished_at is null", "all are decided")

    @contextlib.contextmanager
    def worker_asleep(self) -> Iterator[None]:
        """No job is begun meanwhile, and those of before have ended."""
        self.until_asked("select count(*) = 0 from pgqueuer", "an empty queue")
        # Whoever is stopped while it holds a lock would stop all others.
        asleep = [psutil.Process(child.pid) for child in self.node.children("worker")]
        for process in asleep:
            process.suspend()
        try:
            yield
        finally:
            for process in asleep:
                process.resume()


@pytest.fixture
def watched(
    start_node: Callable[..., Node], postgres: PostgreSQLServer, database_url: str, s3: S3Server, mailbox: Mailbox,
    state: Path, tmp_path: Path,
) -> Iterator[Watched]:  # fmt: skip
    database, bucket = Gate(postgres.port), Gate(int(s3.endpoint_url.rpartition(":")[2]))
    name = database_url.partition("@/")[2].partition("?")[0]
    fault_points = tmp_path / "fault-points"
    fault_points.mkdir()
    with database.open() as database_port, bucket.open() as bucket_port:
        url = postgres.tcp_url(name).replace(f":{postgres.port}/", f":{database_port}/")
        variables = {
            "ENVIRONMENT": "production",
            "DATABASE__URL": url,
            "S3__ENDPOINT_URL": f"http://127.0.0.1:{bucket_port}",
            "S3__CONNECT_TIMEOUT": "1",
            "S3__READ_TIMEOUT": "4",
            "SFTP__ACKNOWLEDGE_TIMEOUT": "4",
            "SFTP__MAX_CONNECTIONS_PER_ADDRESS": "1000",
            "SFTP__MAX_UNAUTHENTICATED": "1000",
            "SFTP__SHUTOUT_FAILURES": "1",
            "WORKER__MAX_JOB_CRASHES": "1",
            "WORKER__RETRY_FIRST": "0.05",
            "WORKER__SWEEP_INTERVAL": "1",
            "WORKER__VERDICT_OUTPUT_MB": "1",
        }
        node = start_node(
            **{f"SFTP_GATEWAY_{key}": value for key, value in variables.items()},
            **{FAULT_POINTS: str(fault_points)},
        )
        spool = state / "spool"
        yield Watched(node, database, bucket, mailbox, database_url, tmp_path, spool, fault_points)


@needs_promtool
@pytest.mark.timeout(400)
async def test_each_alert_rings_when_its_cause_is_there_and_none_without(
    watched: Watched, other_key: KeyPair
) -> None:
    async with asyncio.timeout(380):
        await strangers(watched, other_key)
    await asyncio.to_thread(trouble, watched)
    assert watched.rang == set(alerts_of_uploads())


async def strangers(watched: Watched, other_key: KeyPair) -> None:
    """What is usual, then what comes from outside: many connections, wrong keys; and a spool folder that fails."""
    wait = asyncio.to_thread
    await wait(wait_until, lambda: watched.node.get("/readyz")[0] == 200, "each dependency was seen")
    await wait(watched.upload)
    await wait(watched.until_decided)
    await wait(watched.mailbox.wait_for, 1)
    await wait(watched.look)
    await wait(watched.upload)
    await wait(watched.until_decided)
    await wait(watched.mailbox.wait_for, 2)
    assert await wait(watched.look) - OF_LOAD == set()

    port = watched.node.ports["sftp_port"]
    for number in range(SHUT_OUT):
        with pytest.raises((asyncssh.Error, OSError)):
            await asyncssh.connect(
                "127.0.0.1", port, username=watched.node.campaign, client_keys=[str(other_key.private_file)],
                known_hosts=None, config=None, agent_path=None, local_addr=(f"127.0.1.{number + 1}", 0),
            )  # fmt: skip
    broken = watched.spool / "broken"
    broken.touch()
    await wait(watched.ask, "select pg_notify('sftp_gateway_access', 'broken')")
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        await wait(watched.until, "sftp_gateway_connections_open", CONNECTIONS)
        await wait(watched.until, "sftp_gateway_shutouts_total", SHUT_OUT)
        await wait(watched.until, "sftp_gateway_audit_events_dropped_total", SHUT_OUT - 10)
        await wait(watched.until, "sftp_gateway_spool_failures_total")
        assert await wait(watched.look) >= {
            "SFTPGatewayAddressesShutOut", "SFTPGatewayAuditIncomplete", "SFTPGatewayConnectionsNearLimit",
            "SFTPGatewaySpoolFails",
        }  # fmt: skip
    broken.unlink()
    await wait(wait_until, lambda: watched.value("sftp_gateway_connections_open") == 0, "they are gone")


def trouble(watched: Watched) -> None:
    """What fails inside: workers, the bucket, the mail server, the database, the node."""
    with watched.worker_asleep():
        watched.upload()
        watched.upload()
        watched.ask("update uploads set received_at = now() - interval '1 hour' where finished_at is null")
        watched.ask(
            "update pgqueuer set created = now() - interval '1 hour', execute_after = now() - interval '1 hour'"
        )
        assert watched.look() >= {"SFTPGatewayUploadsUndecided", "SFTPGatewayQueueWaits"}
        watched.ask("delete from pgqueuer where id = (select max(id) from pgqueuer)")
        watched.bucket.become(ProxyMode.AWAY)
    watched.until("sftp_gateway_verdict_retries_total", 8)
    watched.until('sftp_gateway_jobs_swept_total{kind="upload"}')
    watched.bucket.become(ProxyMode.PASSING)
    # The mail server takes none of the outcomes to come.
    watched.mailbox.become(MailboxMode.REFUSING_FOR_GOOD)
    watched.ask("update pgqueuer set execute_after = now() where status = 'queued'")
    watched.until_decided()
    watched.until('sftp_gateway_notifications_total{result="refused"}', 2)
    watched.bucket.become(ProxyMode.HANGING)
    watched.upload(status=1)
    wait_until(
        lambda: watched.value('sftp_gateway_dependency_up{dependency="s3"}') == 0, "the bucket is missed"
    )
    found = watched.look(lasting=True)
    assert found >= {
        "SFTPGatewayDependencyAway", "SFTPGatewayUploadsNotStored", "SFTPGatewayVerdictsRetried", "SFTPGatewayJobsLost",
        "SFTPGatewayAcknowledgementsSlow", "SFTPGatewayNotificationsRefused",
    }  # fmt: skip
    watched.bucket.become(ProxyMode.PASSING)

    # Outcomes wait for the mail server; one upload is too much, and another kills the worker that takes it.
    watched.mailbox.become(MailboxMode.AWAY)
    watched.upload(TOO_MUCH)
    watched.until('sftp_gateway_verdicts_exceeded_total{limit="output"}')
    watched.until('sftp_gateway_uploads_decided_total{outcome="failed"}')
    watched.ask("update notifications set created_at = now() - interval '1 hour' where done_at is null")
    (watched.fault_points / "verdict.begun").touch()
    watched.upload()
    watched.until('sftp_gateway_queue_jobs{entrypoint="verdict",status="failed"}')
    restarts = 'sftp_gateway_process_restarts_total{part="worker"}'
    told = [""]

    def is_missing() -> bool:
        for child in watched.node.children("worker"):
            with contextlib.suppress(psutil.Error):
                child.kill()
        told[0] = watched.node.get("/metrics")[1]
        return 'sftp_gateway_processes{part="worker"} 0.0' in told[0] and watched.value(restarts) >= 4

    wait_until(
        lambda: watched.value('sftp_gateway_dependency_up{dependency="smtp"}') == 0,
        "the mail server is missed",
    )
    wait_until(is_missing, "no worker", 120)
    assert watched.look(told[0]) >= {
        "SFTPGatewayVerdictExceeded", "SFTPGatewayUploadsFailed", "SFTPGatewayOutcomesUntold", "SFTPGatewayMailServerAway",
        "SFTPGatewayJobsHeld", "SFTPGatewayPartMissing", "SFTPGatewayProcessesDying",
    }  # fmt: skip

    watched.database.become(ProxyMode.AWAY)
    wait_until(lambda: watched.value("sftp_gateway_access_watch_connected") == 0, "no front listens")
    wait_until(
        lambda: watched.value('sftp_gateway_dependency_up{dependency="database"}') == 0,
        "the database is missed",
    )
    assert watched.look() >= {"SFTPGatewayRevocationsNotHeard", "SFTPGatewayDependencyAway"}

    children = psutil.Process(watched.node.process.pid).children()
    watched.node.process.kill()
    watched.node.process.wait(30)
    # They notice that their parent is gone.
    assert psutil.wait_procs(children, timeout=60)[1] == []
    with pytest.raises(OSError, match="refused"):
        watched.node.get("/metrics")
    assert watched.look("") == {"SFTPGatewayNodeDown"}
