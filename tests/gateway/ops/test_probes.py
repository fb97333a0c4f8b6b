"""`check` names what is wrong and says how; settings that would leak are found."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from config.settings import Settings, load_settings
from gateway.embedded.mailbox import Mailbox, MailboxMode
from gateway.ops.exposure import find_exposures
from gateway.ops.probes import BucketProbe
from gateway.processes.listening import take_passed_sockets
from gateway.processes.metrics_files import MetricsFiles
from gateway.processes.service_manager import ServiceManager
from tests.gateway.nodes import ROOT, call

Variables = dict[str, str]
AWAY = "postgresql://u:secretword@127.0.0.1:9/x"


def checks(variables: Variables, status: int) -> dict[str, dict[str, object]]:
    """The failed checks by name."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "check", "--json"], env={**os.environ, **variables},
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    names = {found["name"] for found in document["checks"]}
    assert names == {"configuration", "database", "s3", "smtp", "hostkeys", "spool"}
    assert document["ok"] is (status == 0)
    return {found["name"]: found for found in document["checks"] if not found["ok"]}


def test_all_is_well(gateway_variables: Variables, provisioned: str) -> None:
    assert checks(gateway_variables, 0) == {}
    lines = call(gateway_variables, "check").splitlines()
    assert len(lines) == 6
    assert all(line.startswith("ok ") for line in lines)


@pytest.mark.parametrize(
    ("changes", "status", "name", "text"),
    [
        pytest.param({"DATABASE__URL": AWAY}, 3, "database", "can't be reached", id="database away"),
        pytest.param({"S3__ENDPOINT_URL": "http://127.0.0.1:9"}, 3, "s3", "SFTP_GATEWAY_S3__ENDPOINT_URL", id="s3 away"),
        pytest.param({"S3__BUCKET": "no-such-bucket"}, 2, "s3", "SFTP_GATEWAY_S3__BUCKET", id="no bucket"),
        pytest.param({"S3__BUCKET": "No Bucket"}, 2, "s3", "SFTP_GATEWAY_S3__BUCKET", id="no bucket's name"),
        pytest.param({"S3__SECRET_ACCESS_KEY": "secretword"}, 2, "s3", "SignatureDoesNotMatch", id="wrong secret"),
        pytest.param({"SMTP__PORT": "9"}, 3, "smtp", "SFTP_GATEWAY_SMTP__HOST", id="smtp away"),
        pytest.param({"SMTP__SECURITY": "starttls"}, 3, "smtp", "__SECURITY", id="smtp without starttls"),
        pytest.param({"SFTP__HOST_KEY_DIR": "/nonexistent"}, 2, "hostkeys", "hostkey generate", id="no host keys"),
        pytest.param({"SFTP__SPOOL_DIR": "/proc/spool"}, 2, "spool", "can't be written", id="spool not writable"),
        pytest.param({"S3__SESSION_TOKEN": "secretword"}, 2, "configuration", "temporary", id="temporary credentials"),
    ],
)  # fmt: skip
def test_check_names_what_is_wrong(
    gateway_variables: Variables, provisioned: str, changes: Variables, status: int, name: str, text: str
) -> None:
    changed = {f"SFTP_GATEWAY_{variable}": value for variable, value in changes.items()}
    failed = checks({**gateway_variables, **changed}, status)
    assert text in str(failed[name]["detail"])
    assert "secretword" not in str(failed)


def test_a_mail_server_that_is_away_is_named(
    gateway_variables: Variables, provisioned: str, mailbox: Mailbox
) -> None:
    mailbox.become(MailboxMode.AWAY)
    assert list(checks(gateway_variables, 3)) == ["smtp"]


class OneObject(BaseHTTPRequestHandler):
    """An object store that keeps the last object and the headers it came with."""

    content = b""
    came_with: ClassVar[list[str | None]] = []

    def do_PUT(self) -> None:
        type(self).content = self.rfile.read(int(self.headers["Content-Length"]))
        self.came_with.append(self.headers["x-amz-server-side-encryption"])
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(self.content)

    def do_DELETE(self) -> None:
        self._answer(b"")

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.mark.parametrize(
    ("encryption", "sent"), [("AES256", "AES256"), ("aws:kms", "aws:kms"), ("none", None)]
)
async def test_the_bucket_is_tried_with_the_encryption_of_uploads(
    encryption: str, sent: str | None, settings: Settings
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), OneObject) as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever)
        try:
            endpoint = f"http://127.0.0.1:{server.server_address[1]}"
            s3 = settings.s3.model_copy(
                update={"endpoint_url": endpoint, "server_side_encryption": encryption}
            )
            with closing(BucketProbe(s3)) as probe:
                await probe()
        finally:
            server.shutdown()
    assert OneObject.came_with[-1] == sent


def test_a_spool_open_to_others_is_found(gateway_variables: Variables, provisioned: str, state: Path) -> None:
    (state / "spool").mkdir(mode=0o755)
    assert "chmod 700" in str(checks(gateway_variables, 2)["spool"]["detail"])


def test_a_missing_schema_is_named(gateway_variables: Variables, empty_database_url: str) -> None:
    failed = checks({**gateway_variables, "SFTP_GATEWAY_DATABASE__URL": empty_database_url}, 2)
    assert "sftp-gateway migrate" in str(failed["database"]["detail"])


