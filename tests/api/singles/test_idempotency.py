"""`Idempotency-Key`: the same call again is the first answer again and no second message, whoever asks, however often at once."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

from config.settings import Settings
from database.connections import Connection, Pool
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import Answer, ServedAPI, serving, until_awaited

BODY = {"recipient": "6591234567", "language": "english", "values": {"name": "Aisha"}}
UNFIT = {"recipient": "91234567", "language": "english", "values": {"name": "Aisha"}}
KEY = {"Idempotency-Key": "order 4711"}


async def send(client: APIClient, body: object = BODY, **headers: str) -> Answer:
    return await client.post("/messages", json=body, headers={**KEY, **headers})


async def count(connection: Connection) -> int:
    """How many messages there are; each has its batch."""
    messages: int = await connection.fetchval("select count(*) from messages join batches using (batch_no)")
    assert messages == await connection.fetchval("select count(*) from batches")
    return messages


async def test_the_same_call_again_has_the_same_answer_byte_for_byte(
    client: APIClient, connection: Connection
) -> None:
    first = await send(client)
    assert (first.status, "idempotency-replayed" in first.headers) == (201, False)
    again = await send(client)
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert await count(connection) == 1
    # Without a key, and under another one, it is another message.
    assert (await client.post("/messages", json=BODY)).status == 201
    assert (await send(client, **{"Idempotency-Key": "order 4712"})).body != first.body
    assert await count(connection) == 3


async def test_a_refusal_is_the_answer_too(client: APIClient, connection: Connection) -> None:
    first = await send(client, UNFIT)
    assert (first.status, first.json["error"]["code"]) == (400, "recipient_invalid")
    again = await send(client, UNFIT)
    assert (again.status, again.body, again.headers["idempotency-replayed"]) == (400, first.body, "true")
    other = await send(client)
    assert (other.status, other.json["error"]["code"]) == (422, "idempotency_key_reused")
    assert await count(connection) == 0


async def test_another_body_under_the_key_is_told(client: APIClient, connection: Connection) -> None:
    first = await send(client)
    others = [
        {**BODY, "language": "chinese"},
        # One that would be refused anyway, and the same in other bytes.
        {**BODY, "values": {"name": " Aisha"}},
        {**BODY, "recipient": 6591234567},
    ]
    for other in others:
        refused = await send(client, other)
        assert refused.status == 422
        assert list(refused.json["error"]) == ["code", "message", "type", "id"]
        assert refused.json["error"]["code"] == "idempotency_key_reused"
        assert refused.json["error"]["type"] == "domain_error"
    # Nor does that change what the key stands for.
    assert (await send(client)).body == first.body
    assert await count(connection) == 1


async def test_what_is_wrong_about_the_request_is_not_kept(client: APIClient, connection: Connection) -> None:
    assert (await send(client, {**BODY, "values": []})).status == 400
    assert await connection.fetchval("select count(*) from idempotency_keys") == 0
    assert (await send(client)).status == 201


async def test_a_key_is_one_header_of_up_to_255_printable_ascii_characters(
    client: APIClient, connection: Connection
) -> None:
    await connection.execute("update campaigns set api_rate = 1000")
    body = json.dumps(BODY)
    path = f"/api/v2/campaigns/{client.campaign_id}/messages"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    )
    for keys in (["a"], ["a" * 255], ['"quoted"'], ["~ !"]):
        assert (await send(client, **{"Idempotency-Key": keys[0]})).status == 201
    for keys in ([""], ["a" * 256], ["a\tb"], ["caf\u00e9"], ["a", "a"]):
        lines = "".join(f"Idempotency-Key: {key}\r\n" for key in keys)
        answer = await ServedAPI(client.port).say(f"{head}{lines}\r\n{body}".encode("latin-1"))
        assert (answer.status, answer.shape_a) == (400, True), keys
        assert "Idempotency-Key" in answer.json["message"]


async def test_each_campaign_has_keys_of_its_own_and_each_path(
    client: APIClient, connection: Connection, other_campaign_id: str
) -> None:
    key = await make_api_key(connection, other_campaign_id)
    other = replace(client, campaign_id=other_campaign_id, key=key)
    assert (await send(client)).body != (await send(other)).body
    assert await count(connection) == 2


async def test_after_24_hours_a_key_is_free_again(client: APIClient, connection: Connection) -> None:
    first = await send(client)
    await connection.execute("update idempotency_keys set made_at = now() - interval '23 hours 59 minutes'")
    assert (await send(client)).body == first.body
    await connection.execute("update idempotency_keys set made_at = now() - interval '24 hours'")
    second = await send(client)
    assert (second.status, "idempotency-replayed" in second.headers) == (201, False)
    assert second.body != first.body
    assert (await send(client)).body == second.body
    assert await count(connection) == 2


async def test_the_first_still_under_way_is_told_and_another_body_too(
    client: APIClient, pool: Pool, connection: Connection
) -> None:
    async with connection.transaction():
        await connection.execute(
            "insert into idempotency_keys (campaign_id, key, fingerprint) values ($1, $2, '')",
            client.campaign_id,
            KEY["Idempotency-Key"],
        )
        first = asyncio.create_task(send(client))
        # Asked outside of this transaction, within which newer connections are not seen.
        locked = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        await until_awaited(lambda: pool.fetchval(locked), 1)
        second, other = await send(client), await send(client, UNFIT)
        assert (second.status, second.json["error"]["code"]) == (409, "idempotency_key_in_use")
        assert (other.status, other.json["error"]["code"]) == (422, "idempotency_key_reused")
        await connection.execute("delete from idempotency_keys")
    answer = await first
    assert answer.status == 201
    assert (await send(client)).body == answer.body


async def test_a_batch_send_that_is_under_way_has_its_key(client: APIClient, connection: Connection) -> None:
    await connection.execute(
        "insert into idempotency_keys (campaign_id, key, fingerprint, upload_id) values ($1, $2, '', 'upload_1')",
        client.campaign_id,
        KEY["Idempotency-Key"],
    )
    assert (await send(client)).status == 422
    assert await count(connection) == 0


async def test_a_thousand_equal_calls_at_once_on_two_nodes_make_one_message(
    api_settings: Settings, client: APIClient, connection: Connection
) -> None:
    await connection.execute("update campaigns set api_rate = 100000")
    async with serving(api_settings) as port:
        nodes = [client, replace(client, port=port)]

        async def ten(place: int) -> list[Answer]:
            return [await send(nodes[(place + number) % 2]) for number in range(10)]

        answers = [
            answer for ten_of_them in await asyncio.gather(*map(ten, range(100))) for answer in ten_of_them
        ]
    assert len(answers) == 1000
    assert await count(connection) == 1
    created = [answer for answer in answers if answer.status == 201]
    assert len({answer.body for answer in created}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in created) == 1
    refused = Counter(answer.json["error"]["code"] for answer in answers if answer.status != 201)
    assert set(refused) <= {"idempotency_key_in_use"}
