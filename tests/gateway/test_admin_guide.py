"""The admin guide's transcript, run as it stands: from an empty database to an agency's first accepted file."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.embedded.mail_server import Mailbox

GUIDE = Path(__file__).parents[2] / "docs" / "admin-guide.md"
_BLOCK = re.compile(r"<!-- transcript -->\n```console\n(.*?)```", re.DOTALL)
# The guide's port; the test's own takes its place.
_PORT = "2222"


def squeezed(text: str) -> str:
    """`text` with each run of blanks as one, as tables pad their columns."""
    return "".join(re.sub(r" +", " ", line.strip()) + "\n" for line in text.splitlines())


@dataclass(frozen=True)
class Step:
    """A command of the transcript and what it prints; `…` stands for anything, also for any number of lines."""

    command: str
    expected: str

    def pattern(self) -> str:
        parts = re.split(r"^…\n| ?… ?", squeezed(self.expected), flags=re.MULTILINE)
        return ".*".join(re.escape(part) for part in parts)


def steps_of(guide: str) -> Iterator[Step]:
    for block in _BLOCK.findall(guide):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            yield Step(command, expected)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def variables(gateway_variables: dict[str, str], empty_database_url: str, tmp_path: Path) -> dict[str, str]:
    """Settings as a new admin's: an empty database, a bucket, a mailbox."""
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG")},
        **gateway_variables,
        "SFTP_GATEWAY_DATABASE__URL": empty_database_url,
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.mark.timeout(300)
def test_the_transcript_leads_to_an_accepted_file(
    variables: dict[str, str], tmp_path: Path, mailbox: Mailbox
) -> None:
    port = str(free_port())
    variables["SFTP_GATEWAY_SFTP__PORT"] = port
    steps = list(steps_of(GUIDE.read_text(encoding="utf-8").replace(_PORT, port)))
    assert len(steps) >= 12

    # One shell for all, as an admin has; each command's output ends with a line of ours.
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=tmp_path, env=variables, start_new_session=True,
    ) as shell:  # fmt: skip
        assert shell.stdin is not None
        assert shell.stdout is not None
        try:
            for step in steps:
                shell.stdin.write(f"{step.command}\necho '%%end%%'\n")
                shell.stdin.flush()
                printed = "".join(iter(shell.stdout.readline, "%%end%%\n"))
                assert re.fullmatch(step.pattern(), squeezed(printed), re.DOTALL), (
                    f"$ {step.command}\n{printed}"
                )
            (mail,) = mailbox.wait_for(1)
            assert mail.get_content().startswith('{"isValid":true,"batchId":"batch_')
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            # Until the gateway has drained and gone too.
            shell.stdout.read()
