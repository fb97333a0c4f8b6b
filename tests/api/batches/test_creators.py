"""Who a message is from: whoever made the key that sent it, or the campaign's creator (8-api.md §6)."""

import json

import pytest

from campaigns.api_access import (
    MOST_RATE,
    add_api_key,
    change_api_addresses,
    parse_api_addresses,
    set_api_rate,
)
from campaigns.people.users import SERVICE_EMAIL, SERVICE_USER_ID, User, ensure_user
from config.environment import Environment
from config.identifiers import new_identifier
from database.connections import Connection, Pool
from tests.api.batches.bodies import GOOD, HEADERS, form
from tests.api.client import APIClient
from tests.api.served import ServedAPI
from tests.conftest import ADMIN

SINGLE = {"recipient": "6591234567", "language": "english", "values": {"name": "Tan"}}


@pytest.fixture
async def maker(connection: Connection) -> User:
    """Who has made a key."""
    async with connection.transaction():
        return await ensure_user(connection, "amy@clinic.gov.sg")


async def key_of(connection: Connection, campaign_id: str, user: User | None) -> str:
    """A key that this user made, or the command line."""
    async with connection.transaction():
        addresses = parse_api_addresses(["127.0.0.1"])
        await change_api_addresses(connection, campaign_id, added=addresses, removed=(), actor=ADMIN)
        await set_api_rate(connection, campaign_id, MOST_RATE, actor=ADMIN)
        key = await add_api_key(
            connection,
            campaign_id,
            environment=Environment.TEST,
            name="",
            actor=ADMIN,
            creator_id=None if user is None else user.id,
        )
    return key.text


def creators(document: dict[str, object]) -> set[object]:
    """All that a document says of who made the message."""
    said = {document["creatorId"], document["creatorEmail"]}
    attempts = document.get("messageAttempts", [])
    assert isinstance(attempts, list)
    for attempt in attempts:
        said |= {attempt["creatorId"], attempt["creator"]["email"]}
    batches = document.get("batches", [])
    assert isinstance(batches, list)
    return said | {batch["creatorId"] for batch in batches}


@pytest.mark.usefixtures("worker")
async def test_a_message_is_from_whoever_made_its_key(
    connection: Connection, pool: Pool, api: ServedAPI, campaign_id: str, maker: User
) -> None:
    # One key of the command line, and one of the console's user: a process knows both at once.
    old = APIClient(api.port, campaign_id, await key_of(connection, campaign_id, None))
    new = APIClient(api.port, campaign_id, await key_of(connection, campaign_id, maker))
    replayed = {"Idempotency-Key": new_identifier("k")}
    for client, creator_id in ((new, maker.id), (old, SERVICE_USER_ID), (new, maker.id)):
        answer = await client.post("/messages", json=SINGLE, headers=replayed if client is new else None)
        assert (answer.status, answer.json["creatorId"]) == (201, creator_id)
    batch_ids = []
    for client in (old, new):
        batch = await client.post("/batch/messages", content=form(GOOD), headers=HEADERS)
        assert batch.status == 201, batch.body
        batch_ids.append(json.loads(batch.body)["batchId"])
    stored = await pool.fetch("select kind, creator_id from batches order by batch_no")
    assert [tuple(row) for row in stored] == [
        ("single", maker.id), ("single", None), ("batch", None), ("batch", maker.id)
    ]  # fmt: skip

    # Whoever reads it by whichever key is told the same, in each of the documents.
    page = (await old.get("/messages?limit=10")).json["data"]
    theirs, service = {maker.id, maker.email}, {SERVICE_USER_ID, SERVICE_EMAIL}
    assert [creators(item) for item in page] == [theirs, theirs, service, service, service, theirs]
    assert {item["templateBody"]["creatorId"] for item in page} == {SERVICE_USER_ID}
    for item, said in zip(page, [theirs, theirs, service, service, service, theirs], strict=True):
        assert creators((await new.get(f"/messages/{item['id']}")).json) == said
    in_batch = (await old.get(f"/batch/{batch_ids[1]}/messages?limit=10")).json["data"]
    assert [creators(item) for item in in_batch] == [theirs, theirs]
