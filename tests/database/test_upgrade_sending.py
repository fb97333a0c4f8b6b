"""An upgrade from the first release, which sent nothing: what it had accepted texts nobody until ops release it."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.testbed.clients import Clients
from tests.chaos.testbed.files import make_file
from tests.chaos.testbed.testbed import Testbed, open_testbed, until
from tests.database.first_release import migrate_with, unpack

BATCHES = 100


async def sent_batches(testbed: Testbed) -> int:
    """How many batches have had a message handed over."""
    return int(await testbed.fetch_value("select count(distinct batch_no) from attempts"))


@pytest.mark.timeout(400)
async def test_what_was_accepted_before_the_upgrade_leaves_only_when_it_is_released(tmp_path: Path) -> None:
    tree = await asyncio.to_thread(unpack, tmp_path)
    async with open_testbed(campaigns=2, proxied=False, migrate_with=migrate_with(tree)) as testbed:
        clients = Clients(testbed)
        old = await testbed.add_node_of(tree)
        for campaign in testbed.campaigns:
            await clients.put_all(campaign, [make_file(1) for _ in range(BATCHES // 2)], old)
        counted = f"select count(*) = {BATCHES} from batches"
        await until(lambda: testbed.holds(counted), "all batches accepted", 120)
        new = await testbed.add_node(
            start=False,
            sending__processes="1",
            sending__public__provider="simulator",
            sending__sweep_every="1",
        )
        assert "_sending\n" in await new.command_line("migrate")
        assert await testbed.holds(f"select count(*) = {BATCHES} from batches where held_because = 'upgrade'")
        # The old node's workers go on, and write batches as they always did: these are new, and leave.
        await clients.put(testbed.campaigns[0], make_file(1), old)
        await new.start()
        over = "select count(*) = $1::integer from batches where finished_at is not null and success = 1"
        await until(lambda: testbed.holds(over, 1), "what was accepted after the migration is sent", 90)
        # Whatever else could leave had its turn before this one, as each is older.
        await clients.put(testbed.campaigns[1], make_file(1), new)
        await until(lambda: testbed.holds(over, 2), "what comes after it is sent", 60)
        assert await sent_batches(testbed) == 2
        assert await testbed.holds(
            f"select count(*) = {BATCHES} from batches where held_since is not null and not waiting"
        )

        [last] = await testbed.fetch(
            "select id from batches where held_since is not null order by batch_no desc limit 1"
        )
        await new.command_line("batch", "release", last["id"])
        await until(lambda: testbed.holds(over, 3), "the released batch is sent", 60)
        await clients.put(testbed.campaigns[1], make_file(1), new)
        await until(lambda: testbed.holds(over, 4), "what comes after it is sent", 60)
        assert await sent_batches(testbed) == 4
        # Whoever wrote them, their outcomes are in the totals.
        assert await testbed.holds("select sum(attempts) = 4 from usage_days where outcome = 'success'")
        await new.command_line("billing", "check")
        assert await testbed.holds("select released_at is not null from batches where id = $1", last["id"])
