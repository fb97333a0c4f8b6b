"""The triggers that count outcomes: whoever meets there comes through, plans are good for any table, nobody forges totals."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from audit.events import NOBODY
from database.connections import Connection, Pool
from database.grants import DatabaseRole, grant_statements
from messages.attempts import record_answers, record_receipts
from messages.changes import retry_batch, stop_batch
from messages.errors import MessagesError
from messages.news import Answer, Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.billing.recounting import recounted, usage
from tests.messages.builders import FOREIGN, LOCAL, later, make_batch
from tests.sending.claiming import claim

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
LATER = later(seconds=1)


async def test_recordings_claims_retries_and_stops_at_once_leave_exact_totals(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    """All over the same batches of two campaigns, in any order, as nodes, the API's groups and people at the console do."""
    batches = [
        await make_batch(connection, owner, [SENDING] * 10, unclaimed=5, recipient=recipient)
        for owner in (campaign_id, other_campaign_id)
        for recipient in (LOCAL, FOREIGN)
    ]
    unavailable = ErrorCode.RECIPIENT_UNAVAILABLE
    news = [
        receipt
        for batch in batches
        for row in range(2, 17)
        for receipt in (
            Receipt(batch.key(row), SENT_TO_TELCO),
            Receipt(batch.key(row), *((SUCCESS,) if row % 2 else (FAILURE, unavailable))),
        )
    ]
    choice = random.Random(16)

    async def record() -> None:
        shuffled = choice.sample(news, len(news))
        async with pool.acquire() as own:
            for begin in range(0, len(shuffled), 15):
                await record_receipts(own, shuffled[begin : begin + 15], now=LATER)

    async def claim_rows() -> None:
        async with pool.acquire() as own:
            while claimed := await claim(own, batches[0].sender_id, 3):
                failed = [Answer(message.key, FAILURE, ErrorCode.RECIPIENT_INVALID) for message in claimed]
                await record_answers(own, failed, now=LATER)

    async def change(work: Callable[[Connection, str], Awaitable[object]]) -> None:
        async with pool.acquire() as own:
            for batch in choice.sample(batches * 2, len(batches) * 2):
                with contextlib.suppress(MessagesError):
                    await work(own, batch.id)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(record())
        for _ in range(2):
            tasks.create_task(claim_rows())
        tasks.create_task(change(lambda own, batch: retry_batch(own, batch, max_retries=3, actor=NOBODY)))
        tasks.create_task(change(lambda own, batch: stop_batch(own, batch, actor=NOBODY)))
    for owner in (campaign_id, other_campaign_id):
        assert await usage(connection, owner) == await recounted(connection, owner)
    found = await usage(connection)
    # Who stops a batch may find nothing that is left of it.
    assert {outcome for _, _, outcome, _ in found} >= {"success", "recipient_unavailable"}


async def test_messages_that_change_places_in_one_statement_take_their_segments_with_them(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 2)
    await connection.execute(
        "update messages set segments = 2 * row_number - 3 where batch_no = $1", batch.batch_no
    )
    unavailable = ErrorCode.RECIPIENT_UNAVAILABLE
    news = [Receipt(batch.key(2), SUCCESS), Receipt(batch.key(3), FAILURE, unavailable)]
    await record_receipts(connection, news, now=LATER)
    (success, failure) = sorted(await usage(connection), key=lambda key: key[2] != "success")
    assert await usage(connection) == {success: (1, 1), failure: (1, 3)} == await recounted(connection)
    await connection.execute(
        "update attempts set status = 11 - status, error = case when status = 5 then 'recipient_unavailable' end"
    )
    assert await usage(connection) == {success: (1, 3), failure: (1, 1)} == await recounted(connection)


@pytest.mark.parametrize(
    ("status", "error", "outcome", "expired"),
    [
        (SENT_TO_TELCO, None, "sent_to_telco", False),
        (SUCCESS, None, "success", False),
        (FAILURE, "message_expired", "message_expired", True),
        (FAILURE, "message_expired", "message_expired", False),
    ],
)
async def test_an_attempt_that_has_ended_when_it_is_added_counts_as_it_is(
    connection: Connection,
    campaign_id: str,
    status: MessageStatus,
    error: str | None,
    outcome: str,
    expired: bool,
) -> None:
    batch = await make_batch(connection, campaign_id, [], unclaimed=2)
    await connection.execute("update messages set segments = 3")
    await connection.execute(
        "insert into attempts (batch_no, row_number, attempt, status, error, expired)"
        " select $1, n, 1, $2, $3, $4 from generate_series(2, 3) n",
        batch.batch_no,
        status,
        error,
        expired,
    )
    assert await usage(connection) == await recounted(connection)
    assert [(key[2:], counts) for key, counts in (await usage(connection)).items()] == [
        ((outcome, expired), (2, 6))
    ]


