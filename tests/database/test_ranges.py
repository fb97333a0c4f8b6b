"""Ranges of messages, attempts and audit events: begun with each month, attached ahead of time, and never missing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from database.connections import Connection, Pool
from database.ranges import add_ranges
from tests.messages.builders import NOW, make_batch

WIDTH, AUDIT_WIDTH = 4_000_000, 1_000_000_000_000
NUMBERS = "pg_get_serial_sequence('batches', 'batch_no')"


def month_later(months: int = 1) -> datetime:
    """The first moment in Singapore of a month after the one that batches are made in here."""
    month = NOW.month - 1 + months
    return datetime(NOW.year + month // 12, month % 12 + 1, 1, tzinfo=UTC) - timedelta(hours=8)


async def ranges_of(connection: Connection, table: str) -> list[tuple[int, int, str]]:
    rows = await connection.fetch(
        "select from_no, to_no, state from record_ranges where table_name = $1 order by from_no", table
    )
    return [(row["from_no"], row["to_no"], row["state"]) for row in rows]


async def draw_number(connection: Connection, campaign_id: str) -> int:
    """A batch's, which waits for no other transaction."""
    return int(
        await connection.fetchval(
            "insert into batches (id, campaign_id, kind, original_file_name, total_messages)"
            " values (gen_random_uuid(), $1, 'single', '', 1) returning batch_no",
            campaign_id,
        )
    )


async def add_event(connection: Connection) -> int:
    return int(
        await connection.fetchval(
            "insert into audit_events (at, event) values ($1, 'login_accepted') returning id", NOW
        )
    )


async def test_numbers_jump_to_the_next_range_once_at_the_months_end(
    connection: Connection, campaign_id: str
) -> None:
    extend = "select extend_message_ranges($1)"
    # An empty range is begun by whatever month comes.
    assert await connection.fetchval(extend, month_later(5)) == 0
    first = await make_batch(connection, campaign_id)
    await connection.fetchval(extend, month_later() - timedelta(milliseconds=1))
    second = await make_batch(connection, campaign_id)
    assert (first.batch_no, second.batch_no) == (1, 2)
    assert await connection.fetchval(extend, month_later()) == 1
    for table in ("messages", "attempts"):
        assert await ranges_of(connection, table) == [
            (0, WIDTH, "ended"), (WIDTH, 2 * WIDTH, "open"), (2 * WIDTH, 3 * WIDTH, "ahead")
        ]  # fmt: skip
    assert await connection.fetchval(extend, month_later()) == 0
    third = await make_batch(connection, campaign_id)
    assert third.batch_no == WIDTH
    # It was made in the month that has begun.
    await connection.execute("update batches set created_at = $1 where batch_no = $2", month_later(), WIDTH)
    assert await connection.fetchval(extend, month_later(2) - timedelta(milliseconds=1)) == 0
    assert (await make_batch(connection, campaign_id)).batch_no == WIDTH + 1
    assert await connection.fetchval(extend, month_later(2)) == 1
    assert (await make_batch(connection, campaign_id)).batch_no == 2 * WIDTH


async def test_a_range_near_its_end_is_not_left_early(connection: Connection, campaign_id: str) -> None:
    """Others might have drawn numbers of the next range by then, and would get them again."""
    await make_batch(connection, campaign_id)
    await connection.execute(f"select setval({NUMBERS}, {WIDTH - WIDTH // 40})")
    await connection.fetchval("select extend_message_ranges($1)", month_later())
    assert (await make_batch(connection, campaign_id)).batch_no == WIDTH - WIDTH // 40 + 1


