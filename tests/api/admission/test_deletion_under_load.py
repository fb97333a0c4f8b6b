"""A key that is deleted ends everywhere at once: no call that arrives after the answer to its deletion gets in."""

import asyncio
import time

from campaigns.api_access import delete_api_key
from config.settings import Settings
from database.connections import Connection
from tests.api.admission.test_refusals import is_let_in
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import Answer, serving, until
from tests.conftest import ADMIN

CALLERS = 8


async def test_no_call_after_the_answer_to_its_deletion_gets_in(
    api_settings: Settings, connection: Connection, campaign_id: str
) -> None:
    key = await make_api_key(connection, campaign_id)
    calls: list[tuple[float, Answer]] = []
    stop = asyncio.Event()

    async def call(client: APIClient) -> None:
        while not stop.is_set():
            begun_at = time.monotonic()
            calls.append((begun_at, await client.get("/messages")))

    async with serving(api_settings) as one, serving(api_settings) as two, asyncio.TaskGroup() as tasks:
        for n in range(CALLERS):
            tasks.create_task(call(APIClient((one, two)[n % 2], campaign_id, key)))
        await until(lambda: sum(is_let_in(answer) for _, answer in calls) >= 2 * CALLERS)
        async with connection.transaction():
            await delete_api_key(connection, campaign_id, key[9:17], actor=ADMIN)
        deleted_at = time.monotonic()
        await until(lambda: sum(begun_at > deleted_at for begun_at, _ in calls) >= 3 * CALLERS)
        stop.set()
    assert {answer.status for begun_at, answer in calls if begun_at > deleted_at} == {401}