async def test_plans_made_for_one_attempt_in_empty_tables_are_good_for_thousands(
    connection: Connection, campaign_id: str
) -> None:
    """A session plans the triggers' statements once. These tables were never analysed, and nothing may be read whole."""
    first = await make_batch(connection, campaign_id)
    for receipt in (SENT_TO_TELCO, SUCCESS):
        await record_receipts(connection, [Receipt(first.key(), receipt)], now=LATER)
    batch = await make_batch(connection, campaign_id, [SENDING] * 1000)
    others = [await make_batch(connection, campaign_id, recipient=FOREIGN) for _ in range(40)]
    reads = (
        "select sum(seq_scan) from pg_stat_xact_user_tables"
        " where relname ~ '^(messages|attempts)_to' or relname in ('batches', 'usage_days', 'billing_months')"
    )
    keys = [batch.key(row) for row in range(2, 1002)] + [other.key() for other in others]
    async with connection.transaction():
        # The counter is of this transaction's own scans.
        before = await connection.fetchval(reads)
        for receipt in (SENT_TO_TELCO, SUCCESS):
            await record_receipts(connection, [Receipt(key, receipt) for key in keys], now=LATER)
        assert await connection.fetchval(reads) == before
    assert await usage(connection) == await recounted(connection)


@pytest.mark.parametrize("function", ["count_changed_attempts", "count_new_attempts"])
async def test_no_statement_of_a_trigger_is_ever_compiled(connection: Connection, function: str) -> None:
    """Before PostgreSQL 18 what `enable_nestloop` forbids costs so much that it was: 300 ms for each outcome recorded (on 15)."""
    assert "jit=off" in await connection.fetchval(
        "select proconfig from pg_proc where proname = $1", function
    )


@pytest.fixture
async def granted(connection: Connection) -> Connection:
    """A migrated database whose roles have their rights."""
    for role in DatabaseRole:
        if not await connection.fetchval("select exists (select from pg_roles where rolname = $1)", role):
            await connection.execute(f"create role {role} login")
    await connection.execute("\n".join(grant_statements()))
    return connection


async def test_each_part_counts_with_its_own_rights_on_other_tables(
    granted: Connection, campaign_id: str
) -> None:
    batch = await make_batch(granted, campaign_id, [SENDING] * 3)
    never_left = await make_batch(granted, campaign_id, [], unclaimed=1)
    await granted.execute(
        "update batches set ended_at = now(), ended_because = 'expired', waiting = false where batch_no = $1",
        never_left.batch_no,
    )
    # The last one's month is posted.
    await granted.execute("insert into billing_months (month, posted_at) values ('2026-10-01', now())")
    await granted.execute(
        "update attempts set updated_at = '2026-10-30Z' where row_number = 4 and batch_no = $1",
        batch.batch_no,
    )
    unavailable = ErrorCode.RECIPIENT_UNAVAILABLE
    steps: list[tuple[DatabaseRole, Callable[[], Awaitable[object]]]] = [
        (
            DatabaseRole.SENDER,
            lambda: record_answers(granted, [Answer(batch.key(2), FAILURE, unavailable)], now=LATER),
        ),
        (DatabaseRole.API, lambda: record_receipts(granted, [Receipt(batch.key(3), SUCCESS)], now=LATER)),
        (
            DatabaseRole.SENDER,
            lambda: record_answers(granted, [Answer(batch.key(4), FAILURE, unavailable)], now=LATER),
        ),
        (DatabaseRole.CONSOLE, lambda: retry_batch(granted, never_left.id, max_retries=3, actor=NOBODY)),
        (DatabaseRole.ADMIN, lambda: stop_batch(granted, never_left.id, actor=NOBODY)),
    ]
    for role, step in steps:
        await granted.execute(f"set role {role}")
        try:
            await step()
        finally:
            await granted.execute("reset role")
    counts = {outcome: attempts for (_, _, outcome, _), (attempts, _) in (await usage(granted)).items()}
    assert counts == {"recipient_unavailable": 1, "success": 1, "server_unknown_error": 1, "stopped": 1}
    assert await granted.fetchval("select count(*) from late_outcomes") == 1


@pytest.mark.parametrize("function", ["set_billing_domain", "count_changed_attempts", "count_new_attempts"])
async def test_no_role_can_make_a_trigger_of_its_own_of_what_runs_with_the_owners_rights(
    granted: Connection, function: str
) -> None:
    """Over a temporary table with made-up rows, it would count what was never sent."""
    await granted.execute(f"set role {DatabaseRole.FRONT}")
    try:
        await granted.execute("create temporary table forged (batch_no integer)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await granted.execute(
                "create trigger forging after insert on forged referencing new table as attempts_after"
                f" for each statement execute function {function}()"
            )
    finally:
        await granted.execute("reset role")
