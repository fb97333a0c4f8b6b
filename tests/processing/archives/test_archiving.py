"""A range of messages leaves for the bucket and comes back as it was; what is under way, or changes, stays."""

import asyncio
import io
from datetime import timedelta

import asyncpg
import polars as pl
import pytest

from billing.recount import recount_campaign
from database.connections import Connection, Pool
from messages.archived.ranges import fetch_archived, find_archive, find_archive_of_message
from messages.attempts import record_receipts
from messages.identifiers import message_id
from messages.news import Receipt
from messages.retrieval import fetch_batch, fetch_message
from processing.archives import archives
from processing.archives.archives import State, fetch_archive, list_files, work_alone
from processing.archives.files import ATTEMPTS, AUDIT_EVENTS, MESSAGES, RowForm
from processing.archives.kinds import Kind
from processing.archives.ranges import Terms, list_ranges
from processing.archives.reading import fetch_archived_message
from processing.archives.restoring import restore
from processing.errors import (
    ArchiveDamaged,
    ArchiveUnknown,
    ArchivingBusy,
    ObjectMissing,
    RangeInUse,
    RangeStays,
)
from processing.object_store import S3ObjectStore
from rules.billing.periods import Month
from tests.conftest import ADMIN
from tests.processing.archives.conftest import (
    FAILURE,
    NAME,
    NOW,
    SUCCESS,
    TERMS,
    MakeArchiver,
    Old,
    first_range,
    rows_of,
    tables,
)  # fmt: skip
from tests.processing.conftest import read_object


async def test_a_range_leaves_and_comes_back_to_the_last_bit(
    connection: Connection,
    pool: Pool,
    store: S3ObjectStore,
    old: Old,
    make_archiver: MakeArchiver,
    campaign_id: str,
) -> None:
    before, usage = (
        await rows_of(connection),
        await connection.fetch("select * from usage_days order by 1, 2, 3, 4"),
    )
    identifier = message_id(old.second.id, 3)
    message = await fetch_message(connection, identifier)
    done = await make_archiver(actor=ADMIN).archive(await first_range(connection), now=NOW)
    # Two messages a file; beside each, one of their attempts.
    assert (done.name, done.rows, done.files) == (NAME, {"messages": 7, "attempts": 8}, 8)
    assert await rows_of(connection) == {"messages": [], "attempts": []}
    assert not await tables(connection) & {NAME, "attempts_to_4000000"}
    assert [part.name for part in (await fetch_archived(connection)).ranges] == [NAME]
    assert await find_archive(connection, old.first.batch_no) == NAME
    assert await find_archive_of_message(connection, identifier, "another") is None
    batch = await fetch_batch(connection, old.second.id)
    assert batch is not None
    assert batch.counts[FAILURE] == 3

    assert await fetch_message(connection, identifier) is None
    assert await fetch_archived_message(connection, store, identifier) == message
    assert await fetch_archived_message(connection, store, message_id(old.second.id, 9)) is None
    assert await fetch_archived_message(connection, store, "message_1") is None

    async with work_alone(pool):
        back = await restore(pool, store, NAME, actor=ADMIN)
    assert back.rows == done.rows
    assert await rows_of(connection) == before
    assert await fetch_message(connection, identifier) == message
    assert await connection.fetch("select * from usage_days order by 1, 2, 3, 4") == usage
    assert (await fetch_archived(connection)).ranges == ()
    events = await connection.fetch(
        "select event, actor, details from audit_events where event like 'range%' order by id"
    )
    assert [(row["event"], row["actor"]) for row in events] == [
        ("range_archived", "admin"),
        ("range_restored", "admin"),
    ]
    # It is a range like any other.
    await connection.execute("update attempts set expired = true where batch_no = $1", old.first.batch_no)
    indexes = "select count(*) from pg_indexes where tablename = $1"
    for table in ("messages", "attempts"):
        assert await connection.fetchval(indexes, f"{table}_to_4000000") == await connection.fetchval(
            indexes, f"{table}_to_8000000"
        )


