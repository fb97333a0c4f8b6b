"""Migration 0011 counts the batches that were there before, while programs old and new go on recording: exact at the end."""

import asyncio
import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.errors import ServiceUnreachable
from database.migration_steps import Pace
from database.migrations.files import Migration, read_migrations
from database.schema import migrate
from messages.attempts import record_receipts
from messages.news import Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.billing.recounting import recounted, usage
from tests.messages.builders import FOREIGN, LOCAL, MadeBatch, later, make_batch

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
LATER = later(seconds=1)
ROOT = Path(__file__).parents[2]
# The last program that knew nothing of usage.
OLD_PROGRAM = "e5d6930"
CAMPAIGN = "campaign_before"
COUNT = "select * from count_usage_of_batches(0, 1000)"
# Receipts of all attempts in any order, by that program's own modules.
OLD_RECORDER = """
import asyncio, random, sys
import asyncpg
from messages.attempts import record_receipts
from messages.news import AttemptKey, Receipt
from messages.statuses import MessageStatus
from datetime import datetime, UTC

async def main(url, begin):
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("select batch_no, row_number, attempt from attempts")
    keys = [AttemptKey(*row) for row in rows]
    random.Random(5).shuffle(keys)
    print("ready", flush=True)
    sys.stdin.readline()
    for status in (MessageStatus.SENT_TO_TELCO, MessageStatus.SUCCESS):
        for place in range(0, len(keys) // 2, 7):
            await record_receipts(connection, [Receipt(key, status) for key in keys[place : place + 7]], now=datetime.now(UTC))

asyncio.run(main(sys.argv[1], None))
"""


def migrations() -> list[Migration]:
    """All up to the one that counts."""
    return [migration for migration in read_migrations() if migration.number <= 11]


def without_counting(*, begun: bool) -> list[Migration]:
    """All before the one that counts; where it has `begun`, its steps before that of counting too."""
    *before, last = migrations()
    counting = next(
        place for place, step in enumerate(last.steps) if step.sql.startswith('select "position"')
    )
    return [*before, dataclasses.replace(last, steps=last.steps[:counting])] if begun else before


async def bring_up(url: str, wanted: list[Migration], pace: Pace | None = None) -> None:
    await migrate(DatabaseSettings(url=SecretStr(url)), migrations=wanted, pace=pace)


@pytest.fixture
async def before(empty_database_url: str) -> AsyncIterator["Connection"]:
    """A database of the release before, which has a campaign."""
    await bring_up(empty_database_url, without_counting(begun=False))
    connection = await asyncpg.connect(empty_database_url)
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email) values ($1, 'Clinic', 'Clinic', 'ops@clinic.example')",
        CAMPAIGN,
    )
    yield connection
    await connection.close()


async def prepared(url: str) -> "Connection":
    """A connection to the database after all steps but those that count: triggers are there, and nothing of before is counted."""
    await bring_up(url, without_counting(begun=True))
    connection = await asyncpg.connect(url)
    await connection.execute("update schema_migrations set finished = false where number = 11")
    return connection


async def until_it_waits(watching: "Connection") -> None:
    """Until somebody waits for a row's lock."""
    waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with asyncio.timeout(60):
        while not await watching.fetchval(waits):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


async def test_what_changes_while_its_batch_is_about_to_be_counted_is_counted_once(
    before: "Connection", empty_database_url: str
) -> None:
    batch = await make_batch(before, CAMPAIGN, [SENT_TO_TELCO, SENT, FAILURE])
    counting = await prepared(empty_database_url)
    recording = before.transaction()
    await recording.start()
    await record_receipts(before, [Receipt(batch.key(row), SUCCESS) for row in (2, 3)], now=LATER)
    watching = await asyncpg.connect(empty_database_url)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(counting.fetch(COUNT))
        await until_it_waits(watching)
        await recording.commit()
    assert await usage(watching) == await recounted(watching)
    assert len(await usage(watching)) == 2
    for connection in (counting, watching):
        await connection.close()


