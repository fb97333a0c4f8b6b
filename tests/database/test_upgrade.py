"""An upgrade from the first release with uploads going on and old processes still running, and the way back."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.chaos.testbed.clients import Clients, Ledger
from tests.chaos.testbed.files import make_file
from tests.chaos.testbed.invariants import clean_spools, inspect, quiet
from tests.chaos.testbed.node import Node
from tests.chaos.testbed.testbed import Testbed, open_testbed, until
from tests.database.first_release import OUT_OF_STEP, migrate_with, unpack


class NightJobs:
    """Uploads without a pause, good and bad ones, through whatever nodes are in service."""

    def __init__(self, testbed: Testbed) -> None:
        self.nodes: Sequence[Node] = ()
        self._testbed = testbed
        self._clients = Clients(testbed)
        self._stop = asyncio.Event()

    @property
    def ledger(self) -> Ledger:
        return self._clients.ledger

    @contextlib.asynccontextmanager
    async def sending(self, *nodes: Node) -> AsyncIterator[None]:
        self.nodes = nodes
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send())
            yield
            self._stop.set()

    async def more(self, count: int = 3) -> None:
        """Wait until so many more uploads, begun from now on, were acknowledged."""
        # One may be under way that began before.
        wanted = self.ledger.acknowledged + count + 1

        async def acknowledged() -> bool:
            return self.ledger.acknowledged >= wanted

        await until(acknowledged, f"{count} more uploads acknowledged", 90)

    async def _send(self) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            file = make_file(3, bad_rows=number % 3 == 0)
            campaign = self._testbed.campaigns[number % len(self._testbed.campaigns)]
            first = number % len(self.nodes)
            in_turn = [*self.nodes[first:], *self.nodes[:first]]
            assert await self._clients.put_with_retries(campaign, file, in_turn, tries=6), (
                self.ledger.attempts[-1].error_text
            )


@pytest.mark.timeout(600)
async def test_an_upgrade_beside_running_processes_and_the_way_back_lose_nothing_and_do_nothing_twice(
    tmp_path: Path,
) -> None:
    tree = await asyncio.to_thread(unpack, tmp_path)
    async with open_testbed(campaigns=2, migrate_with=migrate_with(tree)) as testbed:
        jobs = NightJobs(testbed)
        old = await testbed.add_node_of(tree)
        new = await testbed.add_node(start=False)
        async with jobs.sending(old):
            await jobs.more()
            assert (await new.command_line("migrate")).startswith("applied 0002_notification_ends\n")
            await jobs.more()
            # The first release's own `migrate` runs again wherever an old node starts.
            assert await old.command_line("migrate") == ""
            await new.start()
            jobs.nodes = [old, new]
            await jobs.more(6)
            jobs.nodes = [new]
            assert await old.stop() == 0
            await jobs.more()
            # The way back.
            await old.start()
            jobs.nodes = [new, old]
            await jobs.more(6)
            jobs.nodes = [old]
            assert await new.stop() == 0
            await jobs.more()
        await quiet(testbed)
        await old.stop()
        await clean_spools(testbed)
        inspection = await inspect(testbed, jobs.ledger)
        inspection.check()
        assert inspection.acknowledged >= 24
        assert inspection.uploads == inspection.message_ids
        assert await testbed.fetch_value(OUT_OF_STEP) == 0
        assert await testbed.fetch_value("select count(*) from notifications where sent_at is null") == 0
