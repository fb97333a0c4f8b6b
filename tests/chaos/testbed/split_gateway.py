"""A gateway whose front and worker are separate nodes, so that a service can fail for one of them alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.testbed.clients import Attempt, Clients
from tests.chaos.testbed.files import UploadFile
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.proxy import Proxy, open_proxy
from tests.chaos.testbed.testbed import Testbed, until

NOT_STORED: Final = "the upload could not be stored and was not accepted"
SPOOL_FULL: Final = "the service cannot take more uploads at the moment: try again later"
QUOTA: Final = "unfinished uploads take all the space of this campaign"
# The client's limit in kbit/s where something is to happen during its upload: 600 KB take 3 s.
SLOWLY: Final = ("-l", "1600")
DEADLINE: Final = 90.0


@dataclass
class SplitGateway:
    """The front reaches S3 through the testbed's proxy, the worker through one of its own."""

    testbed: Testbed
    clients: Clients
    front: Node
    worker: Node
    worker_proxy: Proxy

    @property
    def campaign(self) -> str:
        return self.testbed.campaigns[0]

    async def put(self, file: UploadFile, *options: str) -> Attempt:
        """Upload by the real client."""
        return await self.clients.put(self.campaign, file, self.front, *options)

    async def until_logged(self, node: Node, event: str, since: int) -> None:
        """Wait until the node has logged that event after its log was `since` bytes long."""

        async def logged() -> bool:
            with node.log.open("rb") as log:
                log.seek(since)
                return f'"{event}"'.encode() in log.read()

        await until(logged, f"{node.name} logs {event}", DEADLINE)

    async def until_decided(self, *files: UploadFile) -> float:
        """Wait until these uploads have their outcome, and return the seconds that took."""
        names = [file.name for file in files]

        async def decided() -> bool:
            return await self.testbed.holds(
                "select count(*) = $2 from uploads where file_name = any($1) and finished_at is not null",
                names,
                len(names),
            )

        return await until(decided, "the outcomes of these uploads", DEADLINE)

    async def attempts_of(self, file: UploadFile) -> int:
        """How often its verdict was begun."""
        return (
            await self.testbed.fetch_value(
                "select max(attempts) from uploads where file_name = $1", file.name
            )
            or 0
        )

    async def until_receiving(self) -> None:
        """Wait until the front is in the middle of an upload."""
        await until(lambda: receives(self.front), "an upload in the middle", DEADLINE)


def size_of(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


@contextlib.asynccontextmanager
async def open_split_gateway(testbed: Testbed, **front_changes: str) -> AsyncIterator[SplitGateway]:
    """Add a front and a worker to the testbed and wait until both are ready."""
    async with open_proxy(testbed.s3.port) as worker_proxy:
        front = await testbed.add_node("sftpd", start=False, **front_changes)
        worker = await testbed.add_node("worker", start=False, s3__endpoint_url=worker_proxy.endpoint_url)
        await asyncio.gather(front.start(), worker.start())
        yield SplitGateway(testbed, Clients(testbed), front, worker, worker_proxy)


def length_of(node: Node) -> int:
    return node.log.stat().st_size


def expect(attempt: Attempt, error_text: str) -> None:
    assert not attempt.acknowledged, f"{attempt.file.name} was acknowledged"
    assert error_text in attempt.error_text, f"the client was told {attempt.error_text!r}, not {error_text!r}"


async def expect_nothing_taken(gateway: SplitGateway, file: UploadFile) -> None:
    taken = await gateway.testbed.fetch_value("select count(*) from uploads where file_name = $1", file.name)
    assert taken == 0, f"{file.name} was refused and taken all the same"


async def receives(front: Node) -> bool:
    return any(size_of(path) > 100_000 for path in front.spool.glob("*/*.bytes"))
