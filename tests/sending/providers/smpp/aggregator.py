"""Runs and controls `aggregator.cjs`: an aggregator by npm's `smpp` 0.5.1, which nobody here wrote."""

import asyncio
import contextlib
import json
import os
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.npm_packages import modules_of, why_missing

_SCRIPT: Final = Path(__file__).with_name("aggregator.cjs")
_VERSION: Final = "0.5.1"
DEADLINE: Final = 30.0

# A line that the aggregator told.
Event = dict[str, Any]


def modules() -> Path:
    """The folder of npm's packages that it needs, `NODE_PATH`."""
    return modules_of("smpp", _VERSION)


def missing() -> str | None:
    """Why there is no such aggregator here, or None."""
    return why_missing("smpp", _VERSION)


def texts_of(submitted: list[Event]) -> str:
    """What a phone puts together: by the numbers of the parts, whatever the order."""
    numbered = [
        (each["sar"] or list(bytes.fromhex(each["header"][0])[2:]), each["text"]) for each in submitted
    ]
    assert len({header[0] for header, _ in numbered}) == 1
    assert {header[1] for header, _ in numbered} == {len(numbered)}
    return "".join(text for _, text in sorted(numbered, key=lambda each: each[0][2]))


class Aggregator:
    """A running one. `events` is what it has told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._changed = asyncio.Condition()
        self.events: list[Event] = []
        self.port = 0

    @property
    def submitted(self) -> list[Event]:
        """The submissions that it saw, in their order."""
        return self.told("submitted")

    def told(self, name: str) -> list[Event]:
        """What it told under this name."""
        return [event for event in self.events if name in event]

    async def tell(self, **commands: object) -> None:
        """Give it commands: see the script."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(commands).encode() + b"\n")
        await self._process.stdin.drain()

    async def deliver(self, text: str = "", **fields: object) -> None:
        """Let it send a receipt on its first bind."""
        defaults = {"source_addr": "6591234567", "destination_addr": "gov.sg", "esm_class": 4}
        await self.tell(deliver={**defaults, "text": text, **fields})

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it has told so."""
        try:
            async with asyncio.timeout(DEADLINE), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise AssertionError(f"{what}: {self.events[-20:]}") from None

    async def until_told(self, name: str, count: int = 1) -> list[Event]:
        """Wait until it has told so many things of this name."""
        await self.until(lambda: len(self.told(name)) >= count, f"{count} times {name}")
        return self.told(name)

    async def listen(self) -> None:
        """Take in what it tells."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            async with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()


@contextlib.asynccontextmanager
async def running_aggregator(**settings: object) -> AsyncIterator[Aggregator]:
    """Run one, with the settings of the script. Skips the test where it can't be had."""
    if absent := missing():
        pytest.skip(absent)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(_SCRIPT),
        json.dumps(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(modules())},
        limit=1 << 20,
    )
    aggregator = Aggregator(process)
    listening = asyncio.create_task(aggregator.listen())
    try:
        (first,) = await aggregator.until_told("listening")
        aggregator.port = first["listening"]
        yield aggregator
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(DEADLINE):
                await listening
        finally:
            listening.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()


class AggregatorInAThread:
    """One whose event loop runs in another thread."""

    def __init__(self, aggregator: Aggregator, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.own = aggregator

    @property
    def port(self) -> int:
        return self.own.port

    def told(self, name: str) -> list[Event]:
        """See Aggregator."""
        return self.own.told(name)

    def wait_for(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a call of `own` to its end."""
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)


@contextlib.contextmanager
def aggregator_in_a_thread(**settings: object) -> Iterator[AggregatorInAThread]:
    """The same, for a test without an event loop. Its calls go by `wait_for`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = running_aggregator(**settings)
    try:
        aggregator = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
        try:
            yield AggregatorInAThread(aggregator, loop)
        finally:
            asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
