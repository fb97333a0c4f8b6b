"""A client of HTTP that is no bottleneck: a process of its own, bytes that were made before, answers that are only counted.

It reads a Plan as JSON and prints a Result. With a `rate` there are so many calls a second whatever the answers take, and each is
timed from the moment it was due. Without one, each connection makes its next call once it has the answer to the last.
"""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, cast

import uvloop

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "


@dataclass(frozen=True, slots=True)
class Plan:
    """What is said: the requests in turn, on so many connections, for so many seconds."""

    port: int
    requests: list[str] = field(repr=False)
    connections: int
    seconds: float
    rate: float | None = None
    source: str = "127.0.0.1"
    # A flood: each of so many connections a second says so many requests at once, and waits for no answer.
    flood: int = 0


@dataclass(slots=True)
class Result:
    """What came back."""

    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    # In seconds, sorted.
    waits: list[float] = field(default_factory=list)
    said: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.waits) / self.seconds

    def wait(self, share: float) -> float:
        """Within so many seconds this share of the calls was answered."""
        return self.waits[min(int(len(self.waits) * share), len(self.waits) - 1)]

    def demand(self, *statuses: str) -> "Result":
        """Raises RuntimeError where a call was answered otherwise, or none was."""
        if not self.waits or set(self.statuses) - set(statuses):
            message = f"answers by status: {self.statuses}"
            raise RuntimeError(message)
        return self


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._received = bytearray()
        self._due = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self.transport = cast(asyncio.Transport, transport)

    def call(self, due: float) -> None:
        assert self.transport is not None
        self._due = due
        self.transport.write(self._load.next_request())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(_HEAD_END)
        if head_end < 0:
            return
        at = self._received.lower().find(_LENGTH, 0, head_end)
        length = int(self._received[at + len(_LENGTH) : self._received.index(b"\r", at)])
        if len(self._received) < head_end + len(_HEAD_END) + length:
            return
        status = bytes(self._received[9:12]).decode()
        self._received.clear()
        self._load.note(self, status, self._due)

    def connection_lost(self, _error: Exception | None) -> None:
        self._load.statuses["cut"] += not self._load.is_over


class _Load:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = [text.encode() for text in plan.requests]
        self._next = 0
        self._idle: deque[_Caller] = deque()
        self._late: deque[float] = deque()
        self.is_over = False
        self.statuses: Counter[str] = Counter()
        self.waits: list[float] = []

    def next_request(self) -> bytes:
        self._next += 1
        return self._requests[self._next % len(self._requests)]

    def note(self, caller: _Caller, status: str, due: float) -> None:
        now = time.perf_counter()
        self.statuses[status] += 1
        self.waits.append(now - due)
        if self.is_over:
            return
        if self._plan.rate is None:
            caller.call(now)
        elif self._late:
            caller.call(self._late.popleft())
        else:
            self._idle.append(caller)

    async def run(self) -> Result:
        loop = asyncio.get_running_loop()
        address = (self._plan.source, 0)
        callers = []
        for _ in range(self._plan.connections):
            _, caller = await loop.create_connection(
                lambda: _Caller(self), "127.0.0.1", self._plan.port, local_addr=address
            )
            callers.append(caller)
        began = time.perf_counter()
        if self._plan.rate is None:
            for caller in callers:
                caller.call(began)
            await asyncio.sleep(self._plan.seconds)
        else:
            self._idle.extend(callers)
            await self._call_when_due(began, self._plan.rate)
        self.is_over = True
        seconds = time.perf_counter() - began
        done = len(self.waits)
        for caller in callers:
            assert caller.transport is not None
            caller.transport.abort()
        return Result(seconds, dict(self.statuses), sorted(self.waits[:done]), done)

    async def _call_when_due(self, began: float, rate: float) -> None:
        count = int(rate * self._plan.seconds)
        for number in range(count):
            due = began + number / rate
            if (rest := due - time.perf_counter()) > 0:
                await asyncio.sleep(rest)
            if self._idle:
                self._idle.popleft().call(due)
            else:
                self._late.append(due)
        deadline = time.perf_counter() + 10
        while len(self.waits) < count and time.perf_counter() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def flood(self) -> Result:
        """Say and go, as whoever guesses keys: so many connections a second, evenly, for a second each."""
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        said = 0
        opened: deque[tuple[float, asyncio.BaseTransport]] = deque()
        for number in range(int(self._plan.connections * self._plan.seconds)):
            due = began + number / self._plan.connections
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            while opened and opened[0][0] < time.perf_counter() - 1:
                opened.popleft()[1].close()
            try:
                transport, _ = await loop.create_connection(
                    asyncio.Protocol, "127.0.0.1", self._plan.port, local_addr=(self._plan.source, 0)
                )
            except OSError:
                continue
            transport.write(b"".join(self.next_request() for _ in range(self._plan.flood)))
            said += self._plan.flood
            opened.append((time.perf_counter(), transport))
        return Result(time.perf_counter() - began, said=said)


async def run_load(plan: Plan) -> Result:
    """The result of a plan, carried out by a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.api_load"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    told, _ = await process.communicate(json.dumps(asdict(plan)).encode())
    if process.returncode:
        raise RuntimeError("the load ended badly")
    return Result(**json.loads(told))


def post_request(path: str, body: bytes, headers: Sequence[str] = ()) -> str:
    """A POST of JSON, as text."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + body.decode()


def say_and_wait(port: int, head: bytes, body: bytes) -> tuple[float, float, bytes]:
    """Seconds of the whole call, seconds from its last byte on, and the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        began = time.perf_counter()
        connection.sendall(head)
        connection.sendall(body)
        said = time.perf_counter()
        received = bytearray()
        while chunk := connection.recv(65_536):
            received += chunk
        ended = time.perf_counter()
    return ended - began, ended - said, bytes(received)


def main() -> None:
    """Carry out the plan of standard input."""
    plan = Plan(**json.load(sys.stdin))
    load = _Load(plan)
    result = uvloop.run(load.flood() if plan.flood else load.run())
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
