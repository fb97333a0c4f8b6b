"""How fast messages leave: blocks and their size."""

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sending.providers.provider import Outgoing

# A block is what is sent in this time; nobody claims while time is reserved for longer than the lead ahead. Together they bound
# how long after a suspension its messages still leave, and how long an OTP waits behind what is reserved: a third of a second,
# where the machine is not so busy that its blocks need a longer head.
BLOCK_SECONDS: Final = 0.15
LEAD: Final = timedelta(seconds=0.15)
# The pace as a part of the rate, and how much of the rate a calendar second may have (7-sending.md §6); the database's function
# `reserve_time` says the same.
PACE: Final = 0.985
_MOST_OF_A_SECOND: Final = 1.05
_LATEST: Final = 0.03
# What an answer of the database is given to arrive before its first message is to leave: the least and the most.
_LEAST_HEAD, _MOST_HEAD = 0.03, 0.5
# The segments of a process's first block. It doesn't know yet how fast it is.
_FIRST_BLOCK: Final = 40.0
# A node that slept this long doesn't know what happened meanwhile: a suspension, or that its messages were looked up.
STALE_SECONDS: Final = 1.0
# Nothing leaves later than 2 s after a suspension. A claim has seen that there was none a moment before it answered; what it gave
# leaves within this time of its answer, or not at all, however long a connection takes to come about.
LEAVE_SECONDS: Final = 1.8


def block_segments(rate: float) -> int:
    """How many segments a claim takes for a sender of that rate, in segments a second."""
    return max(1, math.ceil(rate * BLOCK_SECONDS))


def late_seconds(rate: float) -> float:
    """How late a message may leave. One that is later would go beside those whose moment it is: its time is reserved anew."""
    return min(_LATEST, max(math.floor(_MOST_OF_A_SECOND * rate), 1) / (PACE * rate) - 1)


class Head:
    """How long before its first message must leave a block is claimed: as long as answers take, on this machine, just now."""

    def __init__(self) -> None:
        self.seconds: float = _LEAST_HEAD

    def note_late(self, seconds: float) -> None:
        """A message would have left so many seconds late."""
        self.seconds = min(max(self.seconds * 2, self.seconds + seconds), _MOST_HEAD)

    def note_block(self) -> None:
        """A block went out."""
        self.seconds = max(self.seconds * 0.95, _LEAST_HEAD)


def head_again(moves: int) -> float:
    """The head of a block whose time is reserved anew, after so many times at which none of its messages could leave."""
    return min(_LEAST_HEAD * 2.0**moves, _MOST_HEAD)


class BlockSize:
    """How many segments a claim takes: as many as go out in a block's time, by the rate and by what this process can do."""

    def __init__(self) -> None:
        self._most = _FIRST_BLOCK

    def segments(self, rate: float) -> int:
        """For a sender of that rate, in segments a second."""
        return min(block_segments(rate), max(1, math.ceil(self._most)))

    def note(self, segments: int, seconds: float) -> None:
        """So many segments have gone out within so many seconds."""
        if seconds > 2 * BLOCK_SECONDS:
            self._most = max(1.0, segments * BLOCK_SECONDS / seconds)
        elif seconds < 1.2 * BLOCK_SECONDS:
            self._most *= 2


@dataclass(slots=True)
class Block:
    """Messages on their way out. `shift` is how much later than claimed they leave; `withdrawn`: none leaves any more.

    `ends_at` is the end of the time that is reserved for them, by the database's clock. `awaited`: nothing went out when it came.
    `moves` counts how often its time was reserved anew since one of its messages left.
    """

    messages: deque[tuple[float, Outgoing]]
    claimed_at: float
    ends_at: float
    shift: float = 0.0
    withdrawn: bool = field(default=False)
    awaited: bool = False
    moves: int = 0

    @property
    def begins_at(self) -> float:
        """When its next message leaves, by the database's clock."""
        return self.messages[0][0] + self.shift

    @property
    def segments(self) -> int:
        """Of what has still to leave."""
        return sum(message.segments for _, message in self.messages)

    def begin_at(self, moment: float, pace: float) -> float:
        """Let the next message leave at this moment, and the others after it; returns when their time ends."""
        self.shift = moment - self.messages[0][0]
        self.ends_at = moment + self.segments / pace
        return self.ends_at
