"""One server as a child process.

It is started apart from the terminal's Ctrl-C, probed until it answers, and ended with its parent.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gateway.errors import EmbeddedError

_PR_SET_PDEATHSIG: Final = 1
_PAUSE: Final = 0.02
# PyDLL is taken because CDLL would release the interpreter's lock, which a forked child had better not touch.
_LIBC: Final = ctypes.PyDLL(None)
# The kernel means the thread that forked when it says parent, so a thread forks that lives as long as the interpreter.
_SPAWNER: Final = ThreadPoolExecutor(1, thread_name_prefix="embedded-servers")


def free_port() -> int:
    """A TCP port that was free on loopback a moment ago.

    It lies below those that Linux gives to whoever asks for any port, to clients above all: one of those could be taken
    before our server listens.
    """
    ports = range(20_000, 32_000)
    for _ in ports:
        port = secrets.choice(ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise EmbeddedError("no TCP port is free on this machine")


def answers(port: int) -> bool:
    """Whether something accepts connections at this port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """A running server. `log` takes what it prints; `end_signal` is the one that it takes for "finish now"."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        end_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self._end_signal = end_signal

        def die_with_parent() -> None:
            if sys.platform == "linux":
                _LIBC.prctl(_PR_SET_PDEATHSIG, int(end_signal))

        def spawn() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(
                    [os.fspath(part) for part in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=log.parent,
                    env=None if environment is None else dict(environment),
                    # In a session of its own the server doesn't see the terminal's Ctrl-C. The gateway answers that, by
                    # ending its servers in order.
                    start_new_session=True,
                    user=user,
                    group=user,
                    extra_groups=[] if user else None,
                    # This is one C call. It is made after the change of user, which would undo it.
                    preexec_fn=die_with_parent,  # noqa: PLW1509
                )

        try:
            self._process = _SPAWNER.submit(spawn).result()
        except OSError as error:
            raise EmbeddedError(f"the {name} can't be started: {error.strerror}") from None

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until_ready(self, probe: Callable[[], bool], timeout: float = 20) -> None:
        """Ask `probe` until it says yes. Raises EmbeddedError with the server's last words after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not probe():
            if self._process.poll() is not None:
                raise EmbeddedError(f"the {self.name} did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the {self.name} did not answer within {timeout:.0f} s: {self._last_words()}"
                )
            time.sleep(_PAUSE)

    def stop(self, timeout: float = 10) -> None:
        """End the server and wait; after `timeout` seconds kill it. Does nothing where it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(self._end_signal)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it said nothing (exit status {self._process.poll()})"
