"""The demo ends as told, cleans up after itself whenever it is interrupted, and says what it misses."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from gateway.demo.devstack import own_folder
from gateway.demo.officer import Officer
from tests.gateway.nodes import ROOT, call, wait_until
from tests.messages.seven_numbers import SEVEN_NUMBERS

_EXPORTED = re.compile(r"^export SFTP_GATEWAY_(\w+)=(\S+)$", re.MULTILINE)
_BY_CTYPES = re.compile("tmp[a-z0-9_]{8}")


def start_demo(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (tmp_path / "demo.txt").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo", *arguments],
            env={**os.environ, "TMPDIR": str(tmp_path), "SFTP_GATEWAY_ENVIRONMENT": "production"},
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def family_of(demo: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(demo.pid).children(recursive=True)


def assert_nothing_left(family: list[psutil.Process], tmp_path: Path) -> None:
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    # asyncssh looks for liboqs by ctypes, which has gcc link into a file of such a name: ours all begin otherwise.
    left = [
        path.name for path in tmp_path.iterdir() if not (path.is_file() and _BY_CTYPES.fullmatch(path.name))
    ]
    assert left == ["demo.txt"]


@pytest.fixture
def short_tmp_path(short_folder: Path) -> Path:
    """A socket's path has 107 bytes at most, and pytest's own folders have long names."""
    folder = short_folder / f"d{time.monotonic_ns()}"
    folder.mkdir()
    return folder


def test_demo_shows_both_outcomes_then_serves_until_ctrl_c(short_tmp_path: Path) -> None:
    demo = start_demo(short_tmp_path, "--port", "0")
    shown = short_tmp_path / "demo.txt"
    try:
        wait_until(
            lambda: "Serving until Ctrl-C" in shown.read_text() or demo.poll() is not None, "serving", 100
        )
        assert demo.poll() is None, shown.read_text()
        see_the_uploads_in_the_console(shown)
        family = family_of(demo)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
        demo.wait()
    assert_nothing_left(family, short_tmp_path)
    text = shown.read_text()
    assert re.search(r'^\{"isValid":true,"batchId":"batch_[0-9a-f-]+"\}$', text, re.MULTILINE)
    assert re.search(
        r'^\{"isValid":false,"reportURL":"http://.*"numRows":4,"numErrors":6,', text, re.MULTILINE
    )
    assert "remove the +" in text
    assert re.search(r"upload_[0-9a-f-]+ .*accepted .*20 messages", text)
    assert re.search(r"upload_[0-9a-f-]+ .*rejected .*6 errors in 4 rows", text)
    # Each message's statuses, as far as they were seen, and the errors of the seven numbers.
    assert len(re.findall(r"^\d+ +65999999\d\d +.*success *$", text, re.MULTILINE)) == 13
    failed = dict(re.findall(r"^\d+ +(65\d{8}) +.*failure +(\w+) *$", text, re.MULTILINE))
    assert failed == SEVEN_NUMBERS
    assert re.search(r"^\$ .*sftp-gateway batch show batch_", text, re.MULTILINE)
    assert re.search(r"^failures +7 were not delivered", text, re.MULTILINE)
    assert re.search(r"^\$ .*sftp-gateway message show message_", text, re.MULTILINE)
    assert re.search(r"^worth a retry +yes: retry later", text, re.MULTILINE)
    assert re.search(r"^\$ echo put reminders.csv \| sftp ", text, re.MULTILINE)
    # A line with a real key, and what it really answered.
    assert re.search(
        r"^\$ curl -sS http://127\.0\.0\.1:\d+/api/v2/campaigns/.*Bearer key_test_\w{57}'", text, re.MULTILINE
    )
    sent, retrieved = (json.loads(line) for line in re.findall(r'^\{"createdAt":.*\}$', text, re.MULTILINE))
    assert (sent["latestStatus"], retrieved["latestStatus"]) == ("created", "success")
    assert sent["id"] == retrieved["id"]


def see_the_uploads_in_the_console(shown: Path) -> None:
    """As a newcomer does: by the address and the name that stand there, and by the code that is printed."""
    found = re.search(r"^Open in a browser: +http://127\.0\.0\.1:(\d+)/$", shown.read_text(), re.MULTILINE)
    assert found is not None
    email = re.search(r"^Log in as: +(\S+)$", shown.read_text(), re.MULTILINE)
    assert email is not None
    officer = Officer(email[1], int(found[1]))
    code = re.compile(rf"^login code for {re.escape(email[1])}: ([2-7A-Z]{{6}})$", re.MULTILINE)

    def read_code() -> str:
        wait_until(lambda: code.search(shown.read_text()) is not None, "the code")
        return str(code.findall(shown.read_text())[-1])

    officer.log_in(read_code)
    uploads = officer.page("/uploads")
    assert "reminders.csv" in uploads
    assert "reminders-with-faults.csv" in uploads


def test_demo_with_exit_logs_in_and_ends_with_0(short_tmp_path: Path) -> None:
    demo = start_demo(short_tmp_path, "--exit", "--port", "0")
    try:
        assert demo.wait(110) == 0, (short_tmp_path / "demo.txt").read_text()
    finally:
        demo.kill()
        demo.wait()
    assert "sees both uploads there" in (short_tmp_path / "demo.txt").read_text()
    assert_nothing_left([], short_tmp_path)


@pytest.mark.parametrize("children", [1, 3, 8])
def test_ctrl_c_in_the_middle_leaves_nothing(short_tmp_path: Path, children: int) -> None:
    demo = start_demo(short_tmp_path, "--port", "0")
    try:
        wait_until(lambda: len(family_of(demo)) >= children, f"{children} children", 100)
        family = family_of(demo)
        demo.send_signal(signal.SIGINT)
        demo.send_signal(signal.SIGINT)
        # The second may meet Python at its own end, when it answers no signal any more: a shell tells that as 130, too.
        assert demo.wait(60) in (0, 130, -signal.SIGINT)
    finally:
        demo.kill()
        demo.wait()
    assert "Traceback" not in (short_tmp_path / "demo.txt").read_text()
    assert_nothing_left(family, short_tmp_path)


def test_a_missing_client_is_named(tmp_path: Path) -> None:
    errors = call({"PATH": str(tmp_path)}, "demo", "--exit", status=3)
    assert "openssh-client" in errors
    assert len(errors.splitlines()) == 1


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        errors = call({}, "demo", "--exit", "--port", str(taken.getsockname()[1]), status=2)
    assert "taken by another program" in errors
    assert len(errors.splitlines()) == 1


def readable_by_others(folder: Path) -> list[Path]:
    """The files under `folder` that others can read, and the folders that they can list, where they can get to them."""
    found = []
    for path in folder.iterdir():
        mode = path.stat().st_mode
        if mode & 0o044:
            found.append(path)
        if path.is_dir() and mode & 0o011:
            found += readable_by_others(path)
    return found


def assert_keeps_secrets(family: list[psutil.Process], settings: dict[str, str]) -> None:
    """Other users of the machine can see the arguments of every process."""
    password = settings["DATABASE__URL"].split("@")[0].rpartition(":")[2]
    seen = " ".join(word for member in family for word in member.cmdline())
    assert "rclone" in seen
    assert password not in seen
    assert settings["S3__SECRET_ACCESS_KEY"] not in seen


def test_a_given_folder_is_closed_to_others(short_tmp_path: Path) -> None:
    given = short_tmp_path / "given"
    given.mkdir(mode=0o755)
    given.chmod(0o755)
    with own_folder(given, "devstack") as folder:
        assert folder.stat().st_mode & 0o077 == 0


def test_devstack_prints_settings_that_a_shell_takes(short_tmp_path: Path) -> None:
    shown = short_tmp_path / "settings.sh"
    with shown.open("wb") as output:
        stack = subprocess.Popen(
            [sys.executable, "-m", "gateway", "devstack"], env={**os.environ, "TMPDIR": str(short_tmp_path)},
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        wait_until(lambda: "SPOOL_DIR" in shown.read_text(), "the settings", 60)
        line = f". {shown} && {sys.executable} -m gateway migrate --json && {sys.executable} -m gateway hostkey generate"
        subprocess.run(
            ["sh", "-ec", line + f" && {sys.executable} -m gateway check"],
            # On a busy machine a server just begun may take longer over its first connection than operators would wait for.
            env={**os.environ, "SFTP_GATEWAY_DATABASE__CONNECT_TIMEOUT": "30"},
            cwd=ROOT,
            check=True,
            timeout=90,
        )
        family = family_of(stack)
        assert shown.stat().st_mode & 0o077 == 0
        assert readable_by_others(short_tmp_path) == []
        assert_keeps_secrets(family, dict(_EXPORTED.findall(shown.read_text())))
        stack.terminate()
        assert stack.wait(60) == 0
    finally:
        stack.kill()
        stack.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert [path.name for path in short_tmp_path.iterdir()] == ["settings.sh"]
