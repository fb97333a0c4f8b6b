"""Starts the local Twilio server as a process of its own, and tells it how to behave."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

ROOT: Final = Path(__file__).resolve().parents[2]
# What the server believes in until it is told otherwise.
ACCOUNT_SID: Final = "AC" + "0" * 32
KEY_SID: Final = "SK" + "0" * 32
KEY_SECRET: Final = "secret"
SERVICE_SID: Final = "MG" + "0" * 32


@dataclass(frozen=True, slots=True)
class TwilioServer:
    """A running server. `base_url` is for `sending.twilio.base_url`."""

    base_url: str
    control_url: str
    process: "subprocess.Popen[str]"

    def call(self, name: str, asked: object = None) -> Any:
        """Any call of the server's `Control`."""
        body = json.dumps({} if asked is None else asked).encode()
        with urlopen(Request(f"{self.control_url}/{name}", data=body), timeout=30) as answer:
            return json.load(answer)

    def behave(self, **changes: object) -> None:
        """Change some of `Behaviour`."""
        self.call("behaviour", changes)

    def fail(self, *faults: dict[str, object]) -> None:
        """From now on these faults, and no others: see `Fault`."""
        self.call("faults", list(faults))

    def record(self) -> dict[str, Any]:
        """What it took and refused: counts by attempt, by number and by second."""
        found: dict[str, Any] = self.call("record")
        return found

    def messages(self) -> list[dict[str, Any]]:
        """All messages, in the order in which they were created."""
        found: list[dict[str, Any]] = self.call("messages")
        return found


@contextmanager
def twilio_server(
    *, certificate: Path | None = None, key: Path | None = None, port: int = 0
) -> Iterator[TwilioServer]:
    """A fresh server, which ends with the block. With `certificate` and `key` it speaks TLS."""
    command = [sys.executable, "-m", "tests.sending.twilio_server", "--port", str(port)]
    if certificate is not None and key is not None:
        command += ["--tls-certificate", str(certificate), "--tls-key", str(key)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            scheme = "http" if certificate is None else "https"
            yield TwilioServer(
                f"{scheme}://127.0.0.1:{ports['port']}", f"http://127.0.0.1:{ports['control_port']}", process
            )
        finally:
            process.kill()