@pytest.fixture
def settings_with(gateway_variables: Variables, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """The settings with changed variables."""

    def read(**changes: str) -> Settings:
        for name, value in gateway_variables.items():
            monkeypatch.setenv(name, value)
        for name, value in changes.items():
            monkeypatch.setenv(f"SFTP_GATEWAY_{name}", value)
        return load_settings(None)

    return read


FAR = "postgresql://u:p@db.agency.example:5432/x"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({}, None, id="all on loopback"),
        pytest.param({"S3__ENDPOINT_URL": "http://s3.example"}, "S3__ENDPOINT_URL", id="plain bucket"),
        pytest.param({"S3__ENDPOINT_URL": "https://s3.example"}, None, id="secured bucket"),
        pytest.param({"S3__ENDPOINT_URL": "http://s3.example", "S3__ALLOW_PLAINTEXT": "true"}, None, id="allowed bucket"),
        pytest.param({"S3__LINK_ENDPOINT_URL": "http://s3.example"}, "S3__LINK_ENDPOINT_URL", id="plain links"),
        pytest.param({"S3__PUBLIC_BASE_URL": "http://files.example"}, "S3__PUBLIC_BASE_URL", id="plain public links"),
        pytest.param({"DATABASE__URL": FAR}, "DATABASE__URL", id="plain database"),
        pytest.param({"DATABASE__URL": f"{FAR}?sslmode=require"}, "DATABASE__URL", id="unverified database"),
        pytest.param({"DATABASE__URL": f"{FAR}?sslmode=verify-full"}, None, id="verified database"),
        pytest.param({"DATABASE__URL": "postgresql://u:p@127.0.0.1,db.example/x"}, "DATABASE__URL", id="one of two far"),
        pytest.param({"DATABASE__URL": "postgresql:///x?host=db.example"}, "DATABASE__URL", id="host in the query"),
        pytest.param({"DATABASE__URL": "postgresql://u:p@[::1]:5432/x"}, None, id="IPv6 loopback"),
        pytest.param({"DATABASE__URL": FAR, "DATABASE__ALLOW_PLAINTEXT": "true"}, None, id="allowed database"),
        pytest.param({"SMTP__HOST": "mail.example", "SMTP__SECURITY": "none"}, "SMTP__SECURITY", id="plain mail"),
        pytest.param({"SMTP__HOST": "mail.example"}, None, id="mail demands TLS by itself"),
        pytest.param({"S3__SESSION_TOKEN": "t"}, "ALLOW_TEMPORARY_CREDENTIALS", id="session token"),
        pytest.param({"S3__ACCESS_KEY_ID": "ASIAEXAMPLEEXAMPLE00"}, "ALLOW_TEMPORARY_CREDENTIALS", id="temporary key"),
        pytest.param({"S3__SESSION_TOKEN": "t", "S3__ALLOW_TEMPORARY_CREDENTIALS": "1"}, None, id="allowed temporary"),
    ],
)  # fmt: skip
def test_exposures_are_found(
    settings_with: Callable[..., Settings], changes: Variables, found: str | None
) -> None:
    lines = list(find_exposures(settings_with(**changes)))
    if found is None:
        assert lines == []
    else:
        assert len(lines) == 1
        assert f"SFTP_GATEWAY_{found}" in lines[0] or found in lines[0]


def test_what_the_dead_counted_is_kept_and_what_they_measured_is_dropped() -> None:
    from prometheus_client import CollectorRegistry, generate_latest, mmap_dict
    from prometheus_client.multiprocess import MultiProcessCollector

    files = MetricsFiles()
    try:
        for pid, count in ((11, 2.0), (12, 3.0), (13, 4.0)):
            counts = mmap_dict.MmapedDict(str(files.folder / f"counter_{pid}.db"))
            counts.write_value(mmap_dict.mmap_key("done", "done_total", ["kind"], ["a"], "Done."), count, 0.0)
            counts.close()
            gauges = mmap_dict.MmapedDict(str(files.folder / f"gauge_livesum_{pid}.db"))
            gauges.write_value(mmap_dict.mmap_key("open", "open", [], [], "Open."), 1.0, 0.0)
            gauges.close()
        files.fold_dead_process(11)
        files.fold_dead_process(12)
        files.fold_dead_process(12)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(files.folder))
        text = generate_latest(registry).decode()
        assert 'done_total{kind="a"} 9.0' in text
        assert "open 1.0" in text
        assert {path.name for path in files.folder.iterdir()} == {
            "counter_0.db",
            "counter_13.db",
            "gauge_livesum_13.db",
        }
    finally:
        files.remove()
    assert not files.folder.exists()


def test_variables_for_another_process_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "ssh"}
    assert take_passed_sockets(environment) == []
    assert environment == {}
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    manager = ServiceManager.of_this_process()
    assert manager.watchdog_seconds is None
    # Nobody listens there, and nobody minds.
    manager.tell_ready("ready")


@pytest.mark.timeout(30)
def test_a_service_manager_that_does_not_read_stops_nobody(short_folder: Path) -> None:
    path = short_folder / "deaf"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(path))
        manager = ServiceManager(str(path), None)
        # More than the queue of any socket takes (net.unix.max_dgram_qlen).
        for _ in range(2000):
            manager.tell_alive()
        manager.tell_stopping()
