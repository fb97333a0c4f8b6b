"""What is counted of each key: by address, by outcome, without what nobody's key was, and never more than has room."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from api import key_uses
from api.key_uses import KeyUsesCounter, Use
from campaigns.api_access import delete_api_key
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection, Pool
from keys.api_key_form import new_key
from keys.api_uses import MOST_OF_CAMPAIGN, KeyUses, list_uses, record_uses
from tests.api.admission.test_refusals import fill_rate
from tests.api.client import APIClient
from tests.api.served import serving, until_awaited
from tests.conftest import ADMIN

PAGE = "/messages?limit=1"


def prefix_of(key: str) -> str:
    return key.split("_")[2][:8]


async def test_calls_are_counted_by_what_became_of_them(
    api_settings: Settings, connection: Connection, campaign_id: str, other_campaign_id: str, api_key: str
) -> None:
    async with serving(api_settings) as port:
        client = APIClient(port, campaign_id, api_key)
        assert [(await client.get(PAGE)).status for _ in range(2)] == [200, 200]
        assert (await client.get(f"/api/v2/campaigns/{other_campaign_id}/messages?limit=1")).status == 403
        await fill_rate(connection, campaign_id)
        # The second one is refused from memory.
        assert [(await client.get(PAGE)).status for _ in range(2)] == [429, 429]
        stranger = new_key(Environment.TEST)
        assert (await APIClient(port, campaign_id, stranger).get(PAGE)).status == 401
        async with connection.transaction():
            await delete_api_key(connection, campaign_id, prefix_of(api_key), actor=ADMIN)
        # What is remembered of the rate lasts until its time.
        await until_awaited(lambda: _status(client), 401)
    # A stop writes what was counted last.
    (uses,) = await list_uses(connection, campaign_id)
    assert (uses.prefix, uses.source_address) == (prefix_of(api_key), "127.0.0.1")
    assert (uses.admitted, uses.forbidden, uses.unauthorized) == (2, 1, 1)
    assert uses.limited >= 2
    assert abs(datetime.now(UTC) - uses.last_at) < timedelta(minutes=5)
    assert await connection.fetchval("select count(*) from api_uses") == 1


async def _status(client: APIClient) -> int:
    return (await client.get(PAGE)).status


async def test_counts_add_up_over_processes_and_time(
    pool: Pool, connection: Connection, campaign_id: str, api_key: str
) -> None:
    counters = [KeyUsesCounter(pool, lambda _: time.time(), every=0.05) for _ in range(2)]
    tasks = [asyncio.create_task(counter.run()) for counter in counters]
    prefix = prefix_of(api_key)

    async def counted() -> tuple[int, int, int, int]:
        uses = await list_uses(connection, campaign_id)
        sums = [(one.admitted, one.unauthorized, one.forbidden, one.limited) for one in uses]
        return tuple(map(sum, zip(*sums, strict=True))) if sums else (0, 0, 0, 0)  # type: ignore[return-value]

    try:
        for times in (1, 2):
            for counter in counters:
                for use in Use:
                    counter.count(prefix, "192.0.2.1", use)
            await until_awaited(counted, (2 * times,) * 4)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_flood_of_made_up_keys_takes_no_room_from_the_others(
    pool: Pool, connection: Connection, campaign_id: str, api_key: str
) -> None:
    counter = KeyUsesCounter(pool, lambda _: time.time())
    prefix = prefix_of(api_key)
    for number in range(key_uses._MOST_UNPROVEN + 100):
        counter.count(f"{number:08}", "192.0.2.1", Use.UNAUTHORIZED)
    assert len(counter._unproven) == key_uses._MOST_UNPROVEN
    counter.count(prefix, "192.0.2.1", Use.ADMITTED)
    await counter.write()
    (uses,) = await list_uses(connection, campaign_id)
    assert uses.admitted == 1


async def test_addresses_that_were_never_let_in_are_forgotten_first(
    connection: Connection, campaign_id: str, api_key: str
) -> None:
    prefix, began = prefix_of(api_key), datetime.now(UTC) - timedelta(days=1)
    await record_uses(connection, [KeyUses(prefix, "192.0.2.1", began, admitted=1)])
    for start in (0, 150):
        await record_uses(
            connection,
            [
                KeyUses(prefix, f"2001:db8::{number:x}", began + timedelta(seconds=number), unauthorized=1)
                for number in range(start + 1, start + 151)
            ],
        )
    kept = await list_uses(connection, campaign_id)
    assert len(kept) == MOST_OF_CAMPAIGN
    assert {use.source_address for use in kept} >= {"192.0.2.1", f"2001:db8::{300:x}"}
    assert "2001:db8::1" not in {use.source_address for use in kept}


async def test_a_database_that_is_away_fails_nothing(
    pool: Pool, connection: Connection, campaign_id: str, api_key: str
) -> None:
    counter = KeyUsesCounter(pool, lambda _: time.time())
    counter.count(prefix_of(api_key), "192.0.2.1", Use.ADMITTED)
    await connection.execute("alter table api_uses rename to away")
    await counter.write()
    await connection.execute("alter table away rename to api_uses")
    counter.count(prefix_of(api_key), "192.0.2.1", Use.ADMITTED)
    await counter.write()
    assert [use.admitted for use in await list_uses(connection, campaign_id)] == [1]
