"""A running gateway for tests. It is started as its users start it, and looked at from outside."""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def call(variables: dict[str, str], *arguments: str, status: int = 0) -> str:
    """Call `sftp-gateway`. Gives its standard output, or its errors where it should fail."""
    done = subprocess.run(
        [sys.executable, "-m", "gateway", *arguments],
        env={**os.environ, **variables}, cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if status == 0 else done.stderr


def wait_until(true: Callable[[], bool], what: str, timeout: float = 60) -> None:
    """Ask until it is so. The time-out only ends what hangs: a machine with ten times its work takes long over anything."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.05)


@dataclass
class Node:
    """A running `sftp-gateway run`, its log, its ports."""

    process: subprocess.Popen[bytes]
    log: Path
    campaign: str
    key: Path
    ports: dict[str, int] = field(default_factory=dict)

    def events(self, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def wait_ready(self) -> None:
        wait_until(
            lambda: bool(self.events("node_ready")) or self.process.poll() is not None, "node_ready", 60
        )
        assert self.process.poll() is None, self.log.read_text()
        self.ports = {
            name: int(str(self.events("node_ready")[-1].get(name, 0)))
            for name in ("sftp_port", "ops_port", "api_port", "console_port")
        }

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["ops_port"], timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def away(self) -> tuple[int, list[str]]:
        status, body = self.get("/readyz")
        return status, json.loads(body)["away"]

    def until_told(self, line: str) -> None:
        """Wait until `/metrics` has this line: what a process counts it counts a moment after others can see it done."""
        wait_until(lambda: line in self.get("/metrics")[1].splitlines(), line)

    def sftp(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sftp", "-F", "none", "-b", "-", "-P", str(self.ports["sftp_port"]), "-i", self.key,
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", f"{self.campaign}@127.0.0.1"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def upload(self, path: Path) -> int:
        with self.sftp() as client:
            client.communicate(f"put {path}\n", timeout=60)
            return client.returncode

    def children(self, part: str) -> list[psutil.Process]:
        """The processes of one part, by the last word of its module's name."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            try:
                if any(word.endswith(f"gateway.processes.{part}") for word in child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
        return found
