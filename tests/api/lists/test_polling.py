"""Whoever polls a message while it goes out sees its statuses in their order (8-api.md §9)."""

import asyncio
from datetime import UTC, datetime

from config.settings import Settings
from database.connections import Connection, Pool
from messages.attempts import record_receipts
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import HandOver, Outgoing
from tests.api.client import APIClient
from tests.sending.sending_node import NotingProvider, sending_node, take_all, until

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus


class Poller:
    """Asks for a message again and again, and takes note of each change."""

    def __init__(self, client: APIClient, identifier: str) -> None:
        self._client = client
        self._path = f"/messages/{identifier}"
        self.seen: list[tuple[int, MessageStatus]] = []
        """How many attempts it had, and the status, without repeats."""

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            document = (await self._client.get(self._path)).json
            assert document["attempts"][0]["status"] == document["latestStatus"]
            state = len(document["attempts"]), MessageStatus[document["latestStatus"].upper()]
            if self.seen[-1:] != [state]:
                self.seen.append(state)

    async def until(self, attempts: int, status: MessageStatus) -> None:
        await until(lambda: (attempts, status) in self.seen, f"{status.word} of attempt {attempts}")


async def test_statuses_are_seen_in_their_order(
    client: APIClient, settings: Settings, pool: Pool, connection: Connection
) -> None:
    sent = await client.post(
        "/messages", json={"recipient": "6591234567", "language": "english", "values": {"name": "Aisha"}}
    )
    identifier = sent.json["id"]
    poller = Poller(client, identifier)

    async def take(message: Outgoing) -> HandOver:
        await poller.until(message.key.attempt, SENDING)
        return await take_all(message)

    async def hear(attempt: int, status: MessageStatus, error: ErrorCode | None = None) -> None:
        receipt = Receipt(AttemptKey(batch_no, 1, attempt), status, error)
        await record_receipts(connection, [receipt], now=datetime.now(UTC))
        await poller.until(attempt, status)

    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(poller.run(over))
        await poller.until(1, CREATED)
        batch_no = await connection.fetchval("select batch_no from batches")
        async with sending_node(settings, pool, NotingProvider(take)):
            await poller.until(1, SENT)
            await hear(1, SENT_TO_TELCO)
            await hear(1, FAILURE, ErrorCode.ROUTING_ERROR)
            assert (await client.post(f"/messages/{identifier}/retry")).status == 201
            await poller.until(2, SENT)
            await hear(2, SUCCESS)
            # Late, and told no more.
            await record_receipts(
                connection, [Receipt(AttemptKey(batch_no, 1, 2), SENT_TO_TELCO)], now=datetime.now(UTC)
            )
        over.set()
    # Each attempt's statuses only move up, and the first attempt's come before the second's.
    assert poller.seen == sorted(poller.seen)
    assert poller.seen[0] == (1, CREATED)
    assert poller.seen[-1] == (2, SUCCESS)