async def test_anything_reads_the_files(
    connection: Connection, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    await make_archiver(rows_at_once=100).archive(await first_range(connection), now=NOW)
    archive = await fetch_archive(connection, NAME)
    assert archive is not None
    files = await list_files(connection, archive)
    assert [file.object_key for file in files] == [
        f"archives/{NAME}/1/messages-00001.parquet",
        f"archives/{NAME}/1/attempts-00001.parquet",
    ]
    messages, attempts = [pl.read_parquet(await read_object(store, file.object_key)) for file in files]
    assert messages["values"][0] == '{"name": "Tan 1"}'
    assert messages.equals(messages.sort("batch_no", "row_number"))
    assert attempts.filter(pl.col("raw_code") == 'a "b",\r\n\\N\té')["provider_id"].to_list() == [""]
    assert attempts["claimed_at"].null_count() == 8


@pytest.mark.parametrize("form", [MESSAGES, ATTEMPTS, AUDIT_EVENTS], ids=lambda form: form.table)
async def test_files_have_all_columns_of_the_table(connection: Connection, form: RowForm) -> None:
    rows = await connection.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped",
        form.table,
    )
    assert {row["attname"] for row in rows} == set(form.schema)


@pytest.mark.parametrize(
    ("change", "terms", "reason"),
    [
        ("update batches set sent = 1 where batch_no = 2", TERMS, "has messages without an end"),
        ("update batches set finished_at = '2026-10-01' where batch_no = 2", TERMS, "had its end less than 90 days ago"),
        (
            ("insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)"
            " values (now(), 1, 3, 'c', 2, 2, 1)"),
            TERMS,
            "has messages that are to go again",
        ),
        ("update batches set usage_counted = false where batch_no = 2", TERMS, "isn't counted for billing yet"),
        ("select 1", Terms(Month(2026, 3), None), "its newest batch is of 2026-03"),
        ("select 1", Terms(Month(2026, 8), TERMS.before.first - timedelta(days=400)), "the month 2026-03 isn't posted"),
    ],
)  # fmt: skip
async def test_what_is_under_way_stays_and_the_reason_is_told(
    connection: Connection, old: Old, make_archiver: MakeArchiver, change: str, terms: Terms, reason: str
) -> None:
    await connection.execute(change)
    archiver = make_archiver(terms=terms)
    with pytest.raises(RangeStays, match=reason):
        await archiver.check(await first_range(connection), now=NOW)
    with pytest.raises(RangeStays, match=reason) as stays:
        await archiver.archive(await first_range(connection), now=NOW)
    assert (old.second.id in str(stays.value)) == ("month" not in reason and "newest" not in reason)
    assert await connection.fetchval("select count(*) from archives") == 0
    assert len((await rows_of(connection))["messages"]) == 7


async def test_the_range_in_use_and_those_ahead_stay(
    connection: Connection, old: Old, make_archiver: MakeArchiver
) -> None:
    ranges = await list_ranges(connection)
    assert len(ranges) > 2
    for range_ in ranges[1:]:
        with pytest.raises(RangeStays, match="its numbers are still given out, or not yet"):
            await make_archiver(terms=Terms(Month(2030, 1), None)).archive(range_, now=NOW)


async def test_once_its_months_are_posted_it_may_leave(
    connection: Connection, old: Old, make_archiver: MakeArchiver
) -> None:
    await connection.execute("insert into billing_months (month, posted_at) values ('2026-03-01', now())")
    charged = Terms(Month(2026, 8), TERMS.before.first - timedelta(days=400))
    assert (await make_archiver(terms=charged).archive(await first_range(connection), now=NOW)).files == 8