async def test_what_changes_while_its_batch_is_being_counted_moves_on_from_there(
    before: "Connection", empty_database_url: str
) -> None:
    batch = await make_batch(before, CAMPAIGN, [SENT_TO_TELCO, SENT, FAILURE])
    counting = await prepared(empty_database_url)
    transaction = counting.transaction()
    await transaction.start()
    await counting.fetch(COUNT)
    watching = await asyncpg.connect(empty_database_url)
    async with asyncio.TaskGroup() as tasks:
        news = [Receipt(batch.key(row), SUCCESS) for row in (2, 3)]
        tasks.create_task(record_receipts(before, news, now=LATER))
        await until_it_waits(watching)
        await transaction.commit()
    assert await usage(watching) == await recounted(watching)
    assert len(await usage(watching)) == 2
    for connection in (counting, watching):
        await connection.close()


def unpack_old_program(folder: Path) -> Path:
    """Skips the test where this copy of the repository has no history."""
    rooms = ("audit", "campaigns", "config", "database", "keys", "messages", "notifications", "rules")
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", OLD_PROGRAM, *rooms], capture_output=True, check=False, timeout=60
    )
    if archive.returncode:
        pytest.skip(f"commit {OLD_PROGRAM} is not in this copy of the repository: it needs the whole history")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True, timeout=60)
    return folder


async def fill(connection: "Connection") -> list[MadeBatch]:
    choice = random.Random(4)
    return [
        await make_batch(
            connection,
            CAMPAIGN,
            choice.choices((SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE), k=choice.randrange(1, 12)),
            unclaimed=choice.randrange(2),
            recipient=choice.choice((LOCAL, FOREIGN)),
        )
        for _ in range(40)
    ]


async def record_anything(url: str, batches: list[MadeBatch]) -> None:
    """Receipts of this program, of any attempt."""
    choice = random.Random(6)
    connection = await asyncpg.connect(url)
    try:
        for _ in range(60):
            batch = choice.choice(batches)
            news = [
                Receipt(batch.key(choice.randrange(2, 9)), SENT_TO_TELCO),
                Receipt(batch.key(choice.randrange(2, 9)), FAILURE, ErrorCode.DELIVERY_UNKNOWN_ERROR),
            ]
            await record_receipts(connection, news, now=LATER)
    finally:
        await connection.close()


KILL = (
    "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database()"
    " and pid <> pg_backend_pid() and query like '%count_usage_of_batches%' and ($1::text is null or wait_event_type = $1)"
)


async def kill_where_it_waits(connection: "Connection") -> None:
    """End the session that counts once it waits for a batch that is locked."""
    async with asyncio.timeout(60):
        while not await connection.fetchval(KILL, "Lock"):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


async def kill_now_and_then(connection: "Connection", migrating: "asyncio.Task[None]") -> None:
    """End it in the middle of whatever it does, up to four times."""
    killed = 0
    while not migrating.done() and killed < 4:
        killed += await connection.fetchval(KILL, None)
        await asyncio.sleep(0.02)


async def test_killed_and_gone_on_with_beside_programs_old_and_new_it_is_exact(
    before: "Connection", empty_database_url: str, tmp_path: Path
) -> None:
    tree = await asyncio.to_thread(unpack_old_program, tmp_path)
    batches = await fill(before)
    old = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OLD_RECORDER, empty_database_url),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert old.stdin is not None
    assert old.stdout is not None
    assert await old.stdout.readline() == b"ready\n"

    async def bring_up_though_killed() -> None:
        while True:
            try:
                # Small pieces, so that there are many.
                await bring_up(empty_database_url, migrations(), Pace(piece_rows=3))
                return
            except ServiceUnreachable:
                continue

    async with asyncio.TaskGroup() as tasks:
        recording = tasks.create_task(old.communicate(b"go\n"))
        locking = await prepared(empty_database_url)
        tasks.create_task(record_anything(empty_database_url, batches))
        async with locking.transaction():
            await locking.execute("select from batches where batch_no = $1 for update", batches[-3].batch_no)
            migrating = tasks.create_task(bring_up_though_killed())
            await kill_where_it_waits(before)
        tasks.create_task(kill_now_and_then(before, migrating))
    await locking.close()
    assert (recording.done(), old.returncode) == (True, 0)
    assert await before.fetchval("select count(*) from batches where not usage_counted") == 0
    found = await usage(before)
    assert found == await recounted(before)
    assert sum(attempts for attempts, _ in found.values()) > 100
