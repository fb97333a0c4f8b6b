"""What lets a campaign call the HTTP API: addresses, keys, rate, NRIC; and that each change is in the audit trail."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from ipaddress import ip_address

import asyncpg
import pytest

from campaigns.api_access import (
    add_api_key,
    change_api_addresses,
    delete_api_key,
    parse_api_addresses,
    set_api_rate,
    set_nric,
)
from campaigns.campaigns import delete_campaign, fetch_known_campaign, suspend_campaign
from campaigns.errors import CampaignNotFound, CampaignRefused
from config.environment import Environment
from database.connections import Connection, Pool
from keys.api_keys import NewAPIKey, count_api_keys, count_in_force, list_api_keys
from keys.errors import KeyNotFound, KeyRefused
from tests.conftest import ADMIN

LOCKED = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)
ADDRESSES = parse_api_addresses(["192.0.2.7", "2001:db8::7"])


async def allow(
    connection: Connection, campaign_id: str, added: Sequence[str] = (), removed: Sequence[str] = ()
) -> list[str]:
    async with connection.transaction():
        now = await change_api_addresses(
            connection,
            campaign_id,
            added=parse_api_addresses(added),
            removed=parse_api_addresses(removed),
            actor=ADMIN,
        )
    return [str(address) for address in now]


async def add_key(connection: Connection, campaign_id: str, name: str = "") -> NewAPIKey:
    async with connection.transaction():
        return await add_api_key(
            connection, campaign_id, environment=Environment.TEST, name=name, actor=ADMIN
        )


async def events(connection: Connection, campaign_id: str) -> list[tuple[str, dict[str, object]]]:
    rows = await connection.fetch(
        "select event, details from audit_events where campaign_id = $1 order by id", campaign_id
    )
    return [(row["event"], json.loads(row["details"])) for row in rows]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param(["192.0.2.7"], ["192.0.2.7"], id="IPv4"),
        pytest.param(["2001:DB8:0::7"], ["2001:db8::7"], id="IPv6, however it is written"),
        pytest.param(["::ffff:192.0.2.7", "192.0.2.7"], ["192.0.2.7"], id="IPv4 written as IPv6, once"),
        pytest.param(["192.0.2.7,192.0.2.8 192.0.2.9"], ["192.0.2.7", "192.0.2.8", "192.0.2.9"], id="several in a word"),
        pytest.param(["10.0.0.1", "127.0.0.1", "::1"], ["10.0.0.1", "127.0.0.1", "::1"], id="within a building"),
    ],
)  # fmt: skip
def test_addresses_are_read_as_people_write_them(texts: list[str], expected: list[str]) -> None:
    assert [str(address) for address in parse_api_addresses(texts)] == expected


@pytest.mark.parametrize(
    "text",
    ["192.0.2.0/24", "192.0.2.7/32", "2001:db8::/32", "192.0.2", "office", "192.0.2.7:80", "fe80::1%eth0", "0.0.0.0",
     "::", "224.0.0.1", "ff02::1", "192.0.2.007", "١٩٢.0.2.7"],
)  # fmt: skip
def test_what_is_not_one_callers_address_is_refused(text: str) -> None:
    with pytest.raises(CampaignRefused, match=r"192\.0\.2\.7 or 2001:db8::7"):
        parse_api_addresses([text])


async def test_addresses_are_added_and_removed(connection: Connection, campaign_id: str) -> None:
    assert await allow(connection, campaign_id, ["192.0.2.7", "2001:db8::7"]) == ["192.0.2.7", "2001:db8::7"]
    # What is there already stays once, and an exchange is one call.
    assert await allow(connection, campaign_id, ["192.0.2.8", "2001:db8::7"], ["192.0.2.7"]) == [
        "2001:db8::7",
        "192.0.2.8",
    ]
    campaign = await fetch_known_campaign(connection, campaign_id)
    assert campaign.api_addresses == (ip_address("2001:db8::7"), ip_address("192.0.2.8"))
    assert campaign.allowed_sources == ()
    assert await allow(connection, campaign_id, ["192.0.2.8"]) == ["2001:db8::7", "192.0.2.8"]
    assert (await events(connection, campaign_id))[1:] == [
        ("campaign_api_addresses_changed", {"api_addresses": ["192.0.2.7", "2001:db8::7"]}),
        ("campaign_api_addresses_changed", {"api_addresses": ["2001:db8::7", "192.0.2.8"]}),
    ]


async def test_a_campaign_has_at_most_20_addresses(connection: Connection, campaign_id: str) -> None:
    twenty = [f"192.0.2.{n}" for n in range(1, 21)]
    await allow(connection, campaign_id, twenty)
    with pytest.raises(CampaignRefused, match="would have 21 addresses, and can have 20"):
        await allow(connection, campaign_id, ["192.0.2.21"])
    await allow(connection, campaign_id, ["192.0.2.21"], ["192.0.2.1"])


async def test_one_that_is_not_there_cannot_be_removed(connection: Connection, campaign_id: str) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])
    with pytest.raises(CampaignRefused, match=r"192\.0\.2\.8 is none of the API's addresses"):
        await allow(connection, campaign_id, ["192.0.2.9"], ["192.0.2.8"])
    assert await allow(connection, campaign_id, removed=["192.0.2.7"]) == []


async def test_a_key_is_made_only_where_it_could_be_used_and_three_at_most(
    connection: Connection, campaign_id: str
) -> None:
    with pytest.raises(CampaignRefused, match="has no address from which the API may be called"):
        await add_key(connection, campaign_id)
    await allow(connection, campaign_id, ["192.0.2.7"])
    keys = [await add_key(connection, campaign_id, name) for name in ("a", "b", "c")]
    with pytest.raises(KeyRefused, match="has 3 API keys in force, and can have no more"):
        await add_key(connection, campaign_id)
    async with connection.transaction():
        await delete_api_key(connection, campaign_id, keys[0].prefix, actor=ADMIN)
    keys.append(await add_key(connection, campaign_id, "d"))

    listed = await list_api_keys(connection, campaign_id)
    assert [(key.prefix, key.name) for key in listed] == [
        (key.prefix, name) for key, name in zip(keys, "abcd", strict=True)
    ]
    assert [key.deleted_at is None for key in listed] == [False, True, True, True]
    assert {key.made_by for key in listed} == {"admin"}
    assert await count_api_keys(connection, [campaign_id]) == {campaign_id: 3}
    stored = await connection.fetch("select digest from api_keys order by made_at")
    assert [row["digest"] for row in stored] == [hashlib.sha256(key.text.encode()).digest() for key in keys]


async def test_the_last_address_stays_while_keys_are_in_force(
    connection: Connection, campaign_id: str
) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])
    key = await add_key(connection, campaign_id)
    with pytest.raises(CampaignRefused, match=r"has API keys in force \(1\), which need an address"):
        await allow(connection, campaign_id, removed=["192.0.2.7"])
    await allow(connection, campaign_id, ["192.0.2.8"], ["192.0.2.7"])
    async with connection.transaction():
        await delete_api_key(connection, campaign_id, key.prefix, actor=ADMIN)
    assert await allow(connection, campaign_id, removed=["192.0.2.8"]) == []


async def test_keys_made_at_once_are_three_as_well(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])

    async def add() -> NewAPIKey:
        async with pool.acquire() as own:
            return await add_key(own, campaign_id)

    made = await asyncio.gather(*(add() for _ in range(6)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in made) == ["KeyRefused"] * 3 + ["NewAPIKey"] * 3
    assert await count_in_force(connection, campaign_id) == 3


async def test_no_key_is_made_while_the_last_address_is_taken_away(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])
    async with pool.acquire() as other:
        change = connection.transaction()
        await change.start()
        await change_api_addresses(connection, campaign_id, added=(), removed=ADDRESSES[:1], actor=ADMIN)
        adding = asyncio.create_task(add_key(other, campaign_id))
        async with asyncio.timeout(30):
            while not await connection.fetchval(LOCKED):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)
        assert not adding.done()
        await change.commit()
        with pytest.raises(CampaignRefused, match="has no address"):
            await adding


async def test_a_key_is_deleted_once_and_by_its_own_campaign(
    connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])
    key = await add_key(connection, campaign_id)
    with pytest.raises(KeyNotFound, match=f"has no API key {key.prefix} in force"):
        await delete_api_key(connection, other_campaign_id, key.prefix, actor=ADMIN)
    with pytest.raises(CampaignNotFound):
        await delete_api_key(connection, "campaign_unknown", key.prefix, actor=ADMIN)
    await delete_api_key(connection, campaign_id, key.prefix, actor=ADMIN)
    with pytest.raises(KeyNotFound):
        await delete_api_key(connection, campaign_id, key.prefix, actor=ADMIN)


async def test_a_deleted_campaign_has_no_key_in_force_and_gets_none(
    connection: Connection, campaign_id: str
) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])
    keys = [await add_key(connection, campaign_id) for _ in range(2)]
    await suspend_campaign(connection, campaign_id, actor=ADMIN)
    assert await count_in_force(connection, campaign_id) == 2
    async with connection.transaction():
        assert await delete_campaign(connection, campaign_id, actor=ADMIN)
    assert await count_in_force(connection, campaign_id) == 0
    told = [details for event, details in await events(connection, campaign_id) if event == "api_key_deleted"]
    assert sorted(str(details["prefix"]) for details in told) == sorted(key.prefix for key in keys)
    assert {details["reason"] for details in told} == {"campaign deleted"}
    for change in (
        add_key(connection, campaign_id),
        allow(connection, campaign_id, ["192.0.2.8"]),
        set_api_rate(connection, campaign_id, 15, actor=ADMIN),
        set_nric(connection, campaign_id, allowed=True, actor=ADMIN),
    ):
        with pytest.raises(CampaignRefused, match="is deleted"):
            await change


async def test_the_key_is_nowhere_but_in_the_answer(
    connection: Connection, campaign_id: str, database_url: str
) -> None:
    await allow(connection, campaign_id, ["192.0.2.7"])
    key = await add_key(connection, campaign_id)
    assert key.text not in repr(key)
    secret = key.text[17:60]
    reader = await asyncpg.connect(database_url)
    try:
        for table in ("api_keys", "audit_events"):
            rows = await reader.fetch(f"select t::text as row from {table} t")
            assert rows
            assert not [row for row in rows if secret in row["row"]]
    finally:
        await reader.close()


@pytest.mark.parametrize("rate", [1, 15, 200, 1000, None])
async def test_a_rate_of_its_own_is_kept(connection: Connection, campaign_id: str, rate: int | None) -> None:
    await set_api_rate(connection, campaign_id, rate, actor=ADMIN)
    assert (await fetch_known_campaign(connection, campaign_id)).api_rate == rate
    assert (await events(connection, campaign_id))[-1] == ("campaign_api_rate_changed", {"api_rate": rate})


@pytest.mark.parametrize("rate", [0, -1, 1001])
async def test_a_rate_that_cannot_be_kept_is_refused(
    connection: Connection, campaign_id: str, rate: int
) -> None:
    with pytest.raises(CampaignRefused, match="from 1 to 1,000 calls a second"):
        await set_api_rate(connection, campaign_id, rate, actor=ADMIN)


async def test_the_nric_switch_tells_what_changed(connection: Connection, campaign_id: str) -> None:
    assert not (await fetch_known_campaign(connection, campaign_id)).nric
    assert await set_nric(connection, campaign_id, allowed=True, actor=ADMIN)
    assert not await set_nric(connection, campaign_id, allowed=True, actor=ADMIN)
    assert (await fetch_known_campaign(connection, campaign_id)).nric
    assert await set_nric(connection, campaign_id, allowed=False, actor=ADMIN)
    assert [
        event for event in await events(connection, campaign_id) if event[0] == "campaign_nric_changed"
    ] == [
        ("campaign_nric_changed", {"nric": True}),
        ("campaign_nric_changed", {"nric": False}),
    ]
