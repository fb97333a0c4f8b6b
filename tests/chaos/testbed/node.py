"""One node of the gateway: a process tree that can be killed whole or in part, and started again."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from gateway.embedded.server_process import ServerProcess, free_port
from gateway.errors import EmbeddedError
from gateway.processes.child_handle import python_environment

Command = Literal["run", "sftpd", "worker", "sender", "api", "console"]
PartName = Literal["front", "worker", "sender", "api", "console"]
_START_TIMEOUT: Final = 90.0


class Node:
    """`sftp-gateway <command>` with a spool, a log and ports of its own; the ports stay the same over restarts."""

    def __init__(
        self,
        name: str,
        folder: Path,
        command: Command,
        environment: Mapping[str, str],
        port: int,
        tree: Path | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.command = command
        self.port = port
        self.log = folder / "gateway.log"
        self.starts = 0
        self._environment = python_environment(environment)
        if tree is not None:
            # Before this release's packages, which are installed.
            self._environment["PYTHONPATH"] = str(tree)
        self._process: ServerProcess | None = None
        self._log_read = 0

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process._process.poll() is None

    @property
    def has_front(self) -> bool:
        return self.command in {"run", "sftpd"}

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    async def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        await self.begin()
        await self.until_ready()

    async def start_as_systemd(self) -> None:
        """Start it, and again where a kill came before it was ready: systemd would restart it then, by its exit status."""
        for left in reversed(range(5)):
            try:
                await self.start()
            except EmbeddedError:
                if not left or self.is_running:
                    raise
            else:
                return

    async def begin(self) -> None:
        """Start it without waiting."""
        assert not self.is_running, f"{self.name} is running already"
        self._log_read = self.log.stat().st_size if self.log.exists() else 0
        self.starts += 1
        self._process = await asyncio.to_thread(
            ServerProcess,
            self.name,
            [sys.executable, "-P", "-m", "gateway", self.command],
            log=self.log,
            environment=self._environment,
        )

    async def until_ready(self) -> None:
        """Wait until it says that it is ready. Raises EmbeddedError with the end of its log."""
        assert self._process is not None
        await asyncio.to_thread(self._process.wait_until_ready, self._says_ready, _START_TIMEOUT)

    def _says_ready(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._log_read)
            return b'"node_ready"' in log.read()

    def parts(self, part: PartName) -> list[int]:
        """The process ids of the part's processes that live now."""
        if not self.is_running:
            return []
        return [
            pid for pid in _children_of(self.pid) if f"gateway.processes.{part}".encode() in _command_of(pid)
        ]

    def kill_part(self, part: PartName) -> bool:
        """SIGKILL the part's processes while the rest of the node goes on. Returns whether there was one."""
        return sum(_kill(pid) for pid in self.parts(part)) > 0

    async def kill(self) -> None:
        """SIGKILL all of it, as a power cut would. The parent is stopped first, so that it replaces no child meanwhile."""
        process = self._process
        if process is None:
            return
        if self.is_running:
            os.kill(process.pid, signal.SIGSTOP)
            for child in _children_of(process.pid):
                _kill(child)
        await asyncio.to_thread(process.kill)
        self._process = None

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to its first process."""
        assert self._process is not None, f"{self.name} is not running"
        # Popen's own method never signals a process id that another process has been given since.
        self._process._process.send_signal(number)

    async def ended(self, timeout: float) -> int:
        """Wait until it has ended by itself, and return its exit status. Raises TimeoutExpired."""
        process = self._process
        assert process is not None
        status = await asyncio.to_thread(process._process.wait, timeout)
        self._process = None
        return status

    async def command_line(self, *arguments: str) -> str:
        """Run `sftp-gateway …` with this node's settings and return what it prints. Raises CalledProcessError."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-P", "-m", "gateway", *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout

    async def stop(self, timeout: float = 45) -> int:
        """Send SIGTERM, wait for the end, and return the exit status."""
        self.tell(signal.SIGTERM)
        return await self.ended(timeout)

    def limit_file_size(self, most: int | None) -> None:
        """Set RLIMIT_FSIZE of its fronts to so many bytes; None removes the limit."""
        for pid in self.parts("front"):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(
                pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY if most is None else most, hard)
            )


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _children_of(parent: int) -> list[int]:
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "stat").read_text()
            except OSError:
                continue
            # After the name in parentheses: state, then the parent.
            state, its_parent = status.rpartition(")")[2].split()[:2]
            if int(its_parent) == parent and state != "Z":
                children.append(int(entry.name))
    return children


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def new_port() -> int:
    """A port for a node that outlives restarts."""
    return free_port()
