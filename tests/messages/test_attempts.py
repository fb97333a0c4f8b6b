"""Recording answers and receipts on PostgreSQL: attempts, what is due and the batch's counts move together."""

import asyncio
import random
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from database.connections import Connection, Pool
from messages.attempts import SQL, Move, record_answers, record_news, record_receipts
from messages.news import Answer, AttemptKey, News, Receipt
from messages.statuses import ErrorCode, MessageStatus
from tests.messages.builders import (
    NOW,
    MadeBatch,
    add_attempt,
    counted,
    fetch_attempt,
    fetch_due,
    later,
    make_batch,
    recount,
)

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
LATER = later(seconds=1)


async def test_answers_move_attempts_and_counts_together(connection: Connection, campaign_id: str) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 4, unclaimed=3)
    recorded = await record_answers(
        connection,
        [
            Answer(batch.key(2), SENT, provider_id="SM2", at=NOW),
            Answer(batch.key(3), FAILURE, ErrorCode.RECIPIENT_INVALID, "21211"),
            Answer(batch.key(4), ENQUEUED, raw_code="20429", due_at=later(seconds=5)),
            Answer(batch.key(5), SENDING, raw_code="timeout", due_at=later(seconds=60)),
        ],
        now=LATER,
    )
    assert recorded.moves == {
        Move("simulator", SENT, None): 1,
        Move("simulator", FAILURE, ErrorCode.RECIPIENT_INVALID): 1,
        Move("simulator", ENQUEUED, None): 1,
    }
    assert (
        await counted(connection, batch.batch_no)
        == (
            [0, 1, 1, 1, 0, 0, 1],
            {"recipient_invalid": 1},
        )
        == await recount(connection, batch.batch_no)
    )
    sent = await fetch_attempt(connection, batch.key(2))
    assert (sent["provider_id"], sent["sent_at"], sent["updated_at"]) == ("SM2", NOW, LATER)
    assert (await fetch_attempt(connection, batch.key(3)))["raw_code"] == "21211"
    assert (await fetch_attempt(connection, batch.key(5)))["raw_code"] == "timeout"
    assert await fetch_due(connection, batch) == {
        batch.key(4): (2, later(seconds=5)),
        batch.key(5): (3, later(seconds=60)),
    }


async def test_a_receipt_for_what_was_put_back_keeps_it_from_going_again(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [ENQUEUED])
    await record_receipts(connection, [Receipt(batch.key(), SENT_TO_TELCO)], now=LATER)
    assert (await fetch_attempt(connection, batch.key()))["status"] is SENT_TO_TELCO
    assert await fetch_due(connection, batch) == {}


async def test_a_put_back_takes_the_place_of_a_look_up_and_never_the_other_way_round(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id)
    unknown = Answer(batch.key(), SENDING, due_at=later(seconds=60))
    await record_answers(connection, [unknown], now=LATER)
    await record_answers(connection, [Answer(batch.key(), ENQUEUED, due_at=LATER)], now=LATER)
    assert await fetch_due(connection, batch) == {batch.key(): (2, LATER)}
    await record_answers(connection, [unknown], now=LATER)
    assert await fetch_due(connection, batch) == {batch.key(): (2, LATER)}


