"""The examples of the API guide, run as they stand against a real gateway: what agencies copy must work."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateway.nodes import ROOT, Node, call
from tests.gateway.transcripts import carried_out, read_steps

GUIDE = ROOT / "docs" / "api-guide.md"
CAMPAIGN = "clinic-reminders"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl isn't installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node isn't installed (Debian: nodejs)")


@dataclass(frozen=True)
class Access:
    """What an agency gets: the address and a key."""

    url: str
    key: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
            "SMS_API": self.url, "SMS_CAMPAIGN": CAMPAIGN, "SMS_KEY": self.key,
        }  # fmt: skip


@pytest.fixture
def access(start_node: Callable[..., Node], gateway_variables: dict[str, str]) -> Access:
    """To the campaign that the guide speaks of, on a gateway that decides and sends."""
    node = start_node(
        SFTP_GATEWAY_API__PROCESSES="1", SFTP_GATEWAY_API__PORT="0", SFTP_GATEWAY_SENDING__PROCESSES="1"
    )
    call(
        gateway_variables, "campaign", "create", "--id", CAMPAIGN, "--name", "Clinic reminders",
        "--notify", "desk@clinic.example",
        "--template", "english=Dear {{name}}, your appointment is on {{date}}.",
    )  # fmt: skip
    call(gateway_variables, "campaign", "addresses", CAMPAIGN, "--add", "127.0.0.1")
    key = json.loads(call(gateway_variables, "apikey", "add", CAMPAIGN, "--json"))["key"]
    return Access(f"http://127.0.0.1:{node.ports['api_port']}/api/v2", key)


@needs_curl
def test_what_is_typed_with_curl_answers_as_the_guide_says(access: Access, tmp_path: Path) -> None:
    steps = read_steps(
        GUIDE,
        {
            "https://sms.agency.example/api/v2": access.url,
            "SMS_KEY=…": f"SMS_KEY={access.key}",
            "sleep 2": "sleep 0.3",
        },
    )
    assert len(steps) > 15
    with carried_out(steps, tmp_path, access.variables):
        pass


def run_program(language: str, command: list[str], name: str, access: Access, folder: Path) -> list[str]:
    """Run the program of the guide, and return the lines that it printed."""
    guide = GUIDE.read_text(encoding="utf-8")
    (program,) = re.findall(rf"<!-- tried: {language} -->\n```\w+\n(.*?)```", guide, re.DOTALL)
    (folder / name).write_text(program)
    (folder / "appointments.csv").write_text(
        "recipient,language,name,date\n6599999999,english,Emily,2 May\n6511112222,english,Daniel,3 May\n"
    )
    done = subprocess.run(
        [*command, name], cwd=folder, env=access.variables, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def assert_sent(lines: list[str]) -> None:
    assert re.fullmatch(r"message_[0-9a-f-]{36} success", lines[0])
    assert [line.split()[0] for line in lines[1:]] == ["6511112222", "6599999999"]


def test_the_program_in_python_sends_and_follows(access: Access, tmp_path: Path) -> None:
    assert_sent(run_program("python", [sys.executable], "sms.py", access, tmp_path))


@needs_node
def test_the_program_in_javascript_sends_and_follows(access: Access, tmp_path: Path) -> None:
    assert_sent(run_program("node", ["node"], "sms.mjs", access, tmp_path))
