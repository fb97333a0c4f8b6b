"""The second migration: a notification's end is the notification's own, and both releases find it where they look for it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest
from pydantic import SecretStr

from config.sections import DatabaseSettings
from database.connections import Connection
from database.migration_steps import Pace
from database.migrations.files import read_migrations
from database.schema import migrate
from tests.database.first_release import OUT_OF_STEP, UPLOADS

CAUSE = "the mail server refuses the recipient (SMTP 550)"
AT = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
# The statements with which the first release ends a notification, to the letter.
OLD_DONE = "update notifications set done_at = now() where upload_id = $1 and outcome = $2 and done_at is null returning outcome"
OLD_SENT = "update uploads set notified_at = now() where id = $1 and outcome = $2"
OLD_REFUSED = "update uploads set notification_refused_at = now(), notification_error = $3 where id = $1 and outcome = $2"
# ... and a new outcome.
OLD_FAILED = """
update uploads
set status = 'failed', finished_at = now(), outcome = outcome + 1, support_id = $2, notified_at = null,
    notification_refused_at = null, notification_error = null
where id = $1
returning outcome
"""
END = (
    "select sent_at is not null as sent, refused_at is not null as refused, error from notifications "
    "where upload_id = $1 and outcome = $2"
)
SHOWN = (
    "select notified_at is not null as sent, notification_refused_at is not null as refused, notification_error as error "
    "from uploads where id = $1"
)


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[Connection]:
    """A database that the first release has used, migrated in small pieces."""
    database = DatabaseSettings(url=SecretStr(empty_database_url))
    connection = await asyncpg.connect(empty_database_url)
    await migrate(database, migrations=read_migrations()[:1])
    await connection.execute(UPLOADS.format(count=60))
    await migrate(database, pace=Pace(piece_rows=7))
    yield connection
    await connection.close()


async def end(connection: Connection, upload_id: str, outcome: int) -> tuple[bool, bool, str | None]:
    row = await connection.fetchrow(END, upload_id, outcome)
    assert row is not None
    return row["sent"], row["refused"], row["error"]


async def shown(connection: Connection, upload_id: str) -> tuple[bool, bool, str | None]:
    row = await connection.fetchrow(SHOWN, upload_id)
    assert row is not None
    return row["sent"], row["refused"], row["error"]


async def test_the_ends_written_before_are_carried_over_and_no_other_outcome_gets_one(
    connection: Connection,
) -> None:
    assert await connection.fetchval(OUT_OF_STEP) == 0
    count = await connection.fetchrow(
        "select count(*) filter (where sent_at = $1) as sent, count(*) filter (where refused_at = $1 and error = $2) as refused,"
        " count(*) filter (where sent_at is not null or refused_at is not null) as ended from notifications",
        AT, CAUSE,
    )  # fmt: skip
    assert count is not None
    # Of 60 uploads a quarter each were told and refused; a third of all have no outcome's notification.
    assert dict(count) == {"sent": 10, "refused": 10, "ended": 20}


async def test_the_back_fill_reads_no_table_anew_for_each_piece(empty_database_url: str) -> None:
    """PostgreSQL knows nothing of tables that were just filled, and would read all notifications for each piece."""
    database = DatabaseSettings(url=SecretStr(empty_database_url))
    read = "select seq_tup_read from pg_stat_user_tables where relname = 'notifications'"
    connection = await asyncpg.connect(empty_database_url)
    try:
        await migrate(database, migrations=read_migrations()[:1])
        await connection.execute("alter table uploads set (autovacuum_enabled = off)")
        await connection.execute("alter table notifications set (autovacuum_enabled = off)")
        await connection.execute(UPLOADS.format(count=3000))
        before = await connection.fetchval(read)
        await migrate(database, pace=Pace(piece_rows=100))
        assert await connection.fetchval(OUT_OF_STEP) == 0
        assert await connection.fetchval(read) - before <= 2 * 3000
    finally:
        await connection.close()


async def test_what_the_first_release_writes_is_found_with_the_notification(connection: Connection) -> None:
    await connection.execute(OLD_DONE, "upload_4", 1)
    await connection.execute(OLD_SENT, "upload_4", 1)
    await connection.execute(OLD_DONE, "upload_8", 2)
    await connection.execute(OLD_REFUSED, "upload_8", 2, CAUSE)
    assert await end(connection, "upload_4", 1) == (True, False, None)
    assert await end(connection, "upload_8", 2) == (False, True, CAUSE)
    assert await connection.fetchval(OUT_OF_STEP) == 0


async def test_what_this_release_writes_is_shown_with_the_upload(connection: Connection) -> None:
    await connection.execute(
        "update notifications set sent_at = now() where upload_id = 'upload_4' and outcome = 1"
    )
    await connection.execute(
        "update notifications set refused_at = now(), error = $1 where upload_id = 'upload_8' and outcome = 2",
        CAUSE,
    )
    assert await shown(connection, "upload_4") == (True, False, None)
    assert await shown(connection, "upload_8") == (False, True, CAUSE)


async def test_an_earlier_outcome_s_end_is_not_shown_with_the_upload(connection: Connection) -> None:
    await connection.execute(
        "update notifications set sent_at = now() where upload_id = 'upload_8' and outcome = 1"
    )
    assert await shown(connection, "upload_8") == (False, False, None)


async def test_a_new_outcome_is_untold_and_leaves_the_earlier_one_s_end(connection: Connection) -> None:
    insert = "insert into notifications (upload_id, outcome, status, facts) values ($1, $2, 'failed', '{}')"
    for upload_id, statement in (
        ("upload_1", OLD_FAILED),
        # This release leaves the three columns to the database.
        (
            "upload_13",
            "update uploads set outcome = outcome + 1, support_id = $2 where id = $1 returning outcome",
        ),
    ):
        assert await shown(connection, upload_id) == (True, False, None)
        assert await connection.fetchval(statement, upload_id, "S-1") == 2
        await connection.execute(insert, upload_id, 2)
        assert await shown(connection, upload_id) == (False, False, None)
        assert await end(connection, upload_id, 1) == (True, False, None)
        assert await end(connection, upload_id, 2) == (False, False, None)


async def test_an_upload_is_found_by_its_support_id_without_reading_them_all(connection: Connection) -> None:
    await connection.execute("set enable_seqscan = off")
    plan = await connection.fetch("explain select id from uploads where support_id = 'S-1'")
    assert any("uploads_by_support_id" in row[0] for row in plan)
