"""What has been in the database for long leaves by itself, at night; what somebody has brought back stays for a month."""

import asyncio
from datetime import UTC, datetime, timedelta

from database.connections import Connection, Pool
from database.grants import DatabaseRole
from database.ranges import AUDIT_WIDTH
from processing.archives.archives import work_alone
from processing.archives.kinds import Kind
from processing.archives.nightly import archive_old, month_before
from processing.archives.ranges import Terms
from processing.archives.restoring import restore
from processing.metrics import RANGES_NOT_ARCHIVED
from processing.object_store import S3ObjectStore
from rules.billing.periods import Month
from tests.conftest import ADMIN
from tests.processing.archives.conftest import NAME, TERMS, Old, rows_of

# Two in the morning in Singapore, and noon.
NIGHT, NOON = datetime(2026, 11, 27, 18, 0, tzinfo=UTC), datetime(2026, 11, 28, 4, 0, tzinfo=UTC)


async def state(connection: Connection) -> str | None:
    found: str | None = await connection.fetchval("select state from archives")
    return found


async def test_what_is_old_leaves_at_night_and_what_was_brought_back_stays_for_a_month(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old
) -> None:
    async def run(now: datetime, terms: Terms = TERMS) -> str | None:
        await archive_old(pool, store, {Kind.MESSAGES: terms}, now=now, stop=asyncio.Event())
        return await state(connection)

    assert await run(NOON) is None
    assert await run(NIGHT, Terms(Month(2026, 3), None)) is None
    async with work_alone(pool):
        assert await run(NIGHT) is None
    assert await run(NIGHT) == "archived"
    await restore(pool, store, NAME, actor=ADMIN)
    await connection.execute("update archives set restored_at = $1", NIGHT - timedelta(days=29))
    assert await run(NIGHT) == "restored"
    assert await run(NIGHT + timedelta(days=2)) == "archived"


async def test_a_worker_s_role_may_do_it(
    connection: Connection, worker_pool: Pool, store: S3ObjectStore, old: Old
) -> None:
    await connection.execute("update audit_events set at = $1", NIGHT - timedelta(days=300))
    await connection.execute("select setval('audit_events_id_seq', $1, false)", AUDIT_WIDTH)
    await connection.execute("select add_audit_ranges()")
    of_events = f"audit_events_to_{AUDIT_WIDTH}"
    states = "select name, state from archives order by name"
    # Each kind by its own terms.
    await archive_old(worker_pool, store, {Kind.MESSAGES: TERMS}, now=NIGHT, stop=asyncio.Event())
    assert [tuple(row) for row in await connection.fetch(states)] == [(NAME, "archived")]
    await archive_old(worker_pool, store, dict.fromkeys(Kind, TERMS), now=NIGHT, stop=asyncio.Event())
    assert [tuple(row) for row in await connection.fetch(states)] == [
        (of_events, "archived"),
        (NAME, "archived"),
    ]
    await restore(worker_pool, store, NAME, actor=ADMIN)
    await restore(worker_pool, store, of_events, actor=ADMIN)
    assert len((await rows_of(connection))["messages"]) == 7
    # It may read and write no range by itself afterwards.
    for name in (NAME, of_events):
        assert not await connection.fetchval(
            "select has_table_privilege($1, $2, 'select')", DatabaseRole.WORKER, name
        )


async def test_what_must_stay_is_for_another_night(
    connection: Connection, pool: Pool, store: S3ObjectStore, old: Old
) -> None:
    await connection.execute("update batches set finished_at = $1 where batch_no = 2", NIGHT)
    before = RANGES_NOT_ARCHIVED._value.get()
    await archive_old(pool, store, {Kind.MESSAGES: TERMS}, now=NIGHT, stop=asyncio.Event())
    assert await state(connection) is None
    # An alert rings by it.
    assert RANGES_NOT_ARCHIVED._value.get() == before + 1


def test_months_are_counted_back_over_the_year() -> None:
    assert month_before(3, now=datetime(2027, 2, 10, tzinfo=UTC)) == Month(2026, 11)
    # Singapore has March already.
    assert month_before(12, now=datetime(2027, 2, 28, 16, tzinfo=UTC)) == Month(2026, 3)
