"""Single sends through a whole node whose API processes are killed at each step: what was answered 201 is there, and sent, once.

What was not answered is there under its idempotency key or not at all, so that its repetition sends it once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from config.settings import Settings
from database.connections import Connection, Pool, connect, open_pool
from tests.api.client import APIClient
from tests.api.conftest import make_api_key
from tests.api.served import Answer, until_awaited
from tests.gateway.nodes import Node

LOCKED = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
)
CALLERS = 8


async def post(client: APIClient, name: str, key: str | None) -> Answer | None:
    """Send one message; None where the connection ended without an answer."""
    body = {"recipient": "6591234567", "language": "english", "values": {"name": name}}
    headers: Mapping[str, str] = {"Idempotency-Key": key} if key else {}
    try:
        return await client.post("/messages", json=body, headers=headers)
    except (OSError, IndexError, ValueError):
        return None


@dataclass
class Sent:
    """What clients know: by name, the id that each message was answered with, and which had no answer."""

    answered: dict[str, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)

    async def send(self, client: APIClient, name: str, *, keyed: bool) -> None:
        answer = await post(client, name, name if keyed else None)
        if answer is None:
            self.unanswered.add(name)
        else:
            assert answer.status == 201, answer.body
            self.answered[name] = answer.json["id"]

    async def repeat(self, client: APIClient, name: str) -> None:
        """Send again what had no answer, under the same key, until it has one."""
        answers: list[Answer] = []

        async def is_answered() -> bool:
            answer = await post(client, name, name)
            # The first may still be under way in the process that died, by what the database knows.
            if answer is not None and answer.status == 201:
                answers.append(answer)
            return bool(answers)

        await until_awaited(is_answered, True)
        self.unanswered.discard(name)
        self.answered[name] = answers[0].json["id"]


async def stored(connection: Connection) -> list[tuple[str, str]]:
    """Name and id of each message."""
    rows = await connection.fetch(
        "select m.values->>'name' as name, message_id(b.id, row_number) as id from messages m join batches b using (batch_no)"
    )
    return sorted((row["name"], row["id"]) for row in rows)


@dataclass(frozen=True)
class Killing:
    """A node one of whose API processes can be made to die at a step."""

    client: APIClient
    connection: Connection
    pool: Pool
    node: Node
    points: Path

    async def at(self, point: str, work: Callable[[], Awaitable[Any]]) -> None:
        """Do `work`, in the middle of which the process dies."""
        trap = self.points / point
        await asyncio.to_thread(trap.touch)
        await work()
        assert not await asyncio.to_thread(trap.exists), f"nobody came to {point}"

    def kill(self) -> None:
        """Kill the API processes now."""
        for process in self.node.children("api"):
            process.kill()


@pytest.fixture
def killing(
    start_node: Callable[..., Node], provisioned: str, settings: Settings, tmp_path: Path
) -> Callable[[], Any]:
    points = tmp_path / "points"
    points.mkdir()
    node = start_node(
        SFTP_GATEWAY_API__PROCESSES="2",
        SFTP_GATEWAY_API__PORT="0",
        SFTP_GATEWAY_SENDING__PROCESSES="1",
        SFTP_GATEWAY_SENDING__SIMULATOR__SECONDS="0.1",
        GATEWAY_FAULT_POINTS=str(points),
    )

    @asynccontextmanager
    async def opened() -> AsyncIterator[Killing]:
        connection = await connect(settings.database)
        try:
            key = await make_api_key(connection, provisioned)
            await connection.execute("update campaigns set api_rate = 1000")
            async with open_pool(settings.database, name="test") as pool:
                client = APIClient(node.ports["api_port"], provisioned, key)
                yield Killing(client, connection, pool, node, points)
        finally:
            await connection.close()

    return opened


@pytest.mark.timeout(300)
async def test_killed_at_each_step_what_was_answered_is_sent_once_and_the_rest_can_be_repeated(
    killing: Callable[[], Any],
) -> None:
    keyed, unkeyed = Sent(), Sent()
    async with killing() as gateway:
        client: APIClient = gateway.client

        async def many(step: str) -> None:
            await asyncio.gather(
                *(keyed.send(client, f"{step} keyed {number}", keyed=True) for number in range(CALLERS)),
                *(unkeyed.send(client, f"{step} {number}", keyed=False) for number in range(CALLERS)),
            )

        await many("undisturbed")
        assert not keyed.unanswered | unkeyed.unanswered
        for point in ("api.grouped", "api.committed"):
            already = len(keyed.unanswered)
            await gateway.at(point, lambda point=point: many(point))
            assert len(keyed.unanswered | unkeyed.unanswered) > already
        await killed_while_the_database_works(gateway, keyed)
        there = await stored(gateway.connection)
        assert len({name for name, _ in there}) == len(there)
        # Whoever had an answer finds exactly that message.
        assert {*keyed.answered.items(), *unkeyed.answered.items()} <= set(there)
        keys = {row["key"] for row in await gateway.connection.fetch("select key from idempotency_keys")}
        assert {name for name, _ in there if "keyed" in name} == keys
        for name in sorted(keyed.unanswered):
            await keyed.repeat(client, name)
        there = await stored(gateway.connection)
        assert {name: id_ for name, id_ in there if "keyed" in name} == keyed.answered
        assert len({name for name, _ in there}) == len(there)
        await all_are_sent_once(gateway, keyed.answered["undisturbed keyed 0"])
        await refusal_is_kept(gateway)


async def killed_while_the_database_works(gateway: Killing, keyed: Sent) -> None:
    """The process dies when its statement is under way in the database, where it may still be committed."""
    names = [f"blocked keyed {number}" for number in range(CALLERS)]
    async with gateway.connection.transaction():
        await gateway.connection.execute(
            "insert into idempotency_keys (campaign_id, key, fingerprint) values ($1, $2, '')",
            gateway.client.campaign_id,
            names[0],
        )
        sending = asyncio.gather(*(keyed.send(gateway.client, name, keyed=True) for name in names))
        await until_awaited(lambda: gateway.pool.fetchval(f"select ({LOCKED}) > 0"), True)
        gateway.kill()
        await sending
        await gateway.connection.execute("delete from idempotency_keys where fingerprint = ''")
    assert names[0] in keyed.unanswered
    await until_awaited(lambda: gateway.pool.fetchval(LOCKED), 0)


async def all_are_sent_once(gateway: Killing, message_id: str) -> None:
    """Each message there is gets its last status, by one attempt; a client that asks sees so."""
    total = await gateway.connection.fetchval("select count(*) from messages")
    await until_awaited(
        lambda: gateway.connection.fetchval("select count(*) from message_status where status = 'success'"),
        total,
    )
    assert await gateway.connection.fetchval("select count(*) from attempts") == total
    document = (await gateway.client.get(f"/messages/{message_id}")).json
    assert (document["latestStatus"], len(document["attempts"])) == ("success", 1)
    assert document["batches"] == []


async def refusal_is_kept(gateway: Killing) -> None:
    """A refusal that its caller never saw is the same one when the call is repeated."""
    await gateway.at("api.refusal_kept", lambda: post(gateway.client, " refused", "refused"))
    kept = await gateway.connection.fetchval("select answer from idempotency_keys where key = 'refused'")
    answers: list[Answer | None] = []

    async def is_answered() -> bool:
        answers.append(await post(gateway.client, " refused", "refused"))
        return answers[-1] is not None

    await until_awaited(is_answered, True)
    answer = answers[-1]
    assert answer is not None
    assert (answer.status, answer.body, answer.headers["idempotency-replayed"]) == (400, kept, "true")
