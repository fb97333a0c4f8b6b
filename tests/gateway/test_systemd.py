"""The units are sound, hardened, and what they rely on works: sockets, READY, RELOADING, WATCHDOG, credentials."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncssh
import psutil
import pytest

from gateway.embedded.mail_server import Mailbox
from gateway.embedded.server_process import free_port
from tests.conftest import KeyPair
from tests.gateway.nodes import ROOT, Node, call, wait_until

UNITS = ROOT / "systemd"
HARDENING = UNITS / "sftp-gateway-.service.d" / "hardening.conf"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
INSTALLED = "/opt/sftp-gateway/bin/sftp-gateway"

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze isn't installed"
)
needs_activate = pytest.mark.skipif(
    shutil.which("systemd-socket-activate") is None, reason="systemd-socket-activate isn't installed"
)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with the path of a program that is there, as after an installation."""
    program = tmp_path / "sftp-gateway"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in UNITS.glob("*.*"):
        if unit.suffix in (".service", ".socket", ".target"):
            (folder / unit.name).write_text(unit.read_text().replace(INSTALLED, str(program)))
    shutil.copytree(HARDENING.parent, folder / HARDENING.parent.name)
    return folder


def exposure(service: str, units: Path) -> float:
    """How exposed systemd finds the service with the units of this folder, from 0 to 10. Of a template it judges an instance."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", service.replace("@.", "@9465.")],
        capture_output=True, text=True, timeout=60, env={"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    return float(found[1])


@needs_analyze
def test_the_units_are_verified_clean(installed: Path) -> None:
    units = [str(path) for path in installed.iterdir() if path.is_file() and "@" not in path.name]
    units += [str(installed / f"sftp-gateway-{name}.service") for name in ("worker@9465", "sender@9475")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60,
        env={"SYSTEMD_UNIT_PATH": f"{installed}:", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "sftp-gateway" in line]
    assert ours == []
    assert done.returncode == 0, done.stderr


@needs_analyze
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_hardened_to_1_5_at_most(service: str, installed: Path) -> None:
    assert exposure(service, installed) <= 1.5
    # That is the drop-in's doing, which systemd finds by the beginning of the unit's name.
    (installed / HARDENING.parent.name / HARDENING.name).unlink()
    assert exposure(service, installed) > 5


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_why_at_each_line_left_off_and_is_hardened_in_one_place(service: str) -> None:
    text, hardening = (UNITS / service).read_text(), HARDENING.read_text()
    for line in (text + hardening).splitlines():
        assert not line.startswith("# Left off:") or re.search(r", as \w", line)
    assert INSTALLED in text
    assert "LimitCORE=0" in hardening
    settings = [line.partition("=")[0] for line in hardening.splitlines() if re.match("[A-Z]", line)]
    assert len(settings) > 25
    repeated = [line for line in text.splitlines() if line.partition("=")[0] in {*settings} - {"Environment"}]
    assert not repeated
    assert (
        f"systemd/{HARDENING.parent.name}/{HARDENING.name}" in (ROOT / "docs" / "admin-guide.md").read_text()
    )


@contextmanager
def notified(path: Path) -> Iterator[Callable[[str, float], str]]:
    """A NOTIFY_SOCKET at `path`; call it to wait for a message with this word, within so many seconds."""
    seen: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))

        def wait_for(word: str, timeout: float) -> str:
            deadline = time.monotonic() + timeout
            while True:
                receiver.settimeout(max(deadline - time.monotonic(), 0.01))
                try:
                    seen.append(receiver.recv(4096).decode())
                except TimeoutError:
                    raise AssertionError(f"no {word} within {timeout} s, but {seen}") from None
                if word in seen[-1]:
                    return seen[-1]

        yield wait_for


def test_systemd_is_told_ready_alive_reloading_and_stopping(
    start_node: Callable[..., Node], short_folder: Path
) -> None:
    path = short_folder / "notify"
    with notified(path) as wait_for:
        node = start_node(wait=False, NOTIFY_SOCKET=str(path), WATCHDOG_USEC="600000")
        assert "STATUS=ready" in wait_for("READY=1", 60)
        for _ in range(3):
            wait_for("WATCHDOG=1", 60)
        node.process.send_signal(1)
        assert "MONOTONIC_USEC=" in wait_for("RELOADING=1", 60)
        wait_for("READY=1", 60)
        node.process.terminate()
        wait_for("STOPPING=1", 60)
        wait_for("WATCHDOG=1", 60)
        assert node.process.wait(60) == 0


@needs_activate
def test_a_socket_that_systemd_opened_is_served(
    start_node: Callable[..., Node], gateway_variables: dict[str, str], provisioned: str, good_file: Path,
    mailbox: Mailbox, ed25519_key: KeyPair, tmp_path: Path,
) -> None:  # fmt: skip
    port = free_port()
    log = tmp_path / "activated.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["systemd-socket-activate", "-l", f"127.0.0.1:{port}",
             *(f"--setenv={name}={value}" for name, value in gateway_variables.items()),
             sys.executable, "-m", "gateway", "run"],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT,
        )  # fmt: skip
    node = Node(process, log, provisioned, ed25519_key.private_file, {"sftp_port": port})
    try:
        wait_until(lambda: b"Listening on" in log.read_bytes(), "listening")
        # The first connection starts the gateway, and waits in the socket's queue until it is ready.
        assert node.upload(good_file) == 0
        mailbox.wait_for(1)
        assert node.events("node_ready")[0]["sftp_port"] == port
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()
        process.wait(60)
        psutil.wait_procs(family, timeout=40)
    assert process.returncode == 0


def test_secrets_come_from_credentials(
    gateway_variables: dict[str, str], provisioned: str, tmp_path: Path
) -> None:
    # What LoadCredential=SFTP_GATEWAY:FOLDER makes of FOLDER/DATABASE__URL.
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    name = "SFTP_GATEWAY_DATABASE__URL"
    (credentials / name).write_text(gateway_variables.pop(name))
    listed = call(
        {**gateway_variables, "CREDENTIALS_DIRECTORY": str(credentials)}, "campaign", "list", "--json"
    )
    assert provisioned in listed


async def test_a_restart_on_the_same_socket_loses_no_upload(
    gateway_variables: dict[str, str], provisioned: str, mailbox: Mailbox, ed25519_key: KeyPair, tmp_path: Path,
    good_file: Path,
) -> None:  # fmt: skip
    """As `systemctl restart` does with a socket unit: the old one drains, the new one takes who waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, ExitStack() as stack:
        port = listening.getsockname()[1]

        def start(number: int) -> Node:
            log = tmp_path / f"restart{number}.log"
            # systemd's own way: the socket is descriptor 3, and the process is named by its number.
            passing = (
                "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
                "os.execv(sys.executable, [sys.executable, '-m', 'gateway', 'run'])"
            )
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-c", passing, str(listening.fileno())],
                    env={**os.environ, **gateway_variables}, cwd=ROOT, stdin=subprocess.DEVNULL,
                    stdout=output, stderr=output, pass_fds=(listening.fileno(),),
                )  # fmt: skip
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            return Node(process, log, provisioned, ed25519_key.private_file, {"sftp_port": port})

        old = start(1)
        await asyncio.to_thread(old.wait_ready)
        connecting = asyncssh.connect(
            "127.0.0.1",
            port,
            username=provisioned,
            client_keys=[ed25519_key.private_file],
            known_hosts=None,
            config=None,
        )
        async with (
            connecting as connection,
            connection.start_sftp_client() as client,
            client.open("begun.csv", "wb") as begun,
        ):
            await begun.write(b"recipient,language,name\n6599999999,english,Emily\n")
            old.process.terminate()
            await asyncio.to_thread(wait_until, lambda: bool(old.events("front_draining")), "draining")
            new = start(2)
            # Whoever comes while neither is there waits in the socket's queue.
            assert await asyncio.to_thread(new.upload, good_file) == 0
            assert old.process.poll() is None
            await begun.write(b"6599999998,english,James\n")
        assert await asyncio.to_thread(old.process.wait, 60) == 0
        subjects = {mail["Subject"].split(" (")[0] for mail in await mailbox.arrival(2)}
        assert subjects == {"SFTP upload accepted: begun.csv", "SFTP upload accepted: good.csv"}
