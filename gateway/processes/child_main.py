"""What every child process does around its work.

It ends with its parent, ignores Ctrl-C, which is the parent's to answer, says when it is ready, and stops on SIGTERM.
"""

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import uvloop

from config.errors import ConfigError
from config.logs import configure_logs, describe_exception, get_logger
from config.settings import Settings, load_settings
from database.errors import ServiceUnreachable
from gateway.errors import ExitStatus
from gateway.processes.owned_tasks import owned_task
from gateway.processes.parts import Part
from keys.errors import KeysError

SIGN_OF_LIFE: Final = b"."
READY: Final = b"R"
# Seconds between two signs of life to the parent.
SIGN_OF_LIFE_INTERVAL: Final = 5.0
_PR_SET_PDEATHSIG: Final = 1
_CRASHED: Final = 70  # EX_SOFTWARE

logger = get_logger("gateway")


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the parent gives: its own pid, the pipe that it listens to, the listening sockets of this part."""

    parent: int
    pipe: int
    sockets: tuple[socket.socket, ...]


Work = Callable[[Settings, Inheritance, asyncio.Event, Callable[[], None]], Awaitable[None]]


def run_child(part: Part, work: Work, arguments: Sequence[str] | None = None) -> int:
    """The whole life of a child process; returns its exit status. `work` gets settings, sockets, `stop` and `ready`."""
    inherited = _parse_inheritance(arguments)
    _end_with_parent(inherited.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        settings = load_settings(None)
        configure_logs(settings.log)
        uvloop.run(_work_until_stopped(work, settings, inherited))
    except ServiceUnreachable as error:
        return _say(part, error, ExitStatus.UNREACHABLE)
    except (ConfigError, KeysError) as error:
        return _say(part, error, ExitStatus.CONFIGURATION)
    except Exception as error:  # noqa: BLE001 - its text may hold anything: what and where is enough, and a new process
        logger.critical("process_crashed", part=part.name, **describe_exception(error))
        return _CRASHED
    return ExitStatus.DONE


def _say(part: Part, error: Exception, status: ExitStatus) -> int:
    sys.stderr.write(f"sftp-gateway {part.name}: {error}\n")
    return status


def _parse_inheritance(arguments: Sequence[str] | None) -> Inheritance:
    parser = argparse.ArgumentParser(description="A part of `sftp-gateway run`, which starts it.")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--pipe", type=int, required=True)
    parser.add_argument("--socket", type=int, action="append", default=[])
    given = parser.parse_args(arguments)
    sockets = tuple(socket.socket(fileno=number) for number in given.socket)
    return Inheritance(given.parent, given.pipe, sockets)


def _end_with_parent(parent: int) -> None:
    """Let the kernel send SIGTERM when the parent dies, and leave at once if it has died already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        sys.exit(ExitStatus.DONE)


async def _work_until_stopped(work: Work, settings: Settings, inherited: Inheritance) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def tell_ready() -> None:
        _write(inherited.pipe, READY)

    async with owned_task(_tell_alive(inherited.pipe), name="signs of life"):
        await work(settings, inherited, stop, tell_ready)


async def _tell_alive(pipe: int) -> None:
    """Give signs of life: a parent that hears nothing for long takes this process for hung, and kills it."""
    while True:
        _write(pipe, SIGN_OF_LIFE)
        await asyncio.sleep(SIGN_OF_LIFE_INTERVAL)


def _write(pipe: int, word: bytes) -> None:
    # Where the parent has died, the kernel has sent us SIGTERM already.
    with contextlib.suppress(OSError):
        os.write(pipe, word)
