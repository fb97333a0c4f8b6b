"""Accepts connections from listening sockets that the processes of a node share, for every part that does so by itself.

Each process accepts only when the kernel says that somebody waits, and only a few connections at a time, which leaves others to
the other processes.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from config.addresses import Address, parse_address

# How many connections are accepted before other events get their turn.
_BURST: Final = 16
# For how many seconds accepting rests when the process has no file descriptors left.
_REST: Final = 0.1


class Acceptor:
    """Hands each accepted socket, which doesn't block, with its peer's address to `receive`.

    `tell_failure` is given the number of the error where the kernel gives no connection.
    """

    def __init__(
        self, receive: Callable[[socket.socket, Address], None], tell_failure: Callable[[int | None], None]
    ) -> None:
        self._receive: Final = receive
        self._tell_failure: Final = tell_failure
        self._sockets: list[socket.socket] = []

    def open(self, sockets: Sequence[socket.socket]) -> None:
        """Accept from these sockets, which listen already. Closing them is left to the caller."""
        loop = asyncio.get_running_loop()
        for listening in sockets:
            listening.setblocking(False)
            self._sockets.append(listening)
            loop.add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Accept no more. Connections that the kernel has queued are left to the other processes, or to the next one."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening)
        self._sockets.clear()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_BURST):
            try:
                accepted, peer = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._tell_failure(error.errno)
                self._rest(listening)
                return
            accepted.setblocking(False)
            self._receive(accepted, parse_address(peer[0]))

    def _rest(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)

        def resume() -> None:
            if listening in self._sockets:
                loop.add_reader(listening, self._accept, listening)

        loop.call_later(_REST, resume)
