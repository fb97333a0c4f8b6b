"""The child processes that judge uploads, as the worker sees them: warm, one for each verdict at a time, and limited.

A child that meets a limit, or dies, is replaced, and the upload that it judged has failed. No other verdict is touched.
"""

import asyncio
import contextlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

import processing
from config.logs import get_logger
from processing import metrics
from processing.errors import ChildUnavailable, ProcessingError, VerdictExceeded
from processing.verdicts.requests import ANSWER, READY, request_line
from processing.verdicts.terms import Rules, Verdict

logger = get_logger("processing")

_PACKAGES: Final = Path(processing.__file__).resolve().parent.parent
_MEGABYTE: Final = 1024 * 1024
# Seconds between two looks at a child's memory while it judges.
_LOOK_INTERVAL: Final = 0.05
# Seconds in which a child must be warm. On a machine under load imports alone take some.
_WARM_WITHIN: Final = 120.0
# Seconds between the attempts to start a child for an upload that waits for one. Then its job is put back.
_START_PAUSES: Final = (0.2, 0.4, 0.8, 1.6)
# An answer is one line; an error reason that names 20 columns is long.
_LONGEST_ANSWER: Final = 4 * _MEGABYTE
# Of the limit, what a child may keep after a verdict before another takes its place.
_KEPT_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class VerdictLimits:
    """What one verdict may take: megabytes of memory and of each file written, seconds of processor and in all."""

    memory: int
    output: int
    processor: int
    seconds: float


