"""The agencies: they send with OpenSSH's `sftp -b`, and a ledger keeps what they tried."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.testbed.files import UploadFile
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed

# Seconds that a client waits before it tries again.
_REST: Final = 1.0
_DEADLINE: Final = 90.0
_folders = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One upload of one run of the client, which acknowledged it where the exit status is 0. Times are of the monotonic clock."""

    campaign_id: str
    file: UploadFile
    node: Node
    status: int
    error_text: str
    began: float
    ended: float

    @property
    def acknowledged(self) -> bool:
        return self.status == 0


@dataclass
class Ledger:
    """Everything that was tried, in the order in which it ended."""

    attempts: list[Attempt] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        return sum(attempt.acknowledged for attempt in self.attempts)


@dataclass
class Clients:
    """Sends uploads to a testbed and notes each attempt in the ledger."""

    testbed: Testbed
    ledger: Ledger = field(default_factory=Ledger)

    async def put(
        self, campaign_id: str, file: UploadFile, node: Node, *options: str, deadline: float = _DEADLINE
    ) -> Attempt:
        """One upload by one run of the client."""
        return (await self.put_all(campaign_id, [file], node, *options, deadline=deadline))[0]

    async def put_all(
        self,
        campaign_id: str,
        files: Sequence[UploadFile],
        node: Node,
        *options: str,
        deadline: float = _DEADLINE,
    ) -> list[Attempt]:
        """Several uploads by one run of the client, which stops at the first that fails.

        `options` go to sftp, such as `-l 800` (kbit/s). A client still running after `deadline` seconds is killed.
        """
        folder = self.testbed.folder / "files" / str(next(_folders))
        await asyncio.to_thread(folder.mkdir)
        for file in files:
            await asyncio.to_thread((folder / file.name).write_bytes, file.content)
        began = time.monotonic()
        status, error_text = await self._run(
            [
                *("sftp", "-q", "-b", "-", "-F", "none", "-P", str(node.port), *options),
                *("-i", str(self.testbed.key.private_file), "-o", "IdentitiesOnly=yes"),
                *("-o", f"UserKnownHostsFile={self.testbed.known_hosts}", "-o", "StrictHostKeyChecking=yes"),
                *("-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10"),
                f"{campaign_id}@127.0.0.1",
            ],
            "".join(f"put {folder / file.name} {file.name}\n" for file in files).encode(),
            deadline,
        )
        ended = time.monotonic()
        attempts = [Attempt(campaign_id, file, node, status, error_text, began, ended) for file in files]
        self.ledger.attempts.extend(attempts)
        return attempts

    async def put_with_retries(
        self, campaign_id: str, file: UploadFile, nodes: Sequence[Node], *, tries: int = 3
    ) -> bool:
        """Send until the upload is acknowledged, to one node after the other as behind a load balancer. Whether it was."""
        for number in range(tries):
            if number:
                await asyncio.sleep(_REST)
            attempt = await self.put(campaign_id, file, nodes[number % len(nodes)])
            if attempt.acknowledged:
                return True
        return False

    async def _run(self, command: Sequence[str], batch: bytes, deadline: float) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(deadline):
                _, error_text = await process.communicate(batch)
        except TimeoutError:
            error_text = b"killed by its deadline"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return process.returncode, error_text.decode(errors="replace")
