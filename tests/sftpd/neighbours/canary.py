"""The neighbour: `python -m tests.sftpd.neighbours.canary PORT USER KEY FRONT_PID`. Measures until its stdin ends.

It keeps one session that asks STAT for an upload of its own again and again, and logs in anew beside it. At the end it
prints a `Sample` of each as JSON.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncssh

# Another address than the attackers': what is paced by address must not help them against it.
ADDRESS: Final = "127.0.0.9"
NAME: Final = "canary.csv"
CONTENT: Final = b"recipient,language,recipient_name\n6591234567,english,Emily\n"
# Seconds between two STATs and between two logins; a front that answers none for so long has failed anyway.
_STAT_PAUSE: Final = 0.02
_LOGIN_PAUSE: Final = 0.2
_PATIENCE: Final = 60.0

# When it was asked, on the monotonic clock; the seconds that passed; those of them in which the front or the canary was
# ready to run and waited for a processor; the front's processor time.
Sample = tuple[float, float, float, float]


def processor_seconds(pid: int) -> tuple[float, float]:
    """What a process's main thread, where an event loop runs, has used of processors, and waited for one (proc(5))."""
    used, waited, _ = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()
    return int(used) / 1e9, int(waited) / 1e9


@asynccontextmanager
async def login(port: int, user: str, key: str) -> AsyncIterator[asyncssh.SFTPClient]:
    """A session, as an agency's client begins it."""
    async with (
        await asyncssh.connect(
            *("127.0.0.1", port),
            username=user,
            client_keys=[key],
            known_hosts=None,
            config=None,
            agent_path=None,
            local_addr=(ADDRESS, 0),
            login_timeout=_PATIENCE,
        ) as connection,
        connection.start_sftp_client() as sftp,
    ):
        yield sftp


class Stopwatch:
    """Notes samples of one kind."""

    def __init__(self, front: int) -> None:
        self._front = front
        self._samples: list[Sample] = []
        # The clocks when the question under way was asked.
        self._asked: Sample | None = None

    def start(self) -> None:
        """A question is asked."""
        self._asked = self._read_clocks()

    def stop(self) -> None:
        """It is answered."""
        self._samples = self.samples
        self._asked = None

    @property
    def samples(self) -> list[Sample]:
        """All so far; a question under way counts with the time that it has been waiting."""
        if self._asked is None:
            return self._samples
        began, passed, waited, used = self._asked
        _, passed_now, waited_now, used_now = self._read_clocks()
        return [*self._samples, (began, passed_now - passed, waited_now - waited, used_now - used)]

    def _read_clocks(self) -> Sample:
        now = time.monotonic()
        used, front_waited = processor_seconds(self._front)
        _, waited = processor_seconds(os.getpid())
        return now, now, front_waited + waited, used


async def ask(sftp: asyncssh.SFTPClient, stopwatch: Stopwatch) -> None:
    """STAT until cancelled."""
    while True:
        stopwatch.start()
        await sftp.stat(NAME)
        stopwatch.stop()
        await asyncio.sleep(_STAT_PAUSE)


async def log_in(port: int, user: str, key: str, stopwatch: Stopwatch) -> None:
    """Log in and out until cancelled. A login has ended when the first question was answered."""
    while True:
        stopwatch.start()
        async with login(port, user, key) as sftp:
            await sftp.realpath(".")
            stopwatch.stop()
        await asyncio.sleep(_LOGIN_PAUSE)


async def main(port: int, user: str, key: str, front: int) -> None:
    """Upload, say so, and measure until stdin ends."""
    stats, logins = Stopwatch(front), Stopwatch(front)
    async with login(port, user, key) as sftp:
        async with sftp.open(NAME, "wb") as upload:
            await upload.write(CONTENT)
        print("there", flush=True)
        measuring = {
            asyncio.create_task(ask(sftp, stats)),
            asyncio.create_task(log_in(port, user, key, logins)),
            asyncio.create_task(asyncio.to_thread(sys.stdin.read)),
        }
        await asyncio.wait(measuring, return_when=asyncio.FIRST_COMPLETED)
        lost = [repr(task.exception()) for task in measuring if task.done() and task.exception()]
        print(json.dumps({"stats": stats.samples, "logins": logins.samples, "lost": lost}), flush=True)
        # A front that stands would not even let it leave.
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
