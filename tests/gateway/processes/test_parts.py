"""The table of parts is all that the supervisor, the sockets, the metrics and the readiness know of a part."""

import json
import signal
import socket
from collections.abc import Callable
from contextlib import closing

from tests.gateway.nodes import Node, wait_until
from tests.gateway.processes.made_up_part import GREETING, MADE_UP


def greeting_of(node: Node) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", node.ports["sftp_port"]), timeout=20)) as client:
        return client.recv(100)


def test_a_part_that_is_only_a_row_is_run_replaced_reloaded_told_of_and_drained(
    start_node: Callable[..., Node],
) -> None:
    node = start_node(module=MADE_UP.module, SFTP_GATEWAY_SFTP__PROCESSES="2")
    assert node.events("node_ready")[0]["parts"] == ["worker", "made-up"]
    before = node.children("made_up_part")
    assert len(before) == 2
    assert greeting_of(node) == GREETING
    # Nobody prepared a spool for it, which its row asks for, and nobody asked for host keys.
    status, body = node.get("/readyz")
    dependencies = json.loads(body)["dependencies"]
    assert list(dependencies) == ["database", "s3", "smtp", "spool", "worker", "made-up"]
    assert dependencies["made-up"] == {"ok": True, "detail": "2 at work"}
    assert (status, dependencies["spool"]["ok"]) == (503, False)
    before[0].kill()
    wait_until(
        lambda: 'restarts_total{part="made-up"} 1.0' in node.get("/metrics")[1], "the death is counted"
    )
    wait_until(lambda: 'processes{part="made-up"} 2.0' in node.get("/metrics")[1], "the dead one is replaced")
    node.process.send_signal(signal.SIGHUP)
    wait_until(lambda: bool(node.events("node_reloaded")), "node_reloaded", 60)
    assert greeting_of(node) == GREETING
    node.process.terminate()
    assert node.process.wait(40) == 0
    assert node.events("processes_killed") == []
