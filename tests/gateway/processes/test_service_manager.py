"""systemd is told what it wants to know, and stops nobody when it is away or doesn't read."""

import socket
from pathlib import Path

import pytest

from gateway.processes.service_manager import ServiceManager


def test_a_watchdog_for_another_process_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    manager = ServiceManager.of_this_process()
    assert manager.watchdog_seconds is None
    # Nobody listens there, and nobody minds.
    manager.tell_ready("ready")


@pytest.mark.timeout(30)
def test_a_service_manager_that_does_not_read_stops_nobody(short_folder: Path) -> None:
    path = short_folder / "deaf"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(path))
        manager = ServiceManager(str(path), None)
        # More than the queue of any socket takes (net.unix.max_dgram_qlen).
        for _ in range(2000):
            manager.tell_alive()
        manager.tell_stopping()
