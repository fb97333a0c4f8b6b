"""Whether an upload that ended in a normal CLOSE looks cut off all the same (2-gateway.md §1). Pure.

OpenSSH's `sftp` on Ctrl-C, curl on `--max-time` and a dying paramiko script close a half-sent file just like a whole one.
They can be told by its end, because they stop between full blocks.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

# PuTTY's psftp writes 4 KB blocks, and never sends CLOSE when it is stopped.
SMALL_WRITE: Final = 4096
# A write of this size or more is a client's full block, and no row that a script wrote by itself.
FULL_WRITE: Final = 16 * 1024
# 16 KB divides the block sizes of curl, lftp and paramiko. OpenSSH's block has 261,120 bytes.
BLOCKS: Final = (16 * 1024, 261_120)


class Suspicion(StrEnum):
    """Why a CLOSE is not believed."""

    HOLE = "hole"
    SHORT = "shorter_than_announced"
    BLOCK_MULTIPLE = "multiple_of_block"
    FULL_LAST_WRITE = "full_last_write"


@dataclass(slots=True)
class WriteTrace:
    """What is remembered of an upload's writes, over all its resumptions, in bytes. Empty writes don't count."""

    count: int = 0
    longest: int = 0
    highest_offset: int = -1
    # The length of the longest write at the highest offset, since a client may send the same block twice.
    highest_length: int = 0

    def note(self, offset: int, length: int) -> None:
        """Take in one write."""
        if length == 0:
            return
        self.count += 1
        self.longest = max(self.longest, length)
        if offset > self.highest_offset:
            self.highest_offset, self.highest_length = offset, length
        elif offset == self.highest_offset:
            self.highest_length = max(self.highest_length, length)


def find_suspicion(trace: WriteTrace, *, size: int, whole: bool, announced: int | None) -> Suspicion | None:
    """Why an upload of `size` bytes looks interrupted, or None.

    `whole` says that every byte of it was written. `announced` is the size that the client gave in OPEN, if it did.
    """
    if not whole:
        return Suspicion.HOLE
    if announced is not None and size < announced:
        return Suspicion.SHORT
    if announced is not None or trace.longest <= SMALL_WRITE:
        return None
    if any(size % block == 0 for block in BLOCKS):
        return Suspicion.BLOCK_MULTIPLE
    if trace.count >= 2 and trace.highest_length == trace.longest >= FULL_WRITE:
        return Suspicion.FULL_LAST_WRITE
    return None
