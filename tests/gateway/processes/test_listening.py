"""Each part gets the sockets that are its own, whether systemd opened them or the gateway does."""

import socket
from contextlib import ExitStack
from dataclasses import replace

from config.settings import Settings
from gateway.processes.listening import open_sockets_of_parts, port_of, take_passed_sockets
from gateway.processes.parts import FRONT, WORKER, Listening
from tests.gateway.processes.made_up_part import MADE_UP

OTHER = replace(MADE_UP, listening=Listening("ops", lambda settings: (settings.ops.host, 0)))


def test_sockets_for_another_process_are_not_ours_and_no_child_sees_the_variables() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "ssh"}
    assert take_passed_sockets(environment) == []
    assert environment == {}


def test_sockets_that_systemd_opened_go_to_the_parts_that_they_are_named_after(settings: Settings) -> None:
    with ExitStack() as stack:
        named, unknown, alone = (
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)
        )
        passed = [("ops", named), ("sftp-gateway-front.socket", unknown)]
        with open_sockets_of_parts([OTHER, WORKER, FRONT], settings, passed) as sockets:
            assert sockets == {FRONT: [unknown], OTHER: [named]}
        with open_sockets_of_parts([WORKER], settings, [("sftp", alone)]) as sockets:
            assert sockets == {}


def test_a_part_that_no_socket_was_passed_for_listens_by_its_own_settings(settings: Settings) -> None:
    with ExitStack() as stack:
        passed = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        with open_sockets_of_parts([OTHER, FRONT], settings, [("", passed)]) as sockets:
            assert sockets[FRONT] == [passed]
            [opened] = sockets[OTHER]
            assert port_of([opened]) not in {0, port_of([passed])}
        assert opened.fileno() == -1
