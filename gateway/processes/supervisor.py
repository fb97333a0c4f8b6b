"""The parent of a node's processes: starts them in order, replaces the dead, reloads without a reset, drains at the end.

Signals: SIGTERM and SIGINT stop (a second one stops at once), SIGHUP reloads: new processes are up before the old ones
drain, all on the same listening sockets. On a terminal SIGHUP is its closing, and stops.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

from config.errors import ConfigurationError
from config.logs import get_logger
from config.settings import Settings
from gateway.exit_status import ExitStatus
from gateway.ops.endpoint import OpsEndpoint, serve_ops
from gateway.processes.listening import port_of
from gateway.processes.metrics_files import MetricsFiles
from gateway.processes.parts import (
    ALL_PARTS,
    Part,
    drain_seconds,
    process_count,
)
from gateway.processes.process_group import CannotStart, Crew
from gateway.processes.service_manager import ServiceManager

# Seconds until all processes of a part must be ready: importing takes 1 to 2 on a busy machine.
_START_TIMEOUT: Final = 60.0

logger = get_logger("gateway")


class Supervisor:
    """One node. `read_settings` is called again at each reload and raises ConfigurationError."""

    def __init__(
        self,
        settings: Settings,
        parts: Sequence[Part],
        sockets: Sequence[socket.socket],
        read_settings: Callable[[], Settings],
        service_manager: ServiceManager,
    ) -> None:
        self.parts = [part for part in ALL_PARTS if part in parts]
        self.metrics = MetricsFiles()
        self.restarts: Counter[Part] = Counter()
        self._settings = settings
        self._sockets = sockets
        self._read_settings = read_settings
        self._service_manager = service_manager
        self._crews: dict[Part, Crew] = {}
        # Those that a reload starts, and those that it has replaced and that still drain.
        self._passing: list[Crew] = []
        self._leaving: list[asyncio.Task[None]] = []
        self._ops: OpsEndpoint
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    @property
    def is_stopping(self) -> bool:
        """Whether the node takes no new work any more."""
        return self._stop.is_set()

    def ready_processes(self) -> dict[Part, int]:
        """How many processes of each part are at work."""
        return {part: self._crews[part].ready_count if part in self._crews else 0 for part in self.parts}

    async def run(self) -> ExitStatus:
        """Run the node until it is told to stop, or cannot start. Returns the exit status.

        Raises ConfigurationError where the ops endpoint's port is taken.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self.metrics.remove)
            self._take_signals()
            self._ops = await stack.enter_async_context(serve_ops(self._settings, self))
            await stack.enter_async_context(_watchdog(self._service_manager))
            stack.push_async_callback(self._end_all)
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
                self._announce_ready(self._ops.port)
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
            for crew in (*self._crews.values(), *self._passing):
                crew.kill()
        self._stop.set()

    async def _unless_stopped(self, step: Coroutine[Any, Any, object]) -> None:
        """Await `step`, or give it up when the stop comes first."""
        task = asyncio.create_task(step)
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pending in (task, stopped):
                pending.cancel()
        # A step that was given up says so by being cancelled; one that failed raises here.
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def _new_crew(self, part: Part, settings: Settings) -> Crew:
        def count_death(part: Part) -> None:
            self.restarts[part] += 1

        return Crew(
            part,
            process_count(part, settings),
            drain=drain_seconds(part, settings),
            sockets=self._sockets if part is Part.FRONT else (),
            metrics=self.metrics,
            on_death=count_death,
        )

    async def _start_all(self) -> None:
        """All parts side by side: whoever comes before they are ready waits in the sockets' queue."""
        self._crews = {part: self._new_crew(part, self._settings) for part in self.parts}
        starts = [asyncio.create_task(crew.start(_START_TIMEOUT)) for crew in self._crews.values()]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    def _announce_ready(self, ops_port: int) -> None:
        ports = {"ops_port": ops_port, **({"sftp_port": port_of(self._sockets)} if self._sockets else {})}
        logger.info("node_ready", parts=[part.value for part in self.parts], **ports)
        self._service_manager.tell_ready("ready: " + ", ".join(self.parts))

    async def _reload_all(self) -> None:
        """Read the settings again and replace every process: the new ones are ready before the old ones drain.

        Settings that are wrong, or with which nothing starts, change nothing: the old processes stay.
        """
        self._service_manager.tell_reloading()
        logger.info("node_reloading")
        try:
            settings = self._read_settings()
            for part in self.parts:
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
            self._service_manager.tell_ready("ready: " + ", ".join(self.parts))

    async def _replace(self, part: Part, settings: Settings) -> None:
        incoming = self._new_crew(part, settings)
        self._passing.append(incoming)
        try:
            await incoming.start(_START_TIMEOUT)
        except (CannotStart, TimeoutError):
            await self._let_go(incoming)
            raise
        self._passing.remove(incoming)
        replaced, self._crews[part] = self._crews[part], incoming
        self._passing.append(replaced)
        self._leaving.append(asyncio.create_task(self._let_go(replaced), name=f"drain {part}"))

    async def _let_go(self, crew: Crew) -> None:
        await crew.stop()
        self._passing.remove(crew)

    async def _end_all(self) -> None:
        """Drain everything, the front first: what it hands over is decided by workers, here or elsewhere."""
        self._stop.set()
        self._service_manager.tell_stopping()
        logger.info("node_stopping")
        for part in reversed(self.parts):
            crews = [crew for crew in (*self._crews.values(), *self._passing) if crew.part is part]
            await asyncio.gather(*(crew.stop() for crew in crews))
        await asyncio.gather(*self._leaving)
        logger.info("node_stopped")


@contextlib.asynccontextmanager
async def _watchdog(service_manager: ServiceManager) -> AsyncIterator[None]:
    """Signs of life for as long as this loop turns."""
    if service_manager.watchdog_seconds is None:
        yield
        return
    interval = service_manager.watchdog_seconds / 3

    async def tell() -> None:
        while True:
            service_manager.tell_alive()
            await asyncio.sleep(interval)

    task = asyncio.create_task(tell(), name="watchdog")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