async def test_receipts_of_attempts_that_nobody_handed_over_are_told_and_change_nothing(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    await add_attempt(connection, batch, batch.key(2, 2), CREATED)
    strangers = [batch.key(2, 2), batch.key(2, 3), batch.key(99), AttemptKey(2_000_000_000, 2, 1)]
    before = await counted(connection, batch.batch_no)
    recorded = await record_receipts(connection, [Receipt(key, SUCCESS) for key in strangers], now=LATER)
    assert recorded.unmatched == tuple(strangers)
    assert await counted(connection, batch.batch_no) == before


async def test_a_late_receipt_of_an_earlier_attempt_leaves_the_retry_alone(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    await add_attempt(connection, batch, batch.key(2, 2), SENDING)
    await record_receipts(connection, [Receipt(batch.key(), SUCCESS)], now=LATER)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    assert (await fetch_attempt(connection, batch.key()))["status"] is FAILURE


async def test_what_is_put_back_of_a_stopped_batch_has_ended_but_a_retry_asked_for_later_goes_on(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING, FAILURE])
    # One that had expired is no different.
    await connection.execute(
        "update batches set ended_at = $1, stopped_at = $1, ended_because = 'expired'", later(seconds=1)
    )
    await add_attempt(connection, batch, batch.key(3, 2), SENDING, at=later(seconds=2))
    put_backs = [Answer(key, ENQUEUED, due_at=LATER) for key in (batch.key(2), batch.key(3, 2))]
    await record_answers(connection, put_backs, now=later(seconds=3))
    assert (await fetch_attempt(connection, batch.key(2)))["error"] == "stopped"
    assert await fetch_due(connection, batch) == {batch.key(3, 2): (2, LATER)}
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


async def test_a_batch_is_finished_with_its_last_message_and_open_again_with_a_retry(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENT, SENT])
    finished = "select finished_at is not null from batches where batch_no = $1"
    await record_receipts(connection, [Receipt(batch.key(2), SUCCESS)], now=LATER)
    assert not await connection.fetchval(finished, batch.batch_no)
    await record_receipts(connection, [Receipt(batch.key(3), FAILURE)], now=LATER)
    assert await connection.fetchval(finished, batch.batch_no)
    await add_attempt(connection, batch, batch.key(3, 2), CREATED)
    assert not await connection.fetchval(finished, batch.batch_no)


async def test_a_providers_words_are_stored_in_a_form_that_a_column_takes(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id)
    answer = Answer(batch.key(), SENT, provider_id="SM\0\ud800" + "x" * 300)
    await record_answers(connection, [answer], now=LATER)
    assert (await fetch_attempt(connection, batch.key()))["provider_id"] == "SM?" + "x" * 197


def news_of(batch: MadeBatch) -> st.SearchStrategy[list[News]]:
    """Answers and receipts of the batch's five rows, of which some come twice; put-backs once at most."""
    keys = st.integers(2, 6).map(batch.key)
    errors = st.sampled_from([ErrorCode.ROUTING_ERROR, ErrorCode.CONTENT_INVALID])
    upward = st.sampled_from([SENT, SENT_TO_TELCO, SUCCESS])
    repeated = st.one_of(
        st.builds(Answer, keys, st.sampled_from([SENT, SENDING]), due_at=st.just(LATER)),
        st.builds(Answer, keys, st.just(FAILURE), errors),
        st.builds(Receipt, keys, upward),
        st.builds(Receipt, keys, st.just(FAILURE), errors),
    )
    put_backs = st.lists(keys, unique=True, max_size=2).map(
        lambda chosen: [Answer(key, ENQUEUED, due_at=LATER) for key in chosen]
    )
    return st.tuples(st.lists(repeated, max_size=12), put_backs).flatmap(
        lambda parts: st.permutations([*parts[0], *parts[0], *parts[1]])
    )


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_after_any_order_of_news_the_counts_are_those_of_the_attempts(
    data: st.DataObject, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 5, unclaimed=1)
    news = data.draw(news_of(batch))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(news)), max_size=3)))
    for begin, end in zip([0, *cuts], [*cuts, len(news)], strict=True):
        async with connection.transaction():
            await record_news(connection, news[begin:end], now=LATER)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    due = await fetch_due(connection, batch)
    for row_number in range(2, 7):
        key = batch.key(row_number)
        status = (await fetch_attempt(connection, key))["status"]
        # What goes again is due, and nothing else is ever handed over.
        assert (status is ENQUEUED) is (key in due and due[key][0] < 3)


