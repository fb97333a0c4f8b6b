"""Recipients by NRIC: only where ops enabled it, by whatever the environment has for a directory, and without a trace."""

import hashlib
import json

import pytest

from api.errors import DomainRefused
from api.singles.nric import EmptyDirectory, NRICRecipients, TestIdentifiers
from config.environment import Environment
from database.connections import Connection, Pool
from tests.api.client import APIClient
from tests.api.served import Answer

REAL = "S0000001I"


async def send(client: APIClient, value: str, **headers: str) -> Answer:
    body = {"recipient": {"value": value, "type": "nric"}, "language": "english", "values": {"name": "Aisha"}}
    return await client.post("/messages", json=body, headers=headers)


def code_of(answer: Answer) -> str:
    assert answer.status == 400
    code: str = answer.json["error"]["code"]
    return code


@pytest.fixture
async def register(connection: Connection, campaign_id: str) -> None:
    await connection.execute("update campaigns set nric = true, api_rate = 1000 where id = $1", campaign_id)
    await connection.execute(
        "insert into nric_test_identifiers (identifier, number)"
        " values ('test-person-1', '6591234567'), ('landline', '6561234567'), ($1, '6591234567')",
        REAL,
    )


@pytest.mark.usefixtures("register")
async def test_the_answer_has_the_number_and_nothing_has_the_identifier(
    client: APIClient, connection: Connection
) -> None:
    answer = await send(client, "test-person-1", **{"Idempotency-Key": "k"})
    assert (answer.status, answer.json["recipient"]) == (201, "6591234567")
    assert list(answer.json) == [
        "createdAt", "updatedAt", "id", "recipient", "values", "creatorId", "fullMessage", "latestStatus", "templateBodyId",
        "campaignId", "language",
    ]  # fmt: skip
    assert await connection.fetchval("select recipient from messages") == "6591234567"
    for table in ("batches", "messages", "idempotency_keys", "uploads", "audit_events"):
        rows = await connection.fetchval(f"select coalesce(json_agg(t), '[]')::text from {table} t")
        assert "test-person-1" not in rows
    assert (await send(client, "test-person-1", **{"Idempotency-Key": "k"})).body == answer.body
    refused = await send(client, "landline", **{"Idempotency-Key": "k"})
    assert (refused.status, refused.json["error"]["code"]) == (422, "idempotency_key_reused")


@pytest.mark.usefixtures("register")
async def test_a_keys_fingerprint_tells_nobody_the_identifier_who_tries_them_all(
    client: APIClient, connection: Connection
) -> None:
    def digest(recipient: object) -> bytes:
        body = json.dumps({"recipient": recipient, "language": "english", "values": {"name": "Aisha"}})
        path = f"/api/v2/campaigns/{client.campaign_id}/messages"
        return hashlib.sha256(f"POST\n{path}\n{body}".encode()).digest()

    plain = {"recipient": "6591234567", "language": "english", "values": {"name": "Aisha"}}
    assert (await client.post("/messages", json=plain, headers={"Idempotency-Key": "plain"})).status == 201
    assert (await send(client, "test-person-1", **{"Idempotency-Key": "nric"})).status == 201
    rows = await connection.fetch("select key, fingerprint from idempotency_keys")
    kept = {row["key"]: row["fingerprint"] for row in rows}
    # So that the second line says something.
    assert kept["plain"] == digest("6591234567")
    assert kept["nric"] != digest({"value": "test-person-1", "type": "nric"})


@pytest.mark.usefixtures("register")
async def test_who_is_not_found_and_what_is_no_identifier_is_told(
    client: APIClient, connection: Connection
) -> None:
    unknown = await send(client, "test-person-2")
    error = unknown.json["error"]
    assert unknown.status == 400
    assert error == {
        "code": "nric_mobile_not_found",
        "message": "Recipient does not have a mobile number mapping",
        "type": "domain_error",
        "id": error["id"],
    }
    assert json.dumps(error["id"]).strip('"').isdigit()
    # Case matters, a number that no message goes to is as good as none, and a real NRIC is not looked for.
    for value in ("Test-Person-1", "landline", REAL, REAL.lower()):
        assert code_of(await send(client, value)) == "nric_mobile_not_found"
    for value in ("", "ab", "x" * 33, "test person 1"):
        refused = await send(client, value)
        assert code_of(refused) == "nric_invalid"
        assert not value or value not in refused.json["error"]["message"]
    assert await connection.fetchval("select count(*) from messages") == 0


async def test_a_campaign_needs_leave_for_it(client: APIClient, connection: Connection) -> None:
    assert code_of(await send(client, "test-person-1")) == "nric_not_enabled"
    await connection.execute("update campaigns set nric = true")
    assert code_of(await send(client, "test-person-1")) == "nric_mobile_not_found"


@pytest.mark.parametrize(
    ("environment", "value", "code"),
    [
        (Environment.PRODUCTION, REAL, None),
        (Environment.PRODUCTION, REAL.lower(), "nric_invalid"),
        (Environment.PRODUCTION, "S0000001J", "nric_invalid"),
        (Environment.PRODUCTION, "test-person-1", "nric_invalid"),
        (Environment.TEST, REAL, "nric_mobile_not_found"),
        (Environment.TEST, "S0000001J", None),
        (Environment.LOADTEST, REAL, "nric_mobile_not_found"),
    ],
)
async def test_each_environment_takes_its_own(environment: Environment, value: str, code: str | None) -> None:
    recipients = NRICRecipients(environment, EmptyDirectory())
    if code is None:
        recipients.check(value, enabled=True)
    else:
        with pytest.raises(DomainRefused) as raised:
            recipients.check(value, enabled=True)
        assert raised.value.code == code
    with pytest.raises(DomainRefused) as raised:
        await recipients.find(value)
    assert raised.value.code == "nric_mobile_not_found"


async def test_a_simulator_number_may_be_registered_but_is_none_in_production(
    pool: Pool, connection: Connection
) -> None:
    await connection.execute(
        "insert into nric_test_identifiers (identifier, number) values ('a-b', '6511111111')"
    )
    directory = TestIdentifiers(pool)
    assert await NRICRecipients(Environment.TEST, directory).find("a-b") == "6511111111"
    with pytest.raises(DomainRefused):
        await NRICRecipients(Environment.PRODUCTION, directory).find("a-b")
