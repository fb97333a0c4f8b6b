"""Front and worker under database roles of their own, each with exactly the rights that its role has."""

import functools
from collections.abc import Callable
from pathlib import Path

from database.grants import DatabaseRole
from gateway.embedded.mail_server import Mailbox
from tests.gateway.nodes import Node, wait_until

URL = "SFTP_GATEWAY_DATABASE__URL"


def is_ready(node: Node) -> bool:
    return node.away() == (200, [])


def assert_nothing_was_refused(*nodes: Node) -> None:
    for node in nodes:
        log = node.log.read_text()
        assert "InsufficientPrivilege" not in log
        assert "refuses this login" not in log
        assert not [
            line for line in log.splitlines() if '"level": "error"' in line or '"level":"error"' in line
        ]


def test_front_and_worker_do_their_work_with_the_rights_of_their_roles(
    url_of: Callable[[DatabaseRole], str], start_node: Callable[..., Node], mailbox: Mailbox,
    good_file: Path, tmp_path: Path,
) -> None:  # fmt: skip
    front = start_node(
        "sftpd", **{URL: url_of(DatabaseRole.FRONT), "SFTP_GATEWAY_SFTP__MAX_NOT_CSV_NOTIFICATIONS": "1"}
    )
    worker = start_node(
        "worker", **{URL: url_of(DatabaseRole.WORKER), "SFTP_GATEWAY_WORKER__SWEEP_INTERVAL": "0.5"}
    )
    bad = tmp_path / "bad.csv"
    bad.write_text("recipient,language,name\n+6599999999,english,Emily\n")
    text = tmp_path / "text.txt"
    text.write_text("no rows")
    assert front.upload(good_file) == 0
    mailbox.wait_for(1)
    # The same again is a duplicate, and told; a name that isn't .csv is refused by the front, and told by the worker.
    assert front.upload(good_file) == 0
    assert front.upload(bad) == 0
    assert front.upload(text) != 0
    mailbox.wait_for(4)
    with front.sftp() as client:
        client.communicate(
            f"ls -l\nput {bad} again.part\nrename again.part again.csv\nput -p {bad} kept.csv\n", timeout=60
        )
        assert client.returncode == 0
    mailbox.wait_for(6)
    for node in (front, worker):
        wait_until(functools.partial(is_ready, node), "ready")
        assert "sftp_gateway_uploads_untold 0.0" in node.get("/metrics")[1]
    assert_nothing_was_refused(front, worker)