async def test_recordings_that_meet_on_the_same_batches_all_come_through(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    """Eight at once over the same rows in any order, as nodes and the API's groups do."""
    batches = [
        await make_batch(connection, owner, [SENDING] * 20) for owner in (campaign_id, other_campaign_id) * 3
    ]
    news = [
        Receipt(batch.key(row), status)
        for batch in batches
        for row in range(2, 22)
        for status in (SENT, SUCCESS)
    ]
    shuffler = random.Random(1)

    async def record(shuffled: Sequence[Receipt]) -> None:
        async with pool.acquire() as own:
            for begin in range(0, len(shuffled), 30):
                await record_receipts(own, shuffled[begin : begin + 30], now=LATER)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(record(shuffler.sample(news, len(news))))
    for batch in batches:
        assert await counted(connection, batch.batch_no) == ([0, 0, 0, 0, 0, 20, 0], {})


async def test_a_recording_that_a_deadlock_ends_is_made_again(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    """The other transaction takes the locks the wrong way round: the batch first, then the attempt."""
    batch = await make_batch(connection, campaign_id)
    async with pool.acquire() as other, pool.acquire() as watcher:
        async with asyncio.TaskGroup() as tasks:
            transaction = other.transaction()
            await transaction.start()
            await other.execute("set local deadlock_timeout = '10s'")
            await other.execute("select 1 from batches where batch_no = $1 for update", batch.batch_no)
            # It is looked for once, so long after the wait has begun: by then the other must wait too.
            await connection.execute("set deadlock_timeout = '2s'")
            recording = tasks.create_task(record_answers(connection, [Answer(batch.key(), SENT)], now=LATER))
            waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            while not await watcher.fetchval(waits):  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
            await other.execute("select 1 from attempts where batch_no = $1 for update", batch.batch_no)
            await transaction.commit()
        assert recording.result().moves
    assert await counted(connection, batch.batch_no) == ([0, 0, 0, 1, 0, 0, 0], {})


@pytest.mark.parametrize(
    ("statement", "arguments"), [("lock_attempts", 5), ("update_attempts", 16), ("delete_due", 5)]
)
async def test_a_plan_made_while_a_table_is_empty_is_good_when_it_has_grown(
    statement: str, arguments: int, connection: Connection
) -> None:
    """7-sending.md §4: without `row_number = any(…)` a table never analysed was read whole each time, at 32 rows a second."""
    await connection.execute("set plan_cache_mode = force_generic_plan")
    await connection.execute(f"prepare empty as {SQL[statement]}")
    rows = await connection.fetch(f"explain execute empty({', '.join(['null'] * arguments)})")
    plan = "\n".join(row[0] for row in rows)
    once = f"(batch_no = ANY (${arguments - 1})) AND (row_number = ANY (${arguments}))"
    assert f"Index Cond: ({once})" in plan
    assert "Seq Scan" not in plan


async def test_many_rows_of_one_batch_are_found_by_their_key(
    connection: Connection, campaign_id: str
) -> None:
    """Named once for each row, a batch would seem to have as many rows as the table."""
    batch = await make_batch(connection, campaign_id, [SENDING] * 2000)
    reads = "select sum(seq_scan) from pg_stat_xact_user_tables where relname like 'attempts_to%'"
    async with connection.transaction():
        # The counter is of this transaction's own scans.
        before = await connection.fetchval(reads)
        news = [Answer(batch.key(row), SENT) for row in range(2, 2002)]
        await record_news(connection, news, now=LATER)
        assert await connection.fetchval(reads) == before


async def test_rows_are_never_compared_with_each_key(connection: Connection, campaign_id: str) -> None:
    """A plan for arrays of any length expects ten keys, and compared 2,000 rows with 2,000: a large batch ended 4 x as slow."""
    batch = await make_batch(connection, campaign_id, [SENDING] * 2)
    async with connection.transaction():
        await record_news(connection, [Answer(batch.key(2), SENT)], now=LATER)
        assert await connection.fetchval("show enable_nestloop") == "off"
    assert await connection.fetchval("show enable_nestloop") == "on"
