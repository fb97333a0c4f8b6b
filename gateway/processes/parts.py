"""The parts of a node: the SFTP front, the worker. Each runs in processes of its own, under one parent."""

from enum import StrEnum
from typing import Final, assert_never

from config.settings import Settings


class Part(StrEnum):
    """What a child process does."""

    FRONT = "front"
    WORKER = "worker"

    @property
    def module(self) -> str:
        """The Python module that such a process runs."""
        return f"gateway.processes.{self.value}"


# In the order in which they start: listening comes last. They stop in the opposite order.
ALL_PARTS: Final = (Part.WORKER, Part.FRONT)


def process_count(part: Part, settings: Settings) -> int:
    """How many processes of this part a node runs."""
    match part:
        case Part.FRONT:
            return settings.sftp.processes
        case Part.WORKER:
            return settings.worker.processes
        case _ as never:
            assert_never(never)


def drain_seconds(part: Part, settings: Settings) -> float:
    """How long a process of this part may finish what it has begun."""
    match part:
        case Part.FRONT:
            return settings.sftp.drain_timeout
        case Part.WORKER:
            return settings.worker.drain_timeout
        case _ as never:
            assert_never(never)
