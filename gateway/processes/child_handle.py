"""One child process as its parent sees it: it is started, gets ready, may fall silent, and ends."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import gateway
from gateway.processes.child_main import READY
from gateway.processes.owned_tasks import owned_task
from gateway.processes.parts import Part

# Seconds without a sign of life after which a process counts as hung. The longest step of a verdict takes far less.
SILENCE: Final = 60.0
_LOOK_INTERVAL: Final = 5.0
# Where our packages lie: a child must find them wherever the parent was started, and never in the current folder.
_PACKAGES: Final = Path(gateway.__file__).resolve().parent.parent


class ChildHandle:
    """A child process in its parent's hands. Somebody must await `ended` from its start on, or nothing is heard of it."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int) -> None:
        self.pid = process.pid
        self.started = time.monotonic()
        self.is_ready = False
        self._process = process
        self._pipe = pipe
        self._heard = time.monotonic()
        self._ready_or_ended = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether its end hasn't been seen yet."""
        return self._process.returncode is None

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    async def ready_or_ended(self) -> None:
        """Wait until it has said that it is ready, or has ended; `is_ready` tells which."""
        await self._ready_or_ended.wait()

    def ask_to_stop(self) -> None:
        """Ask it to finish what it has begun and to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._signal(signal.SIGKILL)

    async def ended(self) -> int:
        """Wait for its end; its exit status, negative for a signal. One that has hung is killed."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe, self._listen)
        try:
            async with owned_task(self._kill_when_silent(), name=f"watch {self.pid}"):
                return await self._process.wait()
        finally:
            loop.remove_reader(self._pipe)
            os.close(self._pipe)
            self._ready_or_ended.set()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _listen(self) -> None:
        said = os.read(self._pipe, 4096)
        if not said:
            asyncio.get_running_loop().remove_reader(self._pipe)
        self._heard = time.monotonic()
        if READY in said:
            self.is_ready = True
            self._ready_or_ended.set()

    async def _kill_when_silent(self) -> None:
        while True:
            before = self._heard
            await asyncio.sleep(_LOOK_INTERVAL)
            # Nothing was heard during the sleep either: after a pause of the whole machine every child seems silent at first.
            if self._heard == before and time.monotonic() - before > SILENCE:
                self.kill()


async def start_child(
    part: Part, sockets: Sequence[socket.socket], environment: Mapping[str, str]
) -> ChildHandle:
    """Start a process of this part that inherits `sockets`. Raises OSError where the machine can't start one."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    numbers = [listening.fileno() for listening in sockets]
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "gateway.begin", part.module,
            "--parent", str(os.getpid()), "--pipe", str(writing),
            *(argument for number in numbers for argument in ("--socket", str(number))),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(writing, *numbers),
            env=python_environment(environment),
            # Ctrl-C in the terminal is the parent's to answer: it ends the children in order.
            start_new_session=True,
        )  # fmt: skip
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return ChildHandle(process, reading)


def python_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which `python -P -m gateway…` finds our packages, wherever it is started."""
    given = environment.get("PYTHONPATH")
    return {**environment, "PYTHONPATH": os.pathsep.join([str(_PACKAGES), *([given] if given else [])])}