async def test_numbers_that_others_have_drawn_and_not_committed_are_never_drawn_again(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await make_batch(connection, campaign_id)
    await connection.fetchval("select extend_message_ranges($1)", month_later())
    async with pool.acquire() as slow, slow.transaction():
        assert await draw_number(slow, campaign_id) == WIDTH
        for number, statement in enumerate(("($1)", "($1, large => 1)"), start=1):
            await connection.fetchval(f"select extend_message_ranges{statement}", month_later())
            async with pool.acquire() as other:
                transaction = other.transaction()
                await transaction.start()
                assert await draw_number(other, campaign_id) == WIDTH + number
                await transaction.rollback()


async def test_audit_events_of_a_new_month_begin_a_range_of_their_own(connection: Connection) -> None:
    extend = "select extend_audit_ranges($1)"
    await connection.execute("delete from audit_events")
    assert await connection.fetchval(extend, month_later(5)) == 0
    first = await add_event(connection)
    assert await connection.fetchval(extend, month_later() - timedelta(milliseconds=1)) == 0
    assert await add_event(connection) == first + 1 < AUDIT_WIDTH
    assert await connection.fetchval(extend, month_later()) == 1
    assert await connection.fetchval(extend, month_later()) == 0
    assert await add_event(connection) == AUDIT_WIDTH
    assert await ranges_of(connection, "audit_events") == [
        (0, AUDIT_WIDTH, "ended"), (AUDIT_WIDTH, 2 * AUDIT_WIDTH, "open"), (2 * AUDIT_WIDTH, 3 * AUDIT_WIDTH, "ahead")
    ]  # fmt: skip


async def test_where_nobody_sweeps_those_who_write_batches_add_ranges(
    connection: Connection, campaign_id: str
) -> None:
    await connection.execute(f"select setval({NUMBERS}, {WIDTH + 9_998})")
    await make_batch(connection, campaign_id)
    assert (await ranges_of(connection, "attempts"))[-1][1] == 2 * WIDTH
    await make_batch(connection, campaign_id)
    assert (await ranges_of(connection, "attempts"))[-1][1] == 3 * WIDTH
    assert await connection.fetchval("select count(*) from batches") == 2


async def test_a_writer_that_can_add_no_range_just_then_writes_all_the_same(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await connection.execute(f"select setval({NUMBERS}, {WIDTH + 9_999})")
    # A statement that writes messages as well may not change what ranges they have.
    await connection.execute(
        "with made as ("
        "  insert into batches (id, campaign_id, kind, original_file_name, total_messages)"
        "  values ('batch_1', $1, 'single', '', 1) returning batch_no"
        ') insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)'
        "  select batch_no, 1, '6591234567', 'english', '{}', 1, 'GSM-7' from made",
        campaign_id,
    )  # fmt: skip
    await connection.execute(f"select setval({NUMBERS}, {WIDTH + 19_999})")
    async with pool.acquire() as other, other.transaction():
        # As somebody who adds ranges, or detaches one, and isn't ready.
        await other.execute("select pg_advisory_xact_lock(7367470005)")
        await make_batch(connection, campaign_id)
    assert (await ranges_of(connection, "attempts"))[-1][1] == 2 * WIDTH
    await connection.execute(f"select setval({NUMBERS}, {WIDTH + 29_999})")
    await make_batch(connection, campaign_id)
    assert (await ranges_of(connection, "attempts"))[-1][1] == 3 * WIDTH
    assert await connection.fetchval("select count(*) from messages where batch_no >= 4000000") > 1


async def test_any_number_of_processes_may_look_after_the_ranges_at_once(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await connection.execute(f"select setval({NUMBERS}, {WIDTH})")
    await make_batch(connection, campaign_id, at=datetime.now(UTC))
    await asyncio.gather(*(add_ranges(pool) for _ in range(4)))
    assert (await ranges_of(connection, "messages"))[-1] == (2 * WIDTH, 3 * WIDTH, "ahead")


async def test_the_view_of_ranges_tells_when_the_first_and_the_last_of_each_were_written(
    connection: Connection, campaign_id: str
) -> None:
    moments = [datetime(2026, 3, day, 5, tzinfo=UTC) for day in (2, 5, 30)]
    for at in moments:
        batch = await make_batch(connection, campaign_id)
        await connection.execute("update batches set created_at = $1 where batch_no = $2", at, batch.batch_no)
        await connection.execute("insert into audit_events (at, event) values ($1, 'login_accepted')", at)
    await connection.execute("delete from audit_events where at > $1", moments[-1])
    await connection.execute("analyze messages, audit_events")
    rows = await connection.fetch("select * from record_ranges where state = 'open' order by table_name")
    assert [(row["table_name"], row["name"], row["first_at"], row["last_at"]) for row in rows] == [
        ("attempts", f"attempts_to_{WIDTH}", moments[0], moments[-1]),
        ("audit_events", f"audit_events_to_{AUDIT_WIDTH}", moments[0], moments[-1]),
        ("messages", f"messages_to_{WIDTH}", moments[0], moments[-1]),
    ]
    for row in rows[1:]:
        assert row["rows"] == await connection.fetchval(f"select count(*) from {row['name']}") > 0
        assert row["bytes"] > 0
    ahead = await connection.fetch("select * from record_ranges where state = 'ahead'")
    assert {(row["table_name"], row["first_at"], row["rows"]) for row in ahead} == {
        (table, None, 0) for table in ("messages", "attempts", "audit_events")
    }


@pytest.mark.parametrize("statement", ["select extend_message_ranges()", "select extend_audit_ranges()"])
async def test_only_the_owner_says_which_month_it_is(connection: Connection, statement: str) -> None:
    allowed = "select has_function_privilege('public', oid, 'execute') from pg_proc where proname = $1"
    name = statement.removeprefix("select ").removesuffix("()")
    assert not await connection.fetchval(allowed, name)
    assert await connection.fetchval(allowed, name.replace("extend", "add"))