async def test_a_change_meanwhile_is_noticed_and_in_the_files_of_the_next_call(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    range_ = await first_range(connection)
    async with pool.acquire() as other:
        told: list[str] = []

        def change(line: str) -> None:
            told.append(line)

        archiver = make_archiver(tell=change)
        archive = await archiver._seal(range_, NOW)
        await archiver._write_files(archive)
        assert len(told) == 4
        await record_receipts(other, [Receipt(old.abroad.key(), SUCCESS, at=NOW)], now=NOW)
    with pytest.raises(RangeInUse, match="something of it has changed meanwhile"):
        await archiver._let_go(archive, None)  # type: ignore[arg-type]
    assert len((await rows_of(connection))["messages"]) == 7
    await connection.execute("update batches set finished_at = created_at + interval '2 days'")
    await archiver.archive(range_, now=NOW)
    message = await fetch_archived_message(connection, store, message_id(old.abroad.id, 2))
    assert message is not None
    assert message.status is SUCCESS
    # The files of before are gone.
    with pytest.raises(ObjectMissing):
        await read_object(store, f"archives/{NAME}/1/messages-00001.parquet")


async def test_it_waits_for_whoever_uses_the_tables_and_keeps_nobody_waiting(
    connection: Connection, pool: Pool, old: Old, make_archiver: MakeArchiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processing.archives.archiving._FIRST_PAUSE", 0.01)
    monkeypatch.setattr("processing.archives.archiving._LONGEST_PAUSE", 0.01)
    range_ = await first_range(connection)
    async with pool.acquire() as reader, reader.transaction():
        await reader.fetch("select count(*) from messages where batch_no >= 4000000")
        with pytest.raises(RangeInUse, match="others use its tables"):
            await make_archiver().archive(range_, now=NOW)
        assert await connection.fetchval("select state from archives") == State.SEALED
    await make_archiver().archive(range_, now=NOW)
    assert await connection.fetchval("select state from archives") == State.ARCHIVED


async def test_news_of_an_archived_attempt_is_news_of_an_unknown_one(
    connection: Connection, old: Old, make_archiver: MakeArchiver
) -> None:
    await make_archiver().archive(await first_range(connection), now=NOW)
    recorded = await record_receipts(connection, [Receipt(old.abroad.key(), SUCCESS, at=NOW)], now=NOW)
    assert (recorded.moves, recorded.unmatched) == ({}, (old.abroad.key(),))


async def test_a_recount_counts_what_is_archived(
    connection: Connection,
    pool: Pool,
    store: S3ObjectStore,
    old: Old,
    make_archiver: MakeArchiver,
    campaign_id: str,
) -> None:
    await connection.execute("delete from usage_days")
    found = {
        (item.day, item.destination, item.outcome, item.found_attempts)
        for item in await recount_campaign(connection, campaign_id, now=NOW)
    }
    assert len(found) > 2
    await make_archiver().archive(await first_range(connection), now=NOW)
    assert found == {
        (item.day, item.destination, item.outcome, item.found_attempts)
        for item in await recount_campaign(connection, campaign_id, now=NOW)
    }
    async with work_alone(pool):
        await restore(pool, store, NAME, actor=ADMIN)
    assert await connection.fetchval("select count(*) from archived_usage") == 0
    assert len(await recount_campaign(connection, campaign_id, now=NOW)) == len(found)


async def test_what_is_archived_once_more_has_files_of_its_own(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    before = await rows_of(connection)
    await make_archiver().archive(await first_range(connection), now=NOW)
    await restore(pool, store, NAME, actor=ADMIN)
    with pytest.raises(ArchiveUnknown, match="is in the database"):
        await restore(pool, store, NAME, actor=ADMIN)
    await make_archiver().archive(await first_range(connection), now=NOW)
    archive = await fetch_archive(connection, NAME)
    assert archive is not None
    assert (archive.generation, archive.restored_at) == (2, None)
    await restore(pool, store, NAME, actor=ADMIN)
    assert await rows_of(connection) == before


async def test_a_file_that_is_gone_or_another_is_named_and_nothing_is_changed(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old, make_archiver: MakeArchiver
) -> None:
    await make_archiver().archive(await first_range(connection), now=NOW)
    key = f"archives/{NAME}/1/messages-00002.parquet"
    kept = await read_object(store, key)
    await store.put(key, io.BytesIO(kept + b"x"), download_name="x")
    with pytest.raises(ArchiveDamaged, match=key):
        await restore(pool, store, NAME, actor=ADMIN)
    await store.delete(key)
    with pytest.raises(ArchiveDamaged, match=key):
        await fetch_archived_message(connection, store, message_id(old.first.id, 4))
    assert await rows_of(connection) == {"messages": [], "attempts": []}
    await store.put(key, io.BytesIO(kept), download_name="x")
    assert (await restore(pool, store, NAME, actor=ADMIN)).rows["messages"] == 7
    with pytest.raises(ArchiveUnknown, match="archive list"):
        await restore(pool, store, "messages_to_9", actor=ADMIN)


async def test_one_at_a_time_archives(pool: Pool) -> None:
    async with work_alone(pool):
        with pytest.raises(ArchivingBusy):
            async with work_alone(pool):
                raise AssertionError
    async with asyncio.timeout(10), work_alone(pool):
        pass


async def test_an_archive_of_another_name_is_refused(connection: Connection) -> None:
    with pytest.raises(asyncpg.RaiseError):
        await archives.seal(connection, Kind.MESSAGES, 0, 5, NOW, NOW)
