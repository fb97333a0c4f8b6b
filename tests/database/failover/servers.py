"""Servers as a client meets them in a failover: one that listens and says nothing, one that is stopped, an address that moves."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from gateway.embedded.postgres import PostgreSQLServer


class SilentServer:
    """Takes every connection and never says a word, as a machine does whose programs hang."""

    def __init__(self) -> None:
        self.asked = 0
        self.port = 0
        self.transports: list[asyncio.BaseTransport] = []

    def protocol(self) -> asyncio.Protocol:
        """For one more connection."""
        return _Silence(self)


class _Silence(asyncio.Protocol):
    def __init__(self, server: SilentServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._server.asked += 1
        self._server.transports.append(transport)


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[SilentServer]:
    """One at a port of loopback."""
    silent = SilentServer()
    server = await asyncio.get_running_loop().create_server(silent.protocol, "127.0.0.1", 0)
    silent.port = server.sockets[0].getsockname()[1]
    async with server:
        yield silent
        for transport in silent.transports:
            transport.close()


def process_tree(pid: int) -> list[int]:
    """This process and all that descend from it, parents first."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(") ")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


@contextlib.contextmanager
def stopped(server: PostgreSQLServer) -> Iterator[None]:
    """All its processes are stopped for as long as the block runs: its machine answers to TCP, and it does nothing."""
    assert server.pid is not None
    # The first one first, so that it starts no others.
    pids: list[int] = []
    try:
        for _ in range(2):
            for pid in process_tree(server.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                    pids.append(pid)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class MovingAddress:
    """An address that passes connections on to a port, which may change. Those begun before go nowhere from then on."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._generation = 0
        self._links: set[asyncio.Task[None]] = set()
        self.port = 0

    def move(self, target: int) -> None:
        """Lead to this port from now on. The machine before doesn't say that it is gone."""
        self._target = target
        self._generation += 1

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        self._links.add(asyncio.create_task(self._link(reader, writer, self._generation)))

    async def close(self) -> None:
        """End all connections."""
        for link in self._links:
            link.cancel()
        await asyncio.wait(self._links)

    async def _link(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, generation: int
    ) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(
                self._pass(reader, there_writer, generation), self._pass(there_reader, writer, generation)
            )
        finally:
            for each in (writer, there_writer):
                each.close()
                with contextlib.suppress(ConnectionError):
                    await each.wait_closed()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(65536):
                if generation == self._generation:
                    sink.write(chunk)
            if generation == self._generation:
                sink.close()


@contextlib.asynccontextmanager
async def moving_address(target: int) -> AsyncIterator[MovingAddress]:
    """One at a port of loopback."""
    address = MovingAddress(target)
    server = await asyncio.start_server(address.accept, "127.0.0.1", 0)
    address.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield address
        finally:
            await address.close()
