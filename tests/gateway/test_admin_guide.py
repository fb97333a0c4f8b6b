"""The admin guide's transcript, run as it stands: from an empty database to an agency's first accepted file."""

import os
import sys
from pathlib import Path

import pytest

from gateway.embedded.mail_server import Mailbox
from gateway.embedded.server_process import free_port
from tests.gateway.transcripts import carried_out, read_steps

GUIDE = Path(__file__).parents[2] / "docs" / "admin-guide.md"


@pytest.fixture
def variables(gateway_variables: dict[str, str], empty_database_url: str, tmp_path: Path) -> dict[str, str]:
    """Settings as a new admin's: an empty database, a bucket, a mailbox."""
    return {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "LANG")},
        **gateway_variables,
        "SFTP_GATEWAY_DATABASE__URL": empty_database_url,
        # As the page says for a node that sends.
        "SFTP_GATEWAY_SENDING__PROCESSES": "1",
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.mark.timeout(600)
def test_the_transcript_leads_to_an_accepted_file(
    variables: dict[str, str], tmp_path: Path, mailbox: Mailbox
) -> None:
    port = str(free_port())
    variables["SFTP_GATEWAY_SFTP__PORT"] = port
    steps = read_steps(GUIDE, {"2222": port})
    assert len(steps) >= 12
    with carried_out(steps, tmp_path, variables):
        (mail,) = mailbox.wait_for(1)
        assert mail.get_content().startswith('{"isValid":true,"batchId":"batch_')