class _Child:
    """A child process, and the three files that it shares with this one. The files have no names."""

    def __init__(self, limits: VerdictLimits) -> None:
        with contextlib.ExitStack() as opened, _machine_troubles():
            self.source, self.messages, self.report = (
                opened.enter_context(_nameless_file()) for _ in range(3)
            )
            opened.pop_all()
        self._limits = limits
        self._warm_memory = 0
        self.warmed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Start it; it gets warm by itself. Raises ChildUnavailable where the machine can't start a process."""
        try:
            with _machine_troubles():
                self._process = await self._spawn()
        except ChildUnavailable:
            await self.end()
            raise
        return self

    async def _spawn(self) -> asyncio.subprocess.Process:
        files = {"source": self.source, "messages": self.messages, "report": self.report}
        limits = self._limits
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "processing.verdicts.child",
            *(word for name, file in files.items() for word in (f"--{name}", str(file.fileno()))),
            "--parent", str(os.getpid()), "--memory", str(limits.memory),
            "--output", str(limits.output), "--processor", str(limits.processor),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A panic within a library prints what it was given.
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=[file.fileno() for file in files.values()],
            limit=_LONGEST_ANSWER,
            env=_bare_environment(),
        )  # fmt: skip

    async def judge(self, rules: Rules, most_findings: int, with_counts: bool) -> Verdict:
        """The verdict on what stands in `source`.

        Raises VerdictExceeded, ChildUnavailable where it didn't get warm, or ProcessingError for a bug of ours.
        """
        process = self._running()
        await self._warm(process)
        if process.stdin is None:
            raise RuntimeError("the child has no input")
        with contextlib.suppress(ConnectionError):
            process.stdin.write(request_line(rules, most_findings, with_counts=with_counts))
            await process.stdin.drain()
        line = await self._answer(process)
        answer = ANSWER.validate_json(line)
        if answer.excess:
            raise VerdictExceeded(answer.excess)
        if answer.verdict is None:
            logger.error("verdict_crashed", kind=answer.crash)
            raise ProcessingError("internal error")
        return answer.verdict

    async def warm(self) -> None:
        """Wait until it is ready to judge, or has ended."""
        with contextlib.suppress(ChildUnavailable):
            await self._warm(self._running())

    async def _warm(self, process: asyncio.subprocess.Process) -> None:
        """Wait until it is ready. Raises ChildUnavailable where it doesn't get there, which is no upload's fault."""
        if self._warm_memory or process.stdout is None:
            return
        try:
            async with asyncio.timeout(_WARM_WITHIN):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if line != READY:
            raise ChildUnavailable
        self._warm_memory = max(1, _memory_of(process.pid))
        self.warmed.set()

    async def _answer(self, process: asyncio.subprocess.Process) -> bytes:
        """Its next line, or the exception that says why there will be none."""
        if process.stdout is None:
            raise RuntimeError("the child has no output")
        until = time.monotonic() + self._limits.seconds
        processor_before = _processor_seconds_of(process.pid)
        reading = asyncio.ensure_future(process.stdout.readline())
        try:
            while not (await asyncio.wait({reading}, timeout=_LOOK_INTERVAL))[0]:
                self._watch(process.pid, processor_before)
                if time.monotonic() > until:
                    raise VerdictExceeded("time")
            line = reading.result()
        finally:
            reading.cancel()
        if line.endswith(b"\n"):
            return line
        status = await process.wait()
        if status == -signal.SIGXCPU:
            raise VerdictExceeded("processor")
        if status == -signal.SIGABRT:
            # So ends a library that is refused memory.
            raise VerdictExceeded("memory")
        raise VerdictDied

    def _watch(self, pid: int, processor_before: float) -> None:
        """Look at what it has taken so far. Raises VerdictExceeded."""
        limits = self._limits
        if self._grown(pid) > limits.memory:
            raise VerdictExceeded("memory")
        if _processor_seconds_of(pid) - processor_before > limits.processor:
            raise VerdictExceeded("processor")
        for file in (self.messages, self.report):
            if os.fstat(file.fileno()).st_size > limits.output * _MEGABYTE:
                raise VerdictExceeded("output")

    def _grown(self, pid: int) -> float:
        """Megabytes of memory beyond what it had when it was warm."""
        return (_memory_of(pid) - self._warm_memory) / _MEGABYTE

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the child wasn't started")
        return self._process

    @property
    def lives(self) -> bool:
        """Whether it runs, as far as is known: a child that waits for an upload may have been killed."""
        return self._running().returncode is None

    @property
    def is_fit(self) -> bool:
        """Whether it can judge another upload: it lives, and has given back the memory of the last one."""
        return self.lives and self._grown(self._running().pid) < _KEPT_SHARE * self._limits.memory

    def empty_files(self) -> None:
        """Make the files ready for another upload."""
        for file in (self.source, self.messages, self.report):
            file.seek(0)
            file.truncate()

    async def end(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
        for file in (self.source, self.messages, self.report):
            file.close()


class VerdictDied(ProcessingError):  # noqa: N818 - the name states a fact
    """The child died of nothing that it was limited by: a signal from outside, or a fault of a library."""


class Judging:
    """One upload's turn: write the original into `source`, judge, then read `messages` or `report`."""

    def __init__(self, child: _Child, limits: VerdictLimits) -> None:
        self._child = child
        self._limits = limits

    @property
    def source(self) -> BinaryIO:
        return self._child.source

    @property
    def messages(self) -> BinaryIO:
        return self._child.messages

    @property
    def report(self) -> BinaryIO:
        return self._child.report

    @property
    def child(self) -> _Child:
        return self._child

    async def judge(self, rules: Rules, *, most_findings: int = 0, with_counts: bool = False) -> Verdict:
        """The verdict, which names the first `most_findings`, and counts the messages `with_counts`.

        Raises VerdictExceeded where the upload takes more than a verdict may.

        A child that dies of something else is replaced once, since somebody may have killed it; a second death is the
        upload's doing.
        """
        try:
            return await self._child.judge(rules, most_findings, with_counts)
        except VerdictDied:
            logger.warning("verdict_process_died")
        await self._replace()
        try:
            return await self._child.judge(rules, most_findings, with_counts)
        except VerdictDied:
            raise VerdictExceeded("died") from None

    async def _replace(self) -> None:
        """Put another child, which gets what stands in `source`, in the place of one that died. Raises ChildUnavailable."""
        fresh = _Child(self._limits)
        try:
            with _machine_troubles():
                await asyncio.to_thread(_copy, self._child.source, fresh.source)
        except ChildUnavailable:
            await fresh.end()
            raise
        await fresh.start()
        await self._child.end()
        self._child = fresh


class VerdictProcesses:
    """A place for each verdict at a time, and in it a child. Enter it to start them; at its end they are ended.

    A child that the machine can't start just then leaves its place empty, and is started when an upload gets the place.
    `start_pauses`: seconds between the attempts at that.
    """

    def __init__(
        self, limits: VerdictLimits, count: int, *, start_pauses: Sequence[float] = _START_PAUSES
    ) -> None:
        self._limits = limits
        self._count = count
        self._start_pauses = start_pauses
        # A place without a child is None.
        self._places: asyncio.Queue[_Child | None] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._places.put_nowait(await self._start_if_possible())
        return self

    async def __aexit__(self, *_: object) -> None:
        while not self._places.empty():
            if child := self._places.get_nowait():
                await child.end()

    async def warm_up(self, within: float) -> None:
        """Wait until each child is ready to judge, so that no upload waits for one; for `within` seconds at most.

        Called before the first turn. A child that needs longer, or doesn't come, is dealt with by the upload that gets it.
        """
        children = [self._places.get_nowait() for _ in range(self._places.qsize())]
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await asyncio.gather(*(child.warm() for child in children if child))
        finally:
            for child in children:
                self._places.put_nowait(child)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Judging]:
        """A child for one upload. It goes on to the next one if nothing went wrong, or is replaced.

        Raises ChildUnavailable where there is no child and none can be started.
        """
        child = await self._places.get()
        try:
            if child is not None and not child.lives:
                dead, child = child, None
                await dead.end()
            if child is None:
                child = await self._start()
            judging = Judging(child, self._limits)
            is_fit = False
            try:
                yield judging
                is_fit = judging.child.is_fit
            except VerdictExceeded as excess:
                metrics.VERDICTS_EXCEEDED.labels(excess.limit).inc()
                raise
            finally:
                used, child = judging.child, None
                if is_fit:
                    used.empty_files()
                    child = used
                else:
                    await used.end()
                    child = await self._start_if_possible()
        finally:
            # Whatever happened, the place is another upload's now.
            self._places.put_nowait(child)

    async def _start(self) -> _Child:
        """Start a child, trying it some times. Raises ChildUnavailable."""
        for pause in self._start_pauses:
            if child := await self._start_if_possible():
                return child
            await asyncio.sleep(pause)
        return await _Child(self._limits).start()

    async def _start_if_possible(self) -> _Child | None:
        try:
            return await _Child(self._limits).start()
        except ChildUnavailable:
            logger.warning("verdict_process_not_started")
            return None


@contextlib.contextmanager
def _machine_troubles() -> Iterator[None]:
    """Translate what a machine says that has no room for another process, file or block: it passes."""
    try:
        yield
    except OSError as error:
        raise ChildUnavailable from error


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    source.seek(0)
    while block := source.read(_MEGABYTE):
        target.write(block)


def _nameless_file() -> BinaryIO:
    """A file that nobody else can open and that is gone with this process, whatever ends it.

    It has no buffer: the child reads and writes it too.
    """
    return tempfile.TemporaryFile(prefix="sftp-gateway-", buffering=0)


def _bare_environment() -> dict[str, str]:
    """The child's environment: where modules are found, and nothing that could be a secret."""
    given = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(_PACKAGES), *([given] if given else [])]), "LANG": "C.UTF-8"}


def _memory_of(pid: int) -> int:
    """Bytes of memory that a process has; 0 where the machine doesn't say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _processor_seconds_of(pid: int) -> float:
    """Seconds of processor that a process has used; 0 where the machine doesn't say."""
    try:
        # The name before the last bracket may have blanks; the 14th and 15th field are the ticks in user and kernel mode.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0
