"""Keys in force: added all or nothing, revoked at once, shared ones named."""

from typing import TYPE_CHECKING

import pytest

from audit.events import Actor
from campaigns.campaigns import delete_campaign
from database.connections import Connection
from keys.errors import CampaignNotFound, CampaignRefused, KeyNotFound
from keys.key_armour import parse_public_keys
from keys.public_keys import PublicKey
from keys.ssh_keys import add_keys, count_keys, list_keys, revoke_key

if TYPE_CHECKING:
    from tests.conftest import KeyPair

ADMIN = Actor(name="admin", source_address="192.0.2.9")


@pytest.fixture
def keys(ed25519_key: "KeyPair", other_key: "KeyPair") -> list[PublicKey]:
    return parse_public_keys(f"{ed25519_key.public_line}\n{other_key.public_line}\n".encode())


async def test_added_keys_are_listed_with_their_comments_or_label(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    first = await add_keys(connection, campaign_id, keys[:1], actor=ADMIN)
    second = await add_keys(connection, campaign_id, keys, label="batch server", actor=ADMIN)

    assert (first.added, first.present) == ((keys[0],), ())
    assert (second.added, second.present) == ((keys[1],), (keys[0],))
    listed = await list_keys(connection, campaign_id)
    assert [(key.fingerprint, key.label) for key in listed] == [
        (keys[0].fingerprint, "agency key"),
        (keys[1].fingerprint, "batch server"),
    ]
    assert await count_keys(connection) == {campaign_id: 2}


async def test_a_key_of_another_campaign_is_named_while_it_is_in_force(
    connection: Connection, campaign_id: str, other_campaign_id: str, keys: list[PublicKey]
) -> None:
    await add_keys(connection, other_campaign_id, keys, actor=ADMIN)
    await revoke_key(connection, other_campaign_id, keys[1].fingerprint, actor=ADMIN)

    result = await add_keys(connection, campaign_id, keys, actor=ADMIN)

    assert result.shared == {keys[0].fingerprint: [other_campaign_id]}


async def test_a_revoked_key_stays_on_the_books_and_can_come_back(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    await add_keys(connection, campaign_id, keys[:1], actor=ADMIN)
    await revoke_key(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)
    with pytest.raises(KeyNotFound, match="has no key SHA256:"):
        await revoke_key(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)

    result = await add_keys(connection, campaign_id, keys[:1], actor=ADMIN)

    assert result.revoked == {keys[0].fingerprint}
    assert [key.revoked_at is None for key in await list_keys(connection, campaign_id)] == [False, True]


async def test_deleting_a_campaign_revokes_its_keys(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    await add_keys(connection, campaign_id, keys, actor=ADMIN)
    await delete_campaign(connection, campaign_id, actor=ADMIN)

    assert [key.revoked_at is None for key in await list_keys(connection, campaign_id)] == [False, False]
    with pytest.raises(CampaignRefused, match="deleted"):
        await add_keys(connection, campaign_id, keys, actor=ADMIN)


async def test_an_unknown_campaign_takes_no_keys(connection: Connection, keys: list[PublicKey]) -> None:
    with pytest.raises(CampaignNotFound):
        await add_keys(connection, "nobody", keys, actor=ADMIN)
    assert await connection.fetchval("select count(*) from ssh_keys") == 0


async def test_every_change_of_keys_is_on_record_without_the_key(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    await add_keys(connection, campaign_id, keys, actor=ADMIN)
    await revoke_key(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)

    rows = await connection.fetch(
        "select event, actor, host(source_address) as address, details ->> 'fingerprint' as fingerprint, "
        "audit_events::text as line from audit_events where event like 'key%' order by id"
    )

    assert [(row["event"], row["fingerprint"]) for row in rows] == [
        ("key_added", keys[0].fingerprint),
        ("key_added", keys[1].fingerprint),
        ("key_revoked", keys[0].fingerprint),
    ]
    assert {(row["actor"], row["address"]) for row in rows} == {("admin", "192.0.2.9")}
    assert not [row for row in rows if "AAAA" in row["line"]]
