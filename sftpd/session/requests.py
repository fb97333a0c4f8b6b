"""The bytes of one channel, cut into SFTP requests.

It takes the place of asyncssh's stream, which keeps each piece that arrives as an object of its own: pieces of two bytes
would cost fifty times their size. A length that no request may have ends the channel before its bytes have come.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

import asyncssh
from asyncssh.constants import FXP_WRITE

from sftpd.budgets import SessionBudget

# The length in front of a packet, and the part of a WRITE beside its content: type, number, handle, offset, length.
_LENGTH_BYTES: Final = 4
WRITE_OVERHEAD: Final = 1024
# Pieces below this many bytes are put together, so that what Python keeps beside each stays small against it.
_SMALL_PIECE: Final = 1024


class RequestStream:
    """The requests of one channel. `release(n)` is called when the client may send so many bytes more."""

    def __init__(self, budget: SessionBudget, release: Callable[[int], None]) -> None:
        self._budget: Final = budget
        self._release: Final = release
        # Pieces as they came, small ones put together; the first is used up to `_offset`. `_size` is what is left of all.
        self._pieces: Final[deque[bytes | bytearray]] = deque()
        self._offset = 0
        self._size = 0
        # How many bytes the request has that is being collected, as far as is known, and how many of them the client may have
        # replaced already.
        self._needed = 0
        self._released = 0
        self._has_ended = False
        self._arrival: asyncio.Future[None] | None = None
        self._is_dropped = False
        budget.begin_work()

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        if self._has_ended:
            return
        last = self._pieces[-1] if self._pieces else None
        if len(data) >= _SMALL_PIECE:
            self._pieces.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self._pieces.append(bytearray(data))
        self._size += len(data)
        self._budget.count_arrived(len(data))
        self._release_collected()
        if self._size >= self._needed:
            self._wake()

    def end(self) -> None:
        """No more will arrive. Whole requests that are here already are still served."""
        self._has_ended = True
        self._wake()

    def drop(self) -> None:
        """Nobody will take what is left."""
        if self._is_dropped:
            return
        self._has_ended = self._is_dropped = True
        self._budget.end_work()
        self._budget.count_served(self._size)
        self._pieces.clear()
        self._offset = self._size = 0

    async def wait_whole(self) -> int:
        """Return when a whole request is here, with its length. Raises EOFError at the end, SFTPBadMessage on a wrong length."""
        await self._wait_for(_LENGTH_BYTES)
        length = int.from_bytes(self._peek(_LENGTH_BYTES), "big")
        if length == 0:
            raise asyncssh.SFTPBadMessage("a request without a type")
        await self._wait_for(_LENGTH_BYTES + 1)
        settings = self._budget.settings
        is_write = self._peek(_LENGTH_BYTES + 1)[_LENGTH_BYTES] == FXP_WRITE
        if length > (settings.max_write_bytes + WRITE_OVERHEAD if is_write else settings.max_request_bytes):
            raise asyncssh.SFTPBadMessage("a request larger than any may be")
        if length <= settings.announced_write_bytes + WRITE_OVERHEAD:
            await self._wait_for(_LENGTH_BYTES + length)
        else:
            await self._wait_for_large(_LENGTH_BYTES + length)
        return length

    def take(self, length: int) -> bytes:
        """The request that `wait_whole` has told the length of, from its type on."""
        self._take(_LENGTH_BYTES)
        request = self._take(length)
        self._released -= _LENGTH_BYTES + length
        self._needed = 0
        self._budget.count_served(_LENGTH_BYTES + length)
        return request

    def _peek(self, size: int) -> bytes | bytearray:
        """The first few bytes, which stay."""
        found = self._pieces[0][self._offset : self._offset + size]
        for piece in islice(self._pieces, 1, None):
            if len(found) == size:
                break
            found += piece[: size - len(found)]
        return found

    def _take(self, size: int) -> bytes:
        taken: list[bytes | bytearray] = []
        self._size -= size
        while size:
            first = self._pieces[0]
            part = first[self._offset : self._offset + size]
            taken.append(part)
            size -= len(part)
            self._offset += len(part)
            if self._offset == len(first):
                self._pieces.popleft()
                self._offset = 0
        return b"".join(taken)

    async def _wait_for(self, size: int) -> None:
        self._needed = size
        self._release_collected()
        while self._size < size:
            if self._has_ended:
                raise EOFError
            self._arrival = asyncio.get_running_loop().create_future()
            self._budget.end_work()
            try:
                await self._arrival
            finally:
                self._budget.begin_work()

    def _release_collected(self) -> None:
        # The window is for what comes after the request that is being collected, which may be larger than it.
        released = min(self._size, self._needed)
        if released > self._released:
            self._release(released - self._released)
            self._released = released

    async def _wait_for_large(self, size: int) -> None:
        self._budget.end_work()
        try:
            await self._budget.large_request.acquire()
        finally:
            self._budget.begin_work()
        try:
            await self._wait_for(size)
        finally:
            self._budget.large_request.release()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
