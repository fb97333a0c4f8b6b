"""The process tree as its users see it: real processes, a real client, real signals."""

import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from config.settings import Settings
from database.connections import connect
from gateway.embedded.mail_server import Mailbox, MailboxMode
from gateway.embedded.postgres import PostgreSQLServer
from gateway.embedded.s3 import S3Server
from tests.gateway.nodes import Node, call, wait_until

GOOD = "recipient,language,name\n6599999999,english,Emily\n6599999998,english,James\n"
AWAY = "postgresql://u:secretword@127.0.0.1:9/x"


def test_an_upload_through_the_whole_tree_ends_in_one_email_and_sigterm_leaves_nothing(
    start_node: Callable[..., Node], mailbox: Mailbox, good_file: Path
) -> None:
    node = start_node(SFTP_GATEWAY_SFTP__PROCESSES="2")
    assert len(node.children("front")) == 2
    assert node.upload(good_file) == 0
    [mail] = mailbox.wait_for(1)
    assert mail.get_content().startswith('{"isValid":true,"batchId":"batch_')
    assert node.get("/healthz")[0] == 200
    wait_until(lambda: node.away() == (200, []), "ready")
    node.until_told('sftp_gateway_notifications_total{result="sent"} 1.0')
    node.until_told("sftp_gateway_uploads_undecided 0.0")
    status, metrics = node.get("/metrics")
    assert status == 200
    assert "sftp_gateway_uploads_received_total 1.0" in metrics
    assert 'sftp_gateway_uploads_decided_total{outcome="accepted"} 1.0' in metrics
    # What alerts look at is there before the first event: an increase from nothing to 1 is none.
    assert 'sftp_gateway_uploads_decided_total{outcome="failed"} 0.0' in metrics
    assert 'sftp_gateway_uploads_not_stored_total{service="s3"} 0.0' in metrics
    assert 'sftp_gateway_jobs_swept_total{kind="upload"} 0.0' in metrics
    assert 'sftp_gateway_notifications_total{result="refused"} 0.0' in metrics
    assert 'sftp_gateway_processes{part="front"} 2.0' in metrics
    family = psutil.Process(node.process.pid).children(recursive=True)
    node.process.terminate()
    assert node.process.wait(40) == 0
    assert psutil.wait_procs(family, timeout=30)[1] == []
    events = [json.loads(line)["event"] for line in node.log.read_text().splitlines()]
    assert events.index("front_stopped") < events.index("node_stopped")


def test_a_dead_process_is_replaced_and_its_counts_are_kept_until_ctrl_c_drains_the_node(
    start_node: Callable[..., Node], mailbox: Mailbox, good_file: Path
) -> None:
    node = start_node()
    assert node.upload(good_file) == 0
    mailbox.wait_for(1)
    for part in ("front", "worker"):
        [child] = node.children(part)
        child.kill()
        child.wait(10)
    node.until_told('sftp_gateway_process_restarts_total{part="front"} 1.0')
    node.until_told('sftp_gateway_process_restarts_total{part="worker"} 1.0')
    wait_until(lambda: node.away() == (200, []), "both replaced", 60)
    node.until_told("sftp_gateway_uploads_received_total 1.0")
    good_file.write_text(GOOD + "6599999997,english,Nur\n")
    assert node.upload(good_file) == 0
    mailbox.wait_for(2)
    node.until_told("sftp_gateway_uploads_received_total 2.0")
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(40) == 0
    assert node.events("front_stopped")


def test_children_die_with_a_killed_parent(start_node: Callable[..., Node]) -> None:
    node = start_node()
    family = psutil.Process(node.process.pid).children(recursive=True)
    assert len(family) >= 2
    node.process.kill()
    node.process.wait(10)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def test_a_stop_during_the_start_is_obeyed(start_node: Callable[..., Node]) -> None:
    node = start_node(wait=False)
    wait_until(lambda: bool(node.children("worker")), "a child")
    node.process.terminate()
    assert node.process.wait(40) == 0
    assert not node.events("node_ready")


def test_a_reload_replaces_every_process_and_refuses_nobody(
    start_node: Callable[..., Node], mailbox: Mailbox, tmp_path: Path
) -> None:
    node = start_node()
    before = {child.pid for part in ("front", "worker") for child in node.children(part)}
    for number in range(1, 9):
        path = tmp_path / f"upload{number}.csv"
        path.write_text(GOOD + f"6599999997,english,Nur {number}\n")
        if number == 3:
            node.process.send_signal(signal.SIGHUP)
        assert node.upload(path) == 0, f"upload {number}"
    wait_until(lambda: bool(node.events("node_reloaded")), "node_reloaded")
    mailbox.wait_for(8)

    def replaced() -> bool:
        now = {child.pid for part in ("front", "worker") for child in node.children(part)}
        return len(now) == 2 and not now & before

    wait_until(replaced, "the old processes have left", 60)
    wait_until(lambda: node.away() == (200, []), "ready")


