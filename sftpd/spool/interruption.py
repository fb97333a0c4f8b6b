"""Whether an upload that ended in a normal CLOSE looks cut off all the same (2-gateway.md §1). Pure.

OpenSSH's `sftp` on Ctrl-C, curl on `--max-time` and a dying paramiko script close a half-sent file just like a whole one.
They stop between full blocks, so their writes and the total tell them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# 16 KB divides the block sizes of curl, lftp and paramiko. OpenSSH's block has 261,120 bytes.
BLOCKS: Final = (16 * 1024, 261_120)
# Writes that are all of one length tell a client's block from this length on. Shorter ones are rows that a script wrote.
SHORTEST_BLOCK: Final = 4096
# psftp and pscp write blocks of 4 KB, and never send CLOSE when they are stopped.
_PUTTY: Final = "SSH-2.0-PuTTY"


class Suspicion(StrEnum):
    """Why a CLOSE is not believed."""

    HOLE = "hole"
    SHORT = "shorter_than_announced"
    BLOCK_MULTIPLE = "multiple_of_block"
    ONE_LENGTH = "writes_of_one_length"


# An empty line at the end shows that the writer came to its end. It fills no hole, and adds nothing to a short upload.
EXCUSED_BY_EMPTY_LINE: Final = frozenset({Suspicion.BLOCK_MULTIPLE, Suspicion.ONE_LENGTH})


@dataclass(slots=True)
class WriteTrace:
    """What is remembered of one handle's writes. Lengths are bytes, and empty writes don't count."""

    count: int = 0
    shortest: int = 0
    longest: int = 0

    def note(self, length: int) -> None:
        """Take in one write."""
        if length == 0:
            return
        self.shortest = min(self.shortest, length) if self.count else length
        self.longest = max(self.longest, length)
        self.count += 1


def is_putty(client_version: str) -> bool:
    """Whether a version string, such as `SSH-2.0-PuTTY_Release_0.78`, is that of PuTTY's own programs."""
    return client_version.startswith(_PUTTY)


def find_suspicion(
    trace: WriteTrace, *, size: int, whole: bool, announced: int | None, by_putty: bool = False
) -> Suspicion | None:
    """Why an upload of `size` bytes looks interrupted, or None. Its content may excuse it: see EXCUSED_BY_EMPTY_LINE.

    `trace` holds the writes of the handle that is being closed, and no earlier ones. `whole` says that every byte was
    written. `announced` is the size in bytes that the client gave in OPEN, if it did.
    """
    if not whole:
        return Suspicion.HOLE
    if announced is not None:
        return Suspicion.SHORT if size < announced else None
    if by_putty or size == 0:
        return None
    if any(size % block == 0 for block in BLOCKS):
        return Suspicion.BLOCK_MULTIPLE
    if trace.count >= 2 and trace.shortest == trace.longest >= SHORTEST_BLOCK:
        return Suspicion.ONE_LENGTH
    return None


def ends_in_its_only_empty_line(blocks: Iterable[bytes]) -> bool:
    """Whether content ends in an empty line and has no other one. Lines end in LF or CR LF.

    A file with an empty line after each row may be cut off at any of them, so that its last one tells nothing.
    """
    # Before the first line there is nothing, as after a line end: an empty first line counts too.
    tail = b"\n"
    found = False
    for block in blocks:
        if found and block:
            return False
        window = tail + block
        ends = [at + len(mark) for mark in (b"\n\n", b"\n\r\n") if (at := window.find(mark)) >= 0]
        if ends:
            found = True
            if min(ends) != len(window):
                return False
        tail = window[-2:]
    return found
