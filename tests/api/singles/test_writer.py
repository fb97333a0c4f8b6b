"""Where it isn't known whether a commit counted, nobody is told anything until it is; what is refused is not there."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from api.admission_groups import CallingCampaign
from api.singles.checks import SingleChecks
from api.singles.forms import SingleForms
from api.singles.request import SingleRequest
from api.singles.writer import SingleSend, SingleWriter
from campaigns.campaigns import Creator
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection, Pool, open_pool
from database.errors import ServiceUnreachable
from gateway.embedded.postgres import PostgreSQLServer
from messages.documents import api_time
from messages.singles import new_single_id
from rules.values import ValueRule
from tests.api.client import APIClient
from tests.api.served import Answer, serving, until, until_awaited
from tests.chaos.testbed.proxy import open_commit_cutter
from tests.conftest import CAMPAIGN_TEMPLATE
from tests.processing.builders import FOOTERS

# Stands in the statement that writes the message, and in no other.
NAME = "Aisha of the lost commit"
BODY = {"recipient": "6591234567", "language": "english", "values": {"name": NAME}}
# Asked outside of a transaction: within one, connections that are newer than its first look are not seen.
LOCKED = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)


async def stored(connection: Connection) -> list[str]:
    """The ids of the messages that there are, each with its batch."""
    rows = await connection.fetch(
        "select message_id(b.id, row_number) as id from messages m join batches b using (batch_no) order by b.created_at"
    )
    assert len(rows) == await connection.fetchval("select count(*) from batches")
    return [row["id"] for row in rows]


@pytest.mark.parametrize(
    "headers", [pytest.param({}, id="without a key"), pytest.param({"Idempotency-Key": "k"}, id="with a key")]
)
async def test_a_message_whose_commit_had_no_answer_is_there_once_and_answered(
    headers: dict[str, str],
    api_settings: Settings,
    postgres: PostgreSQLServer,
    client: APIClient,
    connection: Connection,
) -> None:
    name = await connection.fetchval("select current_database()")
    async with open_commit_cutter(postgres.port, NAME.encode()) as cutter:
        url = postgres.tcp_url(name).replace(f":{postgres.port}/", f":{cutter.port}/")
        database = api_settings.database.model_copy(update={"url": SecretStr(url)})
        async with serving(api_settings.model_copy(update={"database": database})) as port:
            through = replace(client, port=port)
            cutter.armed = True
            sending = asyncio.create_task(through.post("/messages", json=BODY, headers=headers))
            # Committed, and not known to be; then tried again, which isn't known to have found it.
            await until(lambda: cutter.cut >= 2)
            # Nor is it known while the database can't be asked.
            cutter.away = True
            await until(lambda: cutter.turned_away >= 2)
            [there] = await stored(connection)
            assert not sending.done()
            cutter.armed = cutter.away = False
            answer = await sending
            assert (answer.status, answer.json["id"]) == (201, there)
            assert "idempotency-replayed" not in answer.headers
            made_at = await connection.fetchval("select created_at from batches")
            assert answer.json["createdAt"] == api_time(made_at)
            if headers:
                again = await through.post("/messages", json=BODY, headers=headers)
                assert (again.body, again.headers["idempotency-replayed"]) == (answer.body, "true")
    assert await stored(connection) == [there]


async def test_a_statement_that_was_ended_by_the_server_is_run_again(
    client: APIClient, pool: Pool, connection: Connection
) -> None:
    async with connection.transaction():
        # Whoever takes this key waits.
        await connection.execute(
            "insert into idempotency_keys (campaign_id, key, fingerprint) values ($1, 'k', '')",
            client.campaign_id,
        )
        sending = asyncio.create_task(client.post("/messages", json=BODY, headers={"Idempotency-Key": "k"}))
        await until_awaited(lambda: pool.fetchval(LOCKED), 1)
        ended = LOCKED.replace("count(*)", "pg_terminate_backend(pid)")
        assert await pool.fetchval(ended)
        await until_awaited(lambda: pool.fetchval(LOCKED), 1)
        assert not sending.done()
        await connection.execute("delete from idempotency_keys")
    answer = await sending
    assert answer.status == 201
    assert await stored(connection) == [answer.json["id"]]


async def test_one_message_that_cannot_be_written_keeps_no_other_from_it(
    client: APIClient, connection: Connection
) -> None:
    await connection.execute("update campaigns set api_rate = 1000")
    await connection.execute("alter table messages add check (\"values\"->>'name' <> 'A7')")

    async def send(number: int) -> Answer:
        return await client.post("/messages", json={**BODY, "values": {"name": f"A{number}"}})

    answers = await asyncio.gather(*map(send, range(20)))
    assert [answer.status for answer in answers] == [500 if number == 7 else 201 for number in range(20)]
    assert answers[7].shape_a
    assert len(await stored(connection)) == 19


async def test_where_the_database_is_away_nothing_is_accepted(
    own_postgres: PostgreSQLServer, settings: Settings, campaign_id: str
) -> None:
    creator = Creator("user_1", "tan@examples.gov.sg")
    campaign = CallingCampaign(campaign_id, CAMPAIGN_TEMPLATE, False, False, datetime.now(UTC), creator)
    forms = SingleForms(Environment.TEST, FOOTERS).of(campaign)
    checks = SingleChecks(Environment.TEST, ValueRule(), "https://guide.example")
    text = checks.check_text(SingleRequest("6591234567", False, "english", {"name": NAME}), forms)
    send = SingleSend(campaign_id, "6591234567", text, b"", None)
    url = SecretStr(own_postgres.socket_url("postgres"))
    async with open_pool(settings.database.model_copy(update={"url": url}), name="test") as pool:
        own_postgres.stop()
        writer = SingleWriter(pool, lambda: datetime.now(UTC))
        running = asyncio.create_task(writer.run())
        with pytest.raises(ServiceUnreachable):
            await writer.write(send)
        assert not send.is_unclear
        running.cancel()


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    at = datetime(2026, 11, 25, 9, 30, 12, 417_000, UTC)
    first, second = new_single_id(at), new_single_id(at + timedelta(milliseconds=1))
    assert first < second
    assert new_single_id(at) != first
    parsed = uuid.UUID(first.removeprefix("batch_"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_795_599_012_417
