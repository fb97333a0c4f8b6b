"""The fourth migration: messages move into ranges by their batch's number, and programs of before go on writing theirs."""

import io
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.migration_steps import Pace
from database.migrations.files import read_migrations
from database.schema import migrate
from messages.identifiers import message_id, parse_message_id

OLD_COLUMNS = ("batch_id", "row_number", "recipient", "language", "values", "segments", "encoding")
NEW_COLUMNS = OLD_COLUMNS[1:]
Connection = asyncpg.Connection


async def write_batch(connection: "Connection[asyncpg.Record]", number: int, rows: int, *, old: bool) -> str:
    """A batch as a worker writes it, of the release before (`old`) or of this one. Returns its id."""
    batch_id = f"batch_{number:08x}-4b7f-4c58-9a61-7e20c4f1a3b8"
    upload_id = f"upload_{number}"
    await connection.execute(
        "insert into uploads (id, campaign_id, file_name, status, bytes, report_name, received_at, finished_at, batch_id) "
        "values ($1, 'clinic', 'x.csv', 'accepted', 1, 'r', now(), now(), $2)", upload_id, batch_id,
    )  # fmt: skip
    await connection.execute(
        "insert into batches (id, campaign_id, upload_id, original_file_name, total_messages) "
        "values ($1, 'clinic', $2, 'x.csv', $3)",
        batch_id, upload_id, rows,
    )  # fmt: skip
    begin = f"{batch_id}\t" if old else ""
    text = "".join(
        f"{begin}{row}\t65{number:04}{row:04}\tenglish\t{{}}\t1\tGSM-7\n" for row in range(2, rows + 2)
    )
    await connection.copy_to_table(
        "messages",
        source=io.BytesIO(text.encode()),
        columns=OLD_COLUMNS if old else NEW_COLUMNS,
        format="text",
    )
    return batch_id


@pytest.fixture
async def before(empty_database_url: str) -> AsyncIterator["Connection[asyncpg.Record]"]:
    """A database of the release before."""
    connection = await asyncpg.connect(empty_database_url)
    await migrate(DatabaseSettings(url=SecretStr(empty_database_url)), migrations=read_migrations()[:4])
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email) values ('clinic', 'Clinic', 'Clinic', 'ops@clinic.example')"
    )
    yield connection
    await connection.close()


async def bring_up_to_date(database_url: str) -> None:
    await migrate(DatabaseSettings(url=SecretStr(database_url)), pace=Pace(piece_rows=7))


async def test_messages_of_before_keep_their_rows_and_are_held(
    before: "Connection[asyncpg.Record]", empty_database_url: str
) -> None:
    for number, count in ((3, 20), (1, 1), (2, 33)):
        async with before.transaction():
            await write_batch(before, number, count, old=True)
    await bring_up_to_date(empty_database_url)
    rows = await before.fetch(
        "select b.id, b.held_because, b.total_messages, count(*) as rows, min(row_number) as first, max(row_number) as last,"
        " count(distinct recipient) as recipients, bool_and(m.batch_id = b.id) as same"
        " from messages m join batches b using (batch_no) group by b.id order by b.id"
    )
    assert [(row["rows"], row["recipients"], row["first"], row["last"], row["held_because"]) for row in rows] == [
        (1, 1, 2, 2, "upgrade"), (33, 33, 2, 34, "upgrade"), (20, 20, 2, 21, "upgrade")
    ]  # fmt: skip
    assert all(row["same"] for row in rows)
    assert await before.fetchval("select to_regclass('messages_before_sending')") is None


async def test_a_worker_of_before_and_one_of_today_write_into_the_same_table(
    before: "Connection[asyncpg.Record]", empty_database_url: str
) -> None:
    await bring_up_to_date(empty_database_url)
    for number, old in enumerate((True, False, True, False), start=1):
        async with before.transaction():
            await write_batch(before, number, 3, old=old)
    rows = await before.fetch(
        "select b.id, m.row_number, m.recipient, s.message_id, s.status from messages m join batches b using (batch_no)"
        " join message_status s on s.batch_id = b.id and s.row_number = m.row_number order by b.id, m.row_number"
    )
    assert [row["recipient"] for row in rows] == [
        f"65{n:04}{row:04}" for n in range(1, 5) for row in (2, 3, 4)
    ]
    assert [row["message_id"] for row in rows] == [message_id(row["id"], row["row_number"]) for row in rows]
    assert {row["status"] for row in rows} == {"created"}
    assert await before.fetchval("select count(*) from batches where held_since is not null") == 0


async def test_rights_on_the_messages_of_before_go_over(
    before: "Connection[asyncpg.Record]", empty_database_url: str
) -> None:
    await before.execute("create role copyist_of_before; grant insert on messages to copyist_of_before")
    try:
        await bring_up_to_date(empty_database_url)
        assert await before.fetchval("select has_table_privilege('copyist_of_before', 'messages', 'insert')")
        assert not await before.fetchval(
            "select has_table_privilege('copyist_of_before', 'messages', 'select')"
        )
    finally:
        await before.execute("drop owned by copyist_of_before; drop role copyist_of_before")


async def test_a_message_id_finds_its_batch_by_an_index(
    before: "Connection[asyncpg.Record]", empty_database_url: str
) -> None:
    await bring_up_to_date(empty_database_url)
    async with before.transaction():
        batch_id = await write_batch(before, 7, 1, old=False)
    key = parse_message_id(message_id(batch_id, 2))
    assert key is not None
    assert key.row_number == 2
    await before.execute("set enable_seqscan = off")
    query = "select id from batches where message_id_stem(id) = $1 and length(id) = 42"
    assert await before.fetchval(query, key.stem) == batch_id
    plan = "\n".join(row[0] for row in await before.fetch(f"explain {query.replace('$1', repr(key.stem))}"))
    assert "batches_by_message_id" in plan


async def test_ranges_are_added_ahead_and_a_large_one_is_left_early(
    before: "Connection[asyncpg.Record]", empty_database_url: str
) -> None:
    await bring_up_to_date(empty_database_url)
    ranges = "select relname from pg_inherits join pg_class on oid = inhrelid where inhparent = 'messages'::regclass order by 1"
    names = [row["relname"] for row in await before.fetch(ranges)]
    assert await before.fetchval("select add_message_ranges()") == 0
    async with before.transaction():
        await write_batch(before, 1, 1, old=False)
    # Every table is larger than one byte: the next batch begins the next range.
    assert await before.fetchval("select add_message_ranges(large => 1)") == 1
    async with before.transaction():
        batch_id = await write_batch(before, 2, 1, old=False)
    number = await before.fetchval("select batch_no from batches where id = $1", batch_id)
    first_end = min(int(found[1]) for name in names if (found := re.search(r"_(\d+)$", name)))
    assert number == first_end
    assert await before.fetchval("select add_message_ranges()") == 0
    assert await before.fetchval("select count(*) from messages") == 2
