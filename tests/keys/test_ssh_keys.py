"""Keys are put in force and revoked at once; a key that another campaign uses too is named."""

from typing import TYPE_CHECKING

import pytest

from audit.events import Actor
from database.connections import Connection
from keys.errors import KeyNotFound
from keys.key_files import parse_public_keys
from keys.public_keys import PublicKey
from keys.ssh_keys import (
    count_keys,
    list_keys,
    record_all_keys_revoked,
    record_key_revoked,
    record_keys,
)

if TYPE_CHECKING:
    from tests.conftest import KeyPair

ADMIN = Actor(name="admin", source_address="192.0.2.9")


@pytest.fixture
def keys(ed25519_key: "KeyPair", other_key: "KeyPair") -> list[PublicKey]:
    return parse_public_keys(f"{ed25519_key.public_line}\n{other_key.public_line}\n".encode())


async def test_added_keys_are_listed_with_their_comments_or_label(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    first = await record_keys(connection, campaign_id, keys[:1], actor=ADMIN)
    second = await record_keys(connection, campaign_id, keys, label="batch server", actor=ADMIN)

    assert (first.added, first.present) == ((keys[0],), ())
    assert (second.added, second.present) == ((keys[1],), (keys[0],))
    listed = await list_keys(connection, campaign_id)
    assert [(key.fingerprint, key.label) for key in listed] == [
        (keys[0].fingerprint, "agency key"),
        (keys[1].fingerprint, "batch server"),
    ]
    assert await count_keys(connection, [campaign_id]) == {campaign_id: 2}


async def test_a_key_of_another_campaign_is_named_while_it_is_in_force(
    connection: Connection, campaign_id: str, other_campaign_id: str, keys: list[PublicKey]
) -> None:
    await record_keys(connection, other_campaign_id, keys, actor=ADMIN)
    await record_key_revoked(connection, other_campaign_id, keys[1].fingerprint, actor=ADMIN)

    result = await record_keys(connection, campaign_id, keys, actor=ADMIN)

    assert result.shared == {keys[0].fingerprint: [other_campaign_id]}


async def test_a_revoked_key_keeps_its_row_and_can_come_back(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    await record_keys(connection, campaign_id, keys[:1], actor=ADMIN)
    await record_key_revoked(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)
    with pytest.raises(KeyNotFound, match="has no key SHA256:"):
        await record_key_revoked(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)

    result = await record_keys(connection, campaign_id, keys[:1], actor=ADMIN)

    assert result.revoked == {keys[0].fingerprint}
    assert [key.revoked_at is None for key in await list_keys(connection, campaign_id)] == [False, True]


async def test_all_keys_in_force_are_revoked_at_once_and_others_left_alone(
    connection: Connection, campaign_id: str, other_campaign_id: str, keys: list[PublicKey]
) -> None:
    await record_keys(connection, campaign_id, keys, actor=ADMIN)
    await record_keys(connection, other_campaign_id, keys, actor=ADMIN)
    await record_key_revoked(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)

    await record_all_keys_revoked(connection, campaign_id, cause="campaign deleted", actor=ADMIN)

    assert await count_keys(connection, [campaign_id, other_campaign_id]) == {other_campaign_id: 2}
    events = await connection.fetch(
        "select campaign_id, details ->> 'fingerprint', details ->> 'reason' from audit_events "
        "where event = 'key_revoked' order by id"
    )
    assert [tuple(row) for row in events] == [
        (campaign_id, keys[0].fingerprint, None),
        (campaign_id, keys[1].fingerprint, "campaign deleted"),
    ]


async def test_every_change_of_keys_is_on_record_without_the_key(
    connection: Connection, campaign_id: str, keys: list[PublicKey]
) -> None:
    await record_keys(connection, campaign_id, keys, actor=ADMIN)
    await record_key_revoked(connection, campaign_id, keys[0].fingerprint, actor=ADMIN)

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
