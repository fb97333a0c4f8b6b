"""The runbook's transcript of an upgrade and of the way back, run as it stands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.embedded.mail_server import Mailbox
from gateway.embedded.server_process import free_port
from tests.database.first_release import unpack
from tests.gateway.transcripts import carried_out, read_steps

RUNBOOK = Path(__file__).parents[2] / "docs" / "ops-runbook.md"
_ROOT = Path(__file__).parents[2]
_PROVISION = """
set -e
sftp-gateway migrate
sftp-gateway hostkey generate
sftp-gateway campaign create --id clinic-reminders --name Clinic --notify ops@clinic.example --template 'english=Dear {{name}}'
ssh-keygen -q -t ed25519 -N '' -f agency_key
sftp-gateway key add clinic-reminders agency_key.pub
for port in $*; do sftp-gateway hostkey show --host localhost --port $port | grep '^.localhost'; done > known_hosts
printf 'recipient,language,name\\n6599999999,english,Emily Yeo\\n' > appointments.csv
"""


def install(folder: Path, tree: Path) -> Path:
    """A release in a folder of its own, as under /opt; here the packages that it runs lie in `tree`."""
    program = folder / "bin" / "sftp-gateway"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{tree}" exec "{sys.executable}" -P -m gateway "$@"\n')
    program.chmod(0o755)
    return program.parent


@pytest.mark.timeout(300)
def test_the_transcript_of_an_upgrade_and_the_way_back_leads_to_one_e_mail_for_each_file(
    gateway_variables: dict[str, str], empty_database_url: str, tmp_path: Path, mailbox: Mailbox
) -> None:
    opt, tree = tmp_path / "opt", tmp_path / "first-release"
    tree.mkdir()
    old = install(opt / "sftp-gateway-0.1.0", unpack(tree))
    install(opt / "sftp-gateway-0.2.0", _ROOT)
    ports = {shown: str(free_port()) for shown in ("2222", "2223")}
    variables = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG")},
        **gateway_variables,
        "SFTP_GATEWAY_DATABASE__URL": empty_database_url,
        "SFTP_GATEWAY_SFTP__PORT": ports["2222"],
        "HOME": str(tmp_path),
        "PATH": f"{old}:{os.environ['PATH']}",
    }
    subprocess.run(
        ["bash", "-c", _PROVISION, "provision", *ports.values()],
        cwd=tmp_path, env=variables, check=True, timeout=120, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    steps = read_steps(RUNBOOK, {**ports, "/opt/": f"{opt}/"})
    assert len(steps) >= 18
    with carried_out(steps, tmp_path, variables):
        mails = mailbox.wait_for(6)
        assert len({mail["Message-ID"] for mail in mails}) == 6
