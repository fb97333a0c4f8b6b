"""Batch sends through a whole node whose processes are killed at each step: nothing is accepted that nobody was told of.

A call that had no answer is repeated under its Idempotency-Key, and makes one batch in all; without a key, nothing of it is sent.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from database.connections import Pool, connect, open_pool
from tests.api.batches.bodies import HEADERS, form
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import Answer, until_awaited
from tests.gateway.nodes import Node

GOOD = b"recipient,language,name\r\n6591234567,english,Tan\r\n"
# Where the process dies that waits for the verdict, and where the one that gives it.
WAITING = ("intake.before_commit", "intake.committed")
JUDGING = ("verdict.copied", "verdict.committed")
WAITED_FOR = (
    "select count(*) from pg_locks l join uploads u on l.locktype = 'advisory' and l.classid::bigint = u.waiter >> 32"
    " and l.objid::bigint = u.waiter & 4294967295"
)


async def post(client: APIClient, name: str, *, key: str | None = None) -> Answer | None:
    """Send a file of this name; None where the connection ended without an answer."""
    headers = {**HEADERS, "Idempotency-Key": key} if key else HEADERS
    try:
        return await client.post("/batch/messages", content=form(GOOD, name), headers=headers)
    except (OSError, IndexError, ValueError):
        return None


async def repeat(client: APIClient, name: str) -> Answer:
    """Send it under its key until it is decided. On its way there the key may be in use, or the verdict late."""
    async with asyncio.timeout(100):
        while True:
            answer = await post(client, name, key=name)
            if answer is not None and b"isValid" in answer.body:
                return answer
            assert answer is None or answer.status in {409, 503}, answer.body
            await asyncio.sleep(0.1)


async def batches(pool: Pool, name: str) -> list[str]:
    rows = await pool.fetch("select id from batches where original_file_name = $1", name)
    return [row["id"] for row in rows]


@pytest.mark.timeout(300)
async def test_killed_at_each_step_a_file_makes_one_batch_under_its_key_and_none_without_an_answer(
    start_node: Callable[..., Node], provisioned: str, settings: Settings, tmp_path: Path
) -> None:
    points = tmp_path / "points"
    points.mkdir()
    node = await asyncio.to_thread(
        start_node,
        SFTP_GATEWAY_API__PROCESSES="2",
        SFTP_GATEWAY_API__PORT="0",
        SFTP_GATEWAY_WORKER__SWEEP_INTERVAL="0.5",
        GATEWAY_FAULT_POINTS=str(points),
    )
    connection = await connect(settings.database)
    client = APIClient(node.ports["api_port"], provisioned, await make_api_key(connection, provisioned))
    await connection.close()

    async def post_at(point: str, name: str, key: str | None) -> Answer | None:
        (points / point).touch()
        answer = await post(client, name, key=key)
        # The answer may be here a moment before the worker comes to its point.
        await until_awaited(lambda: asyncio.to_thread((points / point).exists), False)
        return answer

    async with open_pool(settings.database, name="test") as pool:
        for point in (*WAITING, *JUDGING):
            name = f"{point}.csv"
            answer = await post_at(point, name, name)
            assert answer is None or point in JUDGING
            decided = await repeat(client, name)
            assert decided.status == 201
            if answer is not None and answer.status == 201:
                assert decided.body == answer.body
            (batch_id,) = await batches(pool, name)
            assert decided.body == b'{"isValid":true,"batchId":"%s"}' % batch_id.encode()
        # Without a key nobody asks again, and nothing is sent. The worker looks only once the database knows of the death.
        assert (await repeat(client, "there is a worker again.csv")).status == 201
        workers = node.children("worker")
        for worker in workers:
            worker.suspend()
        assert await post_at("intake.committed", "unheard.csv", None) is None
        await until_awaited(lambda: pool.fetchval(WAITED_FOR), 0)
        for worker in workers:
            worker.resume()
        ended = "select withdrawn_at is not null from uploads where file_name = 'unheard.csv'"
        await until_awaited(lambda: pool.fetchval(ended), True)
        assert await batches(pool, "unheard.csv") == []
        assert await pool.fetchval("select count(*) from notifications") == 0
        assert await pool.fetchval("select count(*) from uploads where finished_at is null") == 0
