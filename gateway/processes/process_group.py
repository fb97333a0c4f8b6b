"""The processes of one part, from one reading of the settings.

They are started together, replaced when they die, and stopped together.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from config.logs import describe_exception, get_logger
from config.settings import Settings
from gateway.processes.child_handle import ChildHandle, start_child
from gateway.processes.metrics_files import VARIABLE, MetricsFiles
from gateway.processes.parts import Part

# Seconds before a dead process is replaced. They double with each early death, up to the second figure.
_PAUSE_FIRST, _PAUSE_MOST = 0.5, 30.0
# A process that lived this long, in seconds, did not die of its start.
_SETTLED: Final = 60.0
# Seconds beyond its drain time after which a process is killed.
_GRACE: Final = 5.0

logger = get_logger("gateway")


class CannotStart(Exception):  # noqa: N818 - a fact about a process, read as one
    """A process ended before it was ready, saying why on stderr. `status` is its exit status."""

    def __init__(self, part: Part, status: int) -> None:
        super().__init__(f"the {part.name} could not start (exit status {status})")
        self.status = status


class ProcessGroup:
    """As many processes of one part as the settings say, and one at least. Those that die are replaced by `tasks`, until `stop`.

    `on_death` is told of each one that died unasked.
    """

    def __init__(
        self,
        part: Part,
        settings: Settings,
        *,
        sockets: Sequence[socket.socket],
        metrics: MetricsFiles,
        on_death: Callable[[Part], None],
        tasks: asyncio.TaskGroup,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.part = part
        # A part that is switched off for `run` may still be started alone.
        self._count = max(part.processes(settings), 1)
        self._drain_seconds = part.drain_seconds(settings)
        self._sockets = sockets
        self._metrics = metrics
        self._on_death = on_death
        self._tasks = tasks
        given = os.environ if environment is None else environment
        self._environment = {**given, VARIABLE: str(metrics.folder)}
        self._stopping = asyncio.Event()
        self._children: dict[int, ChildHandle] = {}
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def ready_count(self) -> int:
        """How many of the processes are at work."""
        return sum(child.is_running and child.is_ready for child in self._children.values())

    @property
    def pids(self) -> list[int]:
        """Of the processes that run now."""
        return [child.pid for child in self._children.values() if child.is_running]

    async def start(self, timeout: float) -> None:
        """Start all and wait until each is ready. Raises CannotStart, or TimeoutError after `timeout` seconds.

        From then on those that die are replaced, until `stop`; also after a failed start `stop` must be called.
        """
        try:
            async with asyncio.timeout(timeout), asyncio.TaskGroup() as starts:
                for slot in range(self._count):
                    starts.create_task(self._start_first(slot))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def stop(self) -> None:
        """Ask all to finish, wait for them as long as they may drain, then kill those that are left."""
        self._stopping.set()
        for child in self._children.values():
            child.ask_to_stop()
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=self._drain_seconds + _GRACE)
            if late:
                logger.warning("processes_killed", part=self.part.name, processes=len(late))
                self.kill()
        await asyncio.gather(*self._keepers)

    def kill(self) -> None:
        """End all at once; `stop` still has to be awaited."""
        self._stopping.set()
        for child in self._children.values():
            child.kill()

    async def _start_first(self, slot: int) -> None:
        child = await self._start_one()
        if child is None:
            raise CannotStart(self.part, os.EX_OSERR)
        self._children[slot] = child
        keeper = self._tasks.create_task(self._keep(slot, child), name=f"keep {self.part.name} {slot}")
        self._keepers.append(keeper)
        await child.ready_or_ended()
        if not child.is_ready:
            raise CannotStart(self.part, os.EX_SOFTWARE if child.status is None else child.status)

    async def _keep(self, slot: int, child: ChildHandle) -> None:
        """Replace this slot's process whenever it dies. A first one that never got ready is not replaced: `start` fails."""
        pause = _PAUSE_FIRST
        is_first = True
        while True:
            status = await child.ended()
            self._fold_counts(child.pid)
            if self._stopping.is_set() or (is_first and not child.is_ready):
                return
            is_first = False
            lived = time.monotonic() - child.started
            logger.error(
                "process_died",
                part=self.part.name,
                pid=child.pid,
                status=status,
                lived_seconds=round(lived, 1),
            )
            self._on_death(self.part)
            pause = _PAUSE_FIRST if lived > _SETTLED else pause
            replacement = None
            while replacement is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)
                pause = min(pause * 2, _PAUSE_MOST)
                if self._stopping.is_set():
                    return
                replacement = await self._start_one()
            child = self._children[slot] = replacement
            if self._stopping.is_set():
                child.ask_to_stop()

    async def _start_one(self) -> ChildHandle | None:
        """A process; None where the machine can't start one now for want of memory, processes or files."""
        try:
            return await start_child(self.part, self._sockets, self._environment)
        except OSError as error:
            logger.error("process_not_started", part=self.part.name, **describe_exception(error))  # noqa: TRY400 - where it was is known
            return None

    def _fold_counts(self, pid: int) -> None:
        try:
            self._metrics.fold_dead_process(pid)
        except Exception as error:  # noqa: BLE001 - a full disk, or a count cut short: a new process matters more
            logger.warning("counts_lost", part=self.part.name, pid=pid, **describe_exception(error))