def test_a_reload_reads_the_settings_again_and_wrong_ones_change_nothing(
    start_node: Callable[..., Node], tmp_path: Path, good_file: Path, gateway_variables: dict[str, str]
) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f"[smtp]\nport = {gateway_variables.pop('SFTP_GATEWAY_SMTP__PORT')}\n")
    node = start_node("run", "--config", str(config))
    before = {child.pid for part in ("front", "worker") for child in node.children(part)}
    config.write_text("[worker]\nprocesses = 'many'\n")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(node.events("reload_refused")), "reload_refused")
    assert "worker.processes" in str(node.events("reload_refused")[0]["reason"])
    assert {child.pid for part in ("front", "worker") for child in node.children(part)} == before
    assert node.upload(good_file) == 0
    wait_until(lambda: node.away() == (200, []), "ready")
    config.write_text("[smtp]\nport = 9\n")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(node.events("node_reloaded")), "node_reloaded", 60)
    wait_until(lambda: node.away() == (200, ["smtp"]), "the new settings are looked at")


def test_readiness_names_what_is_away(
    start_node: Callable[..., Node], mailbox: Mailbox, state: Path, s3: S3Server, bucket: str
) -> None:
    node = start_node()
    mailbox.become(MailboxMode.AWAY)
    wait_until(lambda: node.away() == (200, ["smtp"]), "smtp away: still ready")
    mailbox.become(MailboxMode.ACCEPTING)
    (state / "spool").chmod(0o755)
    wait_until(lambda: node.away() == (503, ["spool"]), "spool away")
    (state / "spool").chmod(0o700)
    wait_until(lambda: node.away() == (200, []), "spool back")
    (state / "spool").rename(state / "elsewhere")
    wait_until(lambda: node.away() == (503, ["spool"]), "spool gone, and not made anew by the look")
    (state / "elsewhere").rename(state / "spool")
    (state / "host-keys").rename(state / "elsewhere")
    wait_until(lambda: node.away() == (503, ["hostkeys"]), "hostkeys away")
    (state / "elsewhere").rename(state / "host-keys")
    wait_until(lambda: node.away() == (200, []), "hostkeys back")
    present = s3.folder / "buckets" / bucket
    present.rename(present.with_name(f"{bucket}-away"))
    wait_until(lambda: node.away() == (503, ["s3"]), "bucket away")
    present.with_name(f"{bucket}-away").rename(present)
    wait_until(lambda: node.away() == (200, []), "all back")
    node.until_told('sftp_gateway_dependency_up{dependency="s3"} 1.0')


def test_the_parts_run_alone(start_node: Callable[..., Node], mailbox: Mailbox, good_file: Path) -> None:
    front = start_node("sftpd")
    assert front.upload(good_file) == 0
    assert front.children("worker") == []
    worker = start_node("worker")
    mailbox.wait_for(1)
    assert worker.children("front") == []
    assert set(json.loads(worker.get("/readyz")[1])["dependencies"]) == {"database", "s3", "smtp", "worker"}


@pytest.mark.parametrize(
    ("variable", "value", "status", "text"),
    [
        pytest.param("DATABASE__URL", AWAY, 3, "the database can't be reached", id="database away"),
        pytest.param("SFTP__PROT", "1", 2, "SFTP_GATEWAY_SFTP__PORT", id="unknown setting"),
        pytest.param("SFTP__PORT", "99999", 2, "SFTP_GATEWAY_SFTP__PORT", id="wrong setting"),
        pytest.param("SFTP__HOST", "192.0.2.1", 2, "SFTP_GATEWAY_SFTP__HOST", id="foreign address"),
        pytest.param("SFTP__HOST_KEY_DIR", "/nonexistent/keys", 2, "hostkey generate", id="no host keys"),
    ],
)  # fmt: skip
def test_a_start_that_cannot_be_says_why_in_one_line(
    provisioned: str, gateway_variables: dict[str, str], variable: str, value: str, status: int, text: str
) -> None:
    errors = call({**gateway_variables, f"SFTP_GATEWAY_{variable}": value}, "run", status=status)
    told = [line for line in errors.splitlines() if not line.startswith("{")]
    assert len(told) == 1
    assert text in told[0]
    assert "secretword" not in errors


@pytest.mark.usefixtures("provisioned")
def test_a_taken_port_is_named(gateway_variables: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for variable in ("SFTP_GATEWAY_SFTP__PORT", "SFTP_GATEWAY_OPS__PORT"):
            errors = call({**gateway_variables, variable: str(taken.getsockname()[1])}, "run", status=2)
            assert variable in errors


async def test_no_node_starts_on_a_schema_that_is_not_its_own(
    gateway_variables: dict[str, str], settings: Settings
) -> None:
    connection = await connect(settings.database)
    await connection.execute("delete from schema_migrations")
    await connection.close()
    assert "sftp-gateway migrate" in call(gateway_variables, "run", status=2)


def test_a_node_outlives_a_restart_of_postgresql(
    own_postgres: PostgreSQLServer, gateway_variables: dict[str, str], mailbox: Mailbox, good_file: Path,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    gateway_variables["SFTP_GATEWAY_DATABASE__URL"] = own_postgres.socket_url("postgres")
    node = request.getfixturevalue("start_node")()
    own_postgres.stop()
    wait_until(lambda: node.away()[0] == 503 and "database" in node.away()[1], "database away")
    assert node.upload(good_file) != 0
    own_postgres.start()
    wait_until(lambda: node.away() == (200, []), "database back")
    wait_until(lambda: node.upload(good_file) == 0, "uploads again")
    mailbox.wait_for(1)
    assert node.events("process_died") == []
