"""A sender process as a node starts it: what it sends, what a kill leaves behind, and what a stop puts back."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from audit.events import Actor
from config.settings import Settings
from gateway.processes.sender import BucketClaimMark
from processing.object_store import open_store
from sending.pauses import resume_senders
from tests.conftest import run_apart
from tests.gateway.nodes import Node, wait_until
from tests.sending.sending_node import add_batch

SENDING = {"SFTP_GATEWAY_SENDING__SIMULATOR__SECONDS": "0.1"}
Ask = Callable[..., Any]


@pytest.fixture
def ask(database_url: str) -> Ask:
    """Asks the database: the first value of the answer."""

    def value(sql: str, *arguments: object) -> Any:
        async def fetch() -> Any:
            connection = await asyncpg.connect(database_url)
            try:
                return await connection.fetchval(sql, *arguments)
            finally:
                await connection.close()

        return run_apart(fetch())

    return value


@pytest.fixture
def send(database_url: str, provisioned: str) -> Callable[[int], int]:
    """Adds a batch of so many rows to the provisioned campaign; its number."""

    def add(rows: int) -> int:
        async def write() -> int:
            connection = await asyncpg.connect(database_url)
            try:
                return await add_batch(connection, provisioned, rows)
            finally:
                await connection.close()

        writing: Coroutine[Any, Any, int] = write()
        return run_apart(writing)

    return add


def count(ask: Ask, *statuses: str) -> int:
    """How many messages have one of these statuses."""
    found: int = ask("select count(*) from message_status where status = any($1)", list(statuses))
    return found


def test_a_sender_alone_sends_and_is_ready(
    start_node: Callable[..., Node], send: Callable[[int], int], ask: Ask
) -> None:
    send(20)
    node = start_node("sender", **SENDING)
    assert node.events("node_ready")[0]["parts"] == ["sender"]
    wait_until(lambda: count(ask, "success") == 20, "20 messages with their last status")
    wait_until(lambda: node.away() == (200, []), "ready, once each dependency was looked at")


def test_what_a_killed_sender_had_claimed_stays_sending_and_is_not_sent_again(
    start_node: Callable[..., Node], send: Callable[[int], int], ask: Ask, tmp_path: Path
) -> None:
    points = tmp_path / "points"
    points.mkdir()
    (points / "sending.claimed").touch()
    send(40)
    start_node("sender", **SENDING, GATEWAY_FAULT_POINTS=str(points))
    # The supervisor starts a new process, which sends what the first had not claimed: the block is 15 messages.
    wait_until(lambda: count(ask, "success") == 25, "the rest with their last status")
    assert count(ask, "sending") == 15
    assert ask("select count(*) from attempts") == 40
    assert ask("select sending from batches") == 15


def test_a_stop_puts_back_what_has_not_left(
    start_node: Callable[..., Node], send: Callable[[int], int], ask: Ask
) -> None:
    send(3000)
    node = start_node("sender", **SENDING)
    wait_until(lambda: ask("select count(*) from attempts") > 20, "messages on their way")
    node.process.terminate()
    assert node.process.wait(60) == 0
    # The simulator's receipts end with the process; its look-ups tell their fate later. Nothing is left in between.
    assert count(ask, "sending") == 0
    begun = ask("select count(*) from attempts")
    assert ask("select count(*) from attempts where status = 1") == ask("select count(*) from due")
    assert begun < 3000


def test_a_restored_database_sends_nothing_until_all_is_resumed(
    start_node: Callable[..., Node],
    send: Callable[[int], int],
    ask: Ask,
    settings: Settings,
    database_url: str,
) -> None:
    async def claim_elsewhere() -> None:
        """Leave in the bucket what a sender wrote whose claims this database knows nothing of."""
        async with open_store(settings.s3) as store:
            await BucketClaimMark(store).write(datetime.now(UTC) - timedelta(minutes=1))

    async def resume() -> list[str]:
        connection = await asyncpg.connect(database_url)
        try:
            return await resume_senders(connection, None, actor=Actor(name="ops"), everything=True)
        finally:
            await connection.close()

    run_apart(claim_elsewhere())
    send(20)
    node = start_node("sender", **SENDING)
    assert len(node.events("database_restored")) == 1
    wait_until(lambda: count(ask, "enqueued") == 20, "the batch taken up")
    assert ask("select count(*) from senders where paused_because like '%older%'") == 1
    assert ask("select count(*) from attempts") == 0
    assert run_apart(resume()) == ["public"]
    wait_until(lambda: count(ask, "success") == 20, "20 messages with their last status")
