"""Starts `smsc.cjs`, an aggregator by npm's `smpp` that keeps its record whatever is killed, and tells it how to behave."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

from tests.sending.providers.smpp.aggregator import missing, modules

_SCRIPT: Final = Path(__file__).with_name("smsc.cjs")


@dataclass(frozen=True, slots=True)
class SMSC:
    """A running one."""

    port: int
    control_url: str
    process: "subprocess.Popen[str]"

    def call(self, name: str, asked: object = None) -> Any:
        """Any call of its control."""
        body = json.dumps({} if asked is None else asked).encode()
        with urlopen(Request(f"{self.control_url}/{name}", data=body), timeout=60) as answer:
            return json.load(answer)

    def settings(self, **others: str) -> dict[str, str]:
        """The public channel through it."""
        return {
            "sending__public__provider": "smpp",
            "sending__smpp__host": "127.0.0.1",
            "sending__smpp__port": str(self.port),
            "sending__smpp__system_id": "gateway",
            "sending__smpp__password": "secret08",
            "sending__smpp__tls": "none",
            "sending__smpp__errors": '{"001": "recipient_unavailable"}',
            **others,
        }


@contextmanager
def running_smsc(**behaviour: object) -> Iterator[SMSC]:
    """A fresh one, which ends with the block. Raises RuntimeError where there is no Node, or npm can't install its library."""
    if absent := missing():
        raise RuntimeError(absent)
    with subprocess.Popen(
        ["node", str(_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NODE_PATH": str(modules())},
    ) as process:
        try:
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            smsc = SMSC(ports["port"], f"http://127.0.0.1:{ports['control_port']}", process)
            smsc.call("behaviour", behaviour)
            yield smsc
        finally:
            process.kill()
