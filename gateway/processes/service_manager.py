"""What systemd is told through `$NOTIFY_SOCKET` (sd_notify(3)), and how often it wants a sign of life."""

import contextlib
import os
import socket
import time
from typing import Final

_MICROSECONDS: Final = 1_000_000
# Seconds for which a message waits for room in the service manager's queue.
_PATIENCE: Final = 1.0


class ServiceManager:
    """systemd, or whoever else reads NOTIFY_SOCKET; every call is harmless when nobody does."""

    def __init__(self, address: str | None, watchdog_seconds: float | None) -> None:
        """`address` is a path, or an abstract name after `@`. After `watchdog_seconds` of silence we are restarted."""
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self.watchdog_seconds = watchdog_seconds

    @classmethod
    def of_this_process(cls) -> "ServiceManager":
        """The service manager that the environment names. The variables are removed, so that no child speaks for us."""
        address = os.environ.pop("NOTIFY_SOCKET", None)
        interval = os.environ.pop("WATCHDOG_USEC", None)
        meant_for = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
        mine = interval is not None and meant_for == str(os.getpid())
        return cls(address, int(interval) / _MICROSECONDS if interval and mine else None)

    def tell_ready(self, status: str) -> None:
        """Tell that the start, or a reload, is complete."""
        self._tell("READY=1", f"STATUS={status}")

    def tell_reloading(self) -> None:
        """Tell that a reload begins. systemd 253 and newer also want to know when."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}", "STATUS=reloading")

    def tell_stopping(self) -> None:
        """Tell that the stop begins."""
        self._tell("STOPPING=1", "STATUS=finishing uploads and verdicts")

    def tell_alive(self) -> None:
        """Give the watchdog its sign of life."""
        self._tell("WATCHDOG=1", patience=0)

    def _tell(self, *lines: str, patience: float = _PATIENCE) -> None:
        if not self._address:
            return
        # A service manager that is away must not stop the service.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            # A service manager that doesn't read must not stop it either: a full queue would block for ever.
            notify.settimeout(patience)
            notify.connect(self._address)
            notify.send("\n".join(lines).encode())
