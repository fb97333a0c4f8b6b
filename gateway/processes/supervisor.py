"""The parent of a node's processes: starts them in order, replaces the dead, reloads without a reset, drains at the end.

Signals: SIGTERM and SIGINT stop (a second one stops at once), SIGHUP reloads: new processes are up before the old ones
drain, all on the same listening sockets. On a terminal SIGHUP means that it was closed, and stops.
"""

import asyncio
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from config.errors import ConfigurationError
from config.logs import get_logger
from config.settings import Settings
from gateway.errors import ExitStatus
from gateway.ops.dependencies import Backlog, Dependency
from gateway.ops.endpoint import OpsEndpoint, serve_ops
from gateway.processes.listening import port_of
from gateway.processes.metrics_files import MetricsFiles
from gateway.processes.owned_tasks import owned_task
from gateway.processes.parts import Part
from gateway.processes.process_group import CannotStart, ProcessGroup
from gateway.processes.service_manager import ServiceManager

# Seconds until all processes of a part must be ready. Importing alone takes 1 to 2 on a busy machine.
_START_TIMEOUT: Final = 60.0

logger = get_logger("gateway")


class Supervisor:
    """One node: these parts, in the order of their table, with the listening sockets of those that listen.

    `read_settings` is called again at each reload and raises ConfigurationError.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Sequence[Part],
        sockets: Mapping[Part, Sequence[socket.socket]],
        read_settings: Callable[[], Settings],
        service_manager: ServiceManager,
    ) -> None:
        self.restarts: Counter[str] = Counter()
        self._parts = parts
        self._metrics = MetricsFiles()
        self._settings = settings
        self._sockets = sockets
        self._read_settings = read_settings
        self._service_manager = service_manager
        self._groups: dict[Part, ProcessGroup] = {}
        # Those that a reload starts, and those that it has replaced and that still drain.
        self._groups_in_transition: list[ProcessGroup] = []
        self._tasks: asyncio.TaskGroup
        self._ops: OpsEndpoint
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    @property
    def dependencies(self) -> frozenset[Dependency]:
        """What the parts of this node need from outside."""
        return frozenset[Dependency]().union(*(part.dependencies for part in self._parts))

    @property
    def puts_only(self) -> bool:
        """Whether all that this node's parts do with the bucket is to put objects into it."""
        return all(part.puts_only for part in self._parts)

    @property
    def backlogs(self) -> frozenset[Backlog]:
        """What waits that this node tells of."""
        return frozenset[Backlog]().union(*(part.backlogs for part in self._parts))

    @property
    def parts_uploads_need(self) -> frozenset[str]:
        """The names of the parts without which the node isn't ready."""
        return frozenset(part.name for part in self._parts if part.uploads_need_it)

    @property
    def is_stopping(self) -> bool:
        """Whether the node takes no new work any more."""
        return self._stop.is_set()

    @property
    def metrics_folder(self) -> Path:
        """The folder in which the processes of this node count."""
        return self._metrics.folder

    def ready_processes(self) -> dict[str, int]:
        """How many processes of each part are at work, by the part's name."""
        return {
            part.name: self._groups[part].ready_count if part in self._groups else 0 for part in self._parts
        }

    async def run(self) -> ExitStatus:
        """Run the node until it is told to stop, or cannot start. Returns the exit status.

        Raises ConfigurationError where the ops endpoint's port is taken.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._metrics.remove)
            self._take_signals()
            self._ops = await stack.enter_async_context(serve_ops(self._settings, self))
            async with owned_task(_tell_alive(self._service_manager), name="watchdog"):
                status = await self._run_parts()
                logger.info("node_stopped")
                return status

    async def _run_parts(self) -> ExitStatus:
        """Start all parts, reload them when asked, and stop them all. Returns the exit status."""
        async with AsyncExitStack() as stack:
            self._tasks = await stack.enter_async_context(asyncio.TaskGroup())
            stack.push_async_callback(self._stop_all)
            try:
                await self._unless_stopped(self._start_all())
            except CannotStart as error:
                # Its own words are on stderr already.
                known = error.status in {ExitStatus.CONFIGURATION, ExitStatus.UNREACHABLE}
                return ExitStatus(error.status) if known else ExitStatus.UNREACHABLE
            except TimeoutError:
                logger.error("node_not_ready", seconds=_START_TIMEOUT)  # noqa: TRY400 - nothing to trace
                return ExitStatus.UNREACHABLE
            if not self._stop.is_set():
                self._announce_ready()
            while not self._stop.is_set():
                await self._unless_stopped(self._reload.wait())
                if self._reload.is_set():
                    self._reload.clear()
                    await self._unless_stopped(self._reload_all())
        return ExitStatus.DONE

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ask_to_stop)
        # On a terminal SIGHUP is the terminal's end, and nobody is left to see the node.
        on_hangup = self._ask_to_stop if sys.stdin is not None and sys.stdin.isatty() else self._reload.set
        loop.add_signal_handler(signal.SIGHUP, on_hangup)

    def _ask_to_stop(self) -> None:
        if self._stop.is_set():
            logger.warning("stop_hastened")
            for group in (*self._groups.values(), *self._groups_in_transition):
                group.kill()
        self._stop.set()

    async def _unless_stopped(self, step: Coroutine[Any, Any, object]) -> None:
        """Await `step`, or cancel it when the stop comes first. Raises what the step raised."""
        async with (
            owned_task(step, name="step") as task,
            owned_task(self._stop.wait(), name="stop") as stopped,
        ):
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)

    def _new_group(self, part: Part, settings: Settings) -> ProcessGroup:
        def count_death(part: Part) -> None:
            self.restarts[part.name] += 1

        return ProcessGroup(
            part,
            settings,
            sockets=self._sockets.get(part, ()),
            metrics=self._metrics,
            on_death=count_death,
            tasks=self._tasks,
        )

    async def _start_all(self) -> None:
        """Start all parts side by side: whoever connects before they are ready waits in the sockets' queue."""
        self._groups = {part: self._new_group(part, self._settings) for part in self._parts}
        try:
            async with asyncio.TaskGroup() as starts:
                for group in self._groups.values():
                    starts.create_task(group.start(_START_TIMEOUT))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _announce_ready(self) -> None:
        ports = {"ops_port": self._ops.port}
        for part in self._parts:
            if part.listening is not None:
                ports[f"{part.listening.section}_port"] = port_of(self._sockets[part])
        logger.info("node_ready", parts=[part.name for part in self._parts], **ports)
        self._tell_ready()

    def _tell_ready(self) -> None:
        self._service_manager.tell_ready("ready: " + ", ".join(part.name for part in self._parts))

    async def _reload_all(self) -> None:
        """Read the settings again and replace every process: the new ones are ready before the old ones drain.

        Settings that are wrong, or with which nothing starts, change nothing: the old processes stay.
        """
        self._service_manager.tell_reloading()
        logger.info("node_reloading")
        try:
            settings = self._read_settings()
            for part in self._parts:
                await self._replace(part, settings)
        except ConfigurationError as error:
            logger.error("reload_refused", reason=str(error))  # noqa: TRY400 - the reason says it all
        except (CannotStart, TimeoutError) as error:
            logger.error("reload_refused", reason=type(error).__name__)  # noqa: TRY400 - it spoke on stderr
        else:
            await self._ops.adopt(settings)
            self._settings = settings
            logger.info("node_reloaded")
        finally:
            self._tell_ready()

    async def _replace(self, part: Part, settings: Settings) -> None:
        incoming = self._new_group(part, settings)
        self._groups_in_transition.append(incoming)
        try:
            await incoming.start(_START_TIMEOUT)
        except (CannotStart, TimeoutError):
            await self._let_go(incoming)
            raise
        self._groups_in_transition.remove(incoming)
        replaced, self._groups[part] = self._groups[part], incoming
        self._groups_in_transition.append(replaced)
        self._tasks.create_task(self._let_go(replaced), name=f"drain {part.name}")

    async def _let_go(self, group: ProcessGroup) -> None:
        await group.stop()
        self._groups_in_transition.remove(group)

    async def _stop_all(self) -> None:
        """Drain all parts in the opposite order: what the front hands over is decided by workers, here or elsewhere."""
        self._stop.set()
        self._service_manager.tell_stopping()
        logger.info("node_stopping")
        for part in reversed(self._parts):
            groups = (*self._groups.values(), *self._groups_in_transition)
            await asyncio.gather(*(group.stop() for group in groups if group.part == part))


async def _tell_alive(service_manager: ServiceManager) -> None:
    """Give the watchdog's sign of life three times in its interval, for as long as this loop turns."""
    while service_manager.watchdog_seconds is not None:
        service_manager.tell_alive()
        await asyncio.sleep(service_manager.watchdog_seconds / 3)
