"""A front process, a canary of one campaign and attackers of another, each a process of its own; and how to judge what came.

Figures of seconds are judged twice, so that a machine that is busy with other things, or with the attackers, decides
nothing. The front's own processor time within a request must keep the limit: a front that stands uses it. The seconds that
passed must keep the limit too, without those in which front or canary waited for a processor; or else stay near what the
same canary measured before the attack, since PostgreSQL has to wait for one as well.
"""

import asyncio
import contextlib
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import KeyPair
from tests.sftpd.fronts import listening_socket
from tests.sftpd.neighbours.canary import Sample, processor_seconds

# The limits of the contract, in seconds and bytes.
STAT_P95: Final = 0.25
STAT_WORST: Final = 1.5
LOGIN_WORST: Final = 3.0
MEMORY: Final = 150 * 1_000_000

QUIET_SECONDS: Final = 1.0
_START_SECONDS: Final = 60.0
_MOST_SECONDS: Final = 20.0
# How many times as long as without an attack a busy machine may take.
_BUSY: Final = 5.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of one kind of question: how many were answered, and the figures of the contract."""

    count: int
    p95: float
    worst: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Times":
        """The figures of some answers."""
        ordered = sorted(seconds)
        return cls(len(ordered), ordered[math.ceil(len(ordered) * 0.95) - 1], ordered[-1])


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of question before the attack and under it: seconds that passed, and then the front's processor time."""

    quiet: Times
    passed: Times
    used: Times

    @classmethod
    def of(cls, samples: Sequence[Sample], attack_began: float) -> "Measured":
        """Split the samples at the attack's beginning. One that was under way then counts as attacked."""
        quiet = [
            max(0, passed - waited) for began, passed, waited, _ in samples if began + passed < attack_began
        ]
        attacked = [sample for sample in samples if sample[0] + sample[1] >= attack_began]
        return cls(
            Times.of(quiet),
            # Both may have waited for a processor at once.
            Times.of([max(0, passed - waited) for _, passed, waited, _ in attacked]),
            Times.of([used for *_, used in attacked]),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack did to the canary, and to the front's memory, in bytes above idle."""

    stats: Measured
    logins: Measured
    memory: int
    # Why the canary's session or its logins came to an end, where they did.
    lost: Sequence[str]

    def excesses(self) -> list[str]:
        """Every limit that was broken, with the figure."""
        return [
            *_excess("STAT p95", STAT_P95, self.stats.quiet.p95, self.stats.passed.p95, self.stats.used.p95),
            *_excess(
                "STAT worst",
                STAT_WORST,
                self.stats.quiet.worst,
                self.stats.passed.worst,
                self.stats.used.worst,
            ),
            *_excess(
                "login worst",
                LOGIN_WORST,
                self.logins.quiet.worst,
                self.logins.passed.worst,
                self.logins.used.worst,
            ),
            *self.lost,
            *([f"memory {self.memory / 1e6:.0f} MB above idle"] if self.memory > MEMORY else []),
        ]


def _excess(what: str, limit: float, quiet: float, passed: float, used: float) -> list[str]:
    if used <= limit and passed <= max(limit, quiet * _BUSY):
        return []
    return [f"{what} {passed:.2f} s, the front's processor {used:.2f} s ({quiet:.2f} s before the attack)"]


def resident_bytes(pid: int) -> int:
    """The memory that a process has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


@dataclass(frozen=True, slots=True)
class RunningFront:
    """A front process."""

    port: int
    pid: int


@contextlib.asynccontextmanager
async def front_process(variables: Mapping[str, str]) -> AsyncIterator[RunningFront]:
    """One front process for the whole node."""
    with contextlib.closing(listening_socket()) as listening:
        listening.set_inheritable(True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.sftpd.serve_front", str(listening.fileno())),
            pass_fds=[listening.fileno()],
            env={**os.environ, **variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await _line(process, b"ready")
            yield RunningFront(listening.getsockname()[1], process.pid)
        finally:
            process.kill()
            await process.wait()


async def _line(process: asyncio.subprocess.Process, expected: bytes) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(_START_SECONDS):
        assert (await process.stdout.readline()).strip() == expected


@contextlib.asynccontextmanager
async def _program(*arguments: str, stderr: int | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def attack(
    front: RunningFront,
    name: str,
    *,
    attacker: tuple[str, KeyPair],
    canary: tuple[str, KeyPair],
    seconds: float,
) -> Outcome:
    """Let the canary measure in quiet, then under that attack. Both are a campaign and its key.

    `seconds` don't count while the front, or the attackers, wait for a processor: on a busy machine the attack takes longer,
    so that it is as strong as on a quiet one.
    """
    measuring = [str(front.port), canary[0], str(canary[1].private_file), str(front.pid)]
    attacking = [name, str(front.port), attacker[0], str(attacker[1].private_file)]
    async with _program("tests.sftpd.neighbours.canary", *measuring) as neighbour:
        await _line(neighbour, b"there")
        await asyncio.sleep(QUIET_SECONDS)
        idle = most = resident_bytes(front.pid)
        async with _program(
            "tests.sftpd.neighbours.attacks", *attacking, stderr=asyncio.subprocess.DEVNULL
        ) as attackers:
            await _line(attackers, b"attacking")
            began = time.monotonic()
            waited = [processor_seconds(pid)[1] for pid in (front.pid, attackers.pid)]
            while (passed := time.monotonic() - began) < _MOST_SECONDS:
                waited_now = [processor_seconds(pid)[1] for pid in (front.pid, attackers.pid)]
                if passed - max(now - then for now, then in zip(waited_now, waited, strict=True)) >= seconds:
                    break
                await asyncio.sleep(0.05)
                most = max(most, resident_bytes(front.pid))
            assert attackers.returncode is None, "the attackers gave up"
            # What the canary has asked before the attack's end must be answered against it.
            printed, _ = await neighbour.communicate(b"")
    found = json.loads(printed)
    return Outcome(
        Measured.of(found["stats"], began),
        Measured.of(found["logins"], began),
        most - idle,
        found["lost"],
    )
