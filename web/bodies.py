"""Where a request's body ends: after as many bytes as were announced, or after its last chunk. Pure.

Chunks are read more strictly than RFC 9112 §7.1 has it: no extensions and no trailers, which nobody sends, and on which readers
disagree.
"""

import re
from typing import Final, Protocol

from web.heads import RequestMalformed

_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_SIZE_BEGINNING: Final = re.compile(rb"[0-9A-Fa-f]{0,8}|[0-9A-Fa-f]{1,8}\r")


class Body(Protocol):
    """How the bytes after a head are divided into its body and what follows."""

    @property
    def is_whole(self) -> bool:
        """Whether all of it has been split off."""

    @property
    def left(self) -> int | None:
        """How many bytes are missing, where that is known."""

    def split(self, received: bytes) -> tuple[bytes, bytes]:
        """What of `received` is the body's, and what isn't yet, or belongs to the next request. Raises RequestMalformed."""


class CountedBody:
    """A body of a length that was announced."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def is_whole(self) -> bool:
        """See Body."""
        return not self._left

    @property
    def left(self) -> int | None:
        """See Body."""
        return self._left

    def split(self, received: bytes) -> tuple[bytes, bytes]:
        """See Body."""
        piece = received[: self._left]
        self._left -= len(piece)
        return piece, received[len(piece) :]


class ChunkedBody:
    """A body in chunks."""

    def __init__(self) -> None:
        # Bytes missing of this chunk; and whether its line end is.
        self._left = 0
        self._awaits_line_end = False
        self._is_last = False
        self.is_whole = False
        self.left: int | None = None

    def split(self, received: bytes) -> tuple[bytes, bytes]:
        """See Body."""
        pieces: list[bytes] = []
        at = 0
        while not self.is_whole:
            if self._left:
                piece = received[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._awaits_line_end = True
            after = self._read_between(received, at)
            if after is None:
                break
            at = after
        return b"".join(pieces), received[at:]

    def _read_between(self, received: bytes, at: int) -> int | None:
        """Read a line end or a size at this place. Where the next thing begins; None: more bytes are needed."""
        if self._awaits_line_end:
            line_end = received[at : at + 2]
            if line_end == b"\r\n":
                self._awaits_line_end = False
                self.is_whole = self._is_last
                return at + 2
            if b"\r\n".startswith(line_end):
                return None
            raise RequestMalformed
        match = _SIZE.match(received, at)
        if match is not None:
            self._left = int(match[1], 16)
            # What follows the last chunk, of no bytes, is an empty line.
            self._is_last = self._awaits_line_end = not self._left
            return match.end()
        if _SIZE_BEGINNING.fullmatch(received, at) is None:
            raise RequestMalformed
        return None


def body_of(length: int | None) -> Body:
    """The body that a head announces; see Head.length."""
    return ChunkedBody() if length is None else CountedBody(length)
