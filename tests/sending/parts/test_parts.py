"""Receipts of parts, told by ids of the provider's own: whichever comes first, in whatever order, to whichever process."""

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import timedelta

import asyncpg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.sections import DatabaseSettings
from config.sending_sections import SendingSettings
from database.connections import Connection, Pool, open_pool
from gateway.embedded.postgres import PostgreSQLServer
from messages.attempts import in_transaction
from messages.statuses import ErrorCode, MessageStatus
from sending.outcomes import open_outcomes
from sending.parts import SQL, RecordedParts, match_receipts, record_parts, stray_after
from sending.providers.provider import PutBack, Refused, Taken
from sending.upkeep.sweeps import Sweeps
from tests.messages.builders import (
    LOCAL,
    counted,
    fetch_attempt,
    later,
    make_batch,
    recount,
)
from tests.sending.parts.part_rows import (
    Acknowledged,
    flushed,
    insert_parts,
    insert_receipts,
    status_of,
    waiting,
)

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
SETTINGS = SendingSettings()
UNAVAILABLE = ErrorCode.RECIPIENT_UNAVAILABLE


@pytest.mark.parametrize("first", ["answer", "receipt", "together"])
async def test_a_receipt_and_its_answer_meet_whichever_comes_first(
    pool: Pool, connection: Connection, campaign_id: str, first: str
) -> None:
    batch = await make_batch(connection, campaign_id)
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        steps: list[Callable[[], None]] = [
            lambda: outcomes.add(batch.key(), Taken("a1", part_ids=("a1",))),
            lambda: outcomes.add_receipt(told.news("a1")),
        ]
        for step in steps[::-1] if first == "receipt" else steps:
            step()
            if first != "together":
                await flushed(outcomes)
        await flushed(outcomes)
    attempt = await fetch_attempt(connection, batch.key())
    assert (attempt["status"], attempt["provider_id"]) == (SUCCESS, "a1")
    assert told.ids == ["a1"]
    assert await waiting(connection) == []
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


async def test_a_doubled_receipt_and_a_later_contrary_one_change_nothing(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 2)
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add(batch.key(2), Taken("a", part_ids=("a",)))
        outcomes.add(batch.key(3), Taken("b", part_ids=("b", "c")))
        outcomes.add_receipt(told.news("b", FAILURE, UNAVAILABLE, raw_code="001"))
        for _ in range(2):
            outcomes.add_receipt(told.news("a"))
            outcomes.add_receipt(told.news("b", SENT_TO_TELCO))
            await flushed(outcomes)
        outcomes.add_receipt(told.news("a", FAILURE, UNAVAILABLE))
        outcomes.add_receipt(told.news("b", FAILURE, ErrorCode.ROUTING_ERROR))
        outcomes.add_receipt(told.news("b"))
        await flushed(outcomes)
    assert await status_of(connection, batch.key(2)) is SUCCESS
    failed = await fetch_attempt(connection, batch.key(3))
    assert (failed["error"], failed["raw_code"], failed["may_have_arrived"]) == (UNAVAILABLE, "001", True)
    assert len(told.ids) == 8
    assert await waiting(connection) == []


async def test_of_three_parts_all_must_arrive_and_the_first_error_wins(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 2)
    good, bad = batch.key(2), batch.key(3)
    told = Acknowledged()
    seen = []
    async with open_outcomes(pool, SETTINGS) as outcomes:
        # One of the receipts was there before the answer.
        outcomes.add_receipt(told.news("g3"))
        await flushed(outcomes)
        outcomes.add(good, Taken("g1", part_ids=("g1", "g2", "g3")))
        outcomes.add(bad, Taken("b1", part_ids=("b1", "b2", "b3")))
        for news in (
            None,
            told.news("g1", SENT_TO_TELCO),
            told.news("g1"),
            # What a part has come to is its end, whatever else is told of it.
            told.news("g1", FAILURE, UNAVAILABLE),
            told.news("g1", SENT_TO_TELCO),
            told.news("b2"),
            told.news("b3", FAILURE, UNAVAILABLE, raw_code="011"),
            told.news("b1", FAILURE, ErrorCode.ROUTING_ERROR),
            told.news("g2"),
        ):
            if news is not None:
                outcomes.add_receipt(news)
            await flushed(outcomes)
            seen.append((await status_of(connection, good), await status_of(connection, bad)))
    assert seen == [
        *[(SENT_TO_TELCO, SENT)] * 5,
        (SENT_TO_TELCO, SENT_TO_TELCO),
        (SENT_TO_TELCO, FAILURE),
        (SENT_TO_TELCO, FAILURE),
        (SUCCESS, FAILURE),
    ]
    attempt = await fetch_attempt(connection, bad)
    assert (attempt["error"], attempt["raw_code"], attempt["may_have_arrived"]) == (UNAVAILABLE, "011", True)
    assert (await fetch_attempt(connection, good))["provider_id"] == "g1"


async def test_answers_and_receipts_that_two_processes_record_at_the_same_time_all_meet(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 300)
    chance = random.Random(5)
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as one, open_outcomes(pool, SETTINGS) as other:
        for row in range(2, 302):
            ids = [f"{row}-{part}" for part in range(1 + row % 3)]
            answering, receiving = chance.sample((one, other), 2)
            answering.add(batch.key(row), Taken(ids[0], part_ids=tuple(ids)))
            for provider_id in chance.sample(ids, len(ids)):
                # Some come to both, as an aggregator tells again what it has no answer to.
                for process in chance.choice(((one,), (other,), (one, other), (receiving,))):
                    process.add_receipt(told.news(provider_id))
            if row % 10 == 0:
                await asyncio.gather(flushed(one), flushed(other))
    assert (await counted(connection, batch.batch_no))[0] == [0, 0, 0, 0, 0, 300, 0]
    assert await recount(connection, batch.batch_no) == await counted(connection, batch.batch_no)
    assert await waiting(connection) == []
    assert set(told.ids) == {f"{row}-{part}" for row in range(2, 302) for part in range(1 + row % 3)}


async def test_two_parts_that_two_processes_match_at_the_same_time_end_their_message(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    """The second waits for the first, and then sees what that has found."""
    batch = await make_batch(connection, campaign_id, [SENT] * 20)
    for row in range(2, 22):
        await insert_parts(connection, batch.key(row), f"{row}a", f"{row}b")
        await insert_receipts(connection, LOCAL, f"{row}a", f"{row}b")

    async def match(letter: str) -> None:
        async with pool.acquire() as own:
            ids = [f"{row}{letter}" for row in range(2, 22)]
            await in_transaction(own, lambda: match_receipts(own, ids, now=later(minutes=1)))

    await asyncio.gather(match("a"), match("b"))
    assert (await counted(connection, batch.batch_no))[0][SUCCESS] == 20
    assert await waiting(connection) == []


async def test_a_receipt_that_nobody_has_missed_is_kept_counted_once_and_forgotten_in_the_end(
    pool: Pool, connection: Connection
) -> None:
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add_receipt(told.news("stranger"))
        await flushed(outcomes)
    assert told.ids == await waiting(connection) == ["stranger"]
    sweeps = Sweeps(pool, SETTINGS)
    counted_once = "select count(*) from part_receipts where counted"
    await sweeps.match_receipts(later())
    assert await connection.fetchval(counted_once) == 0
    await connection.execute(
        "update part_receipts set received_at = received_at - $1::interval", stray_after(SETTINGS)
    )
    await sweeps.match_receipts(later())
    assert await connection.fetchval(counted_once) == 1
    await connection.execute("update part_receipts set received_at = now() - interval '105 hours'")
    await sweeps.match_receipts(later())
    assert await waiting(connection) == []


async def test_a_sweep_matches_what_a_process_stored_that_died(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENT] * 2)
    await insert_receipts(connection, LOCAL, "x", "y", "nobody's")
    await insert_parts(connection, batch.key(2), "x")
    await insert_parts(connection, batch.key(3), "y", "z")
    await Sweeps(pool, SETTINGS).match_receipts(later(minutes=1))
    assert await status_of(connection, batch.key(2)) is SUCCESS
    assert await status_of(connection, batch.key(3)) is SENT_TO_TELCO
    assert await waiting(connection) == ["nobody's"]
    await connection.execute(
        "update message_parts set added_at = now() - interval '105 hours' where provider_id = 'x'"
    )
    await Sweeps(pool, SETTINGS).match_receipts(later(minutes=1))
    assert await connection.fetchval("select count(*) from message_parts") == 2


async def test_an_id_that_is_given_again_is_the_newest_parts(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENT, SENDING])
    await insert_parts(connection, batch.key(2), "7")
    await connection.execute("update message_parts set added_at = now() - interval '2 days'")
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add(batch.key(3), Taken("7", part_ids=("7",)))
        outcomes.add_receipt(told.news("7"))
        await flushed(outcomes)
    assert await status_of(connection, batch.key(2)) is SENT
    assert await status_of(connection, batch.key(3)) is SUCCESS


async def test_a_message_of_which_a_part_was_refused_has_failed_and_may_have_arrived(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id)
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        refused = Refused(ErrorCode.CONTENT_INVALID, "0x61", may_have_arrived=True, part_ids=("r1", ""))
        outcomes.add(batch.key(), refused)
        outcomes.add_receipt(told.news("r1"))
        await flushed(outcomes)
    attempt = await fetch_attempt(connection, batch.key())
    assert (attempt["status"], attempt["error"], attempt["may_have_arrived"]) == (
        FAILURE,
        ErrorCode.CONTENT_INVALID,
        True,
    )
    assert told.ids == ["r1"]
    assert await waiting(connection) == []


async def test_what_is_put_back_goes_again_with_parts_of_its_own(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id)
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add(batch.key(), PutBack(delay=0, raw_code="0x58"))
        await flushed(outcomes)
        assert await connection.fetchval("select count(*) from message_parts") == 0
        assert await status_of(connection, batch.key()) is ENQUEUED
        # Claimed again.
        await connection.execute("delete from due")
        await connection.execute("update attempts set status = 2")
        await connection.execute("update batches set sending = 1, enqueued = 0")
        outcomes.add(batch.key(), Taken("n", part_ids=("n",)))
        outcomes.add_receipt(told.news("n"))
        await flushed(outcomes)
    assert await status_of(connection, batch.key()) is SUCCESS
    assert await recount(connection, batch.batch_no) == await counted(connection, batch.batch_no)


async def test_a_receipt_is_acknowledged_only_once_it_outlives_a_crash(
    own_postgres: PostgreSQLServer,
) -> None:
    own_postgres.run_sql("alter database postgres set synchronous_commit = on")
    settings = DatabaseSettings(url=SecretStr(own_postgres.socket_url("postgres")))
    told = Acknowledged()
    async with open_pool(settings, name="test") as pool:
        async with pool.acquire() as connection:
            await connection.execute(
                "insert into campaigns (id, name, channel, header, notify_email)"
                " values ('campaign_test', 'Clinic', 'public', 'Clinic', 'ops@clinic.gov.sg')"
            )
            batch = await make_batch(connection, "campaign_test", [SENDING] * 600)
        async with open_outcomes(pool, SETTINGS) as outcomes:
            for row in range(2, 302):
                # Of one half the receipts come first.
                if row % 2:
                    outcomes.add(batch.key(row), Taken(f"p{row}", part_ids=(f"p{row}", f"q{row}")))
                outcomes.add_receipt(told.news(f"p{row}"))
            async with asyncio.timeout(30):
                while not told.ids:  # noqa: ASYNC110 - it is recorded in the background
                    await asyncio.sleep(0.001)
            own_postgres.kill()
            for row in range(2, 602):
                if not row % 2 or row > 301:
                    outcomes.add(batch.key(row), Taken(f"p{row}", part_ids=(f"p{row}", f"q{row}")))
                if row > 301:
                    outcomes.add_receipt(told.news(f"p{row}"))
                outcomes.add_receipt(told.news(f"q{row}"))
            # Two tries at recording them have failed: whatever acknowledges what isn't committed has done it.
            with capture_logs() as logs:
                async with asyncio.timeout(30):
                    while [line["event"] for line in logs].count("outcomes_waiting") < 2:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            acknowledged = set(told.ids)
            own_postgres.start()
            fresh = await asyncpg.connect(own_postgres.socket_url("postgres"))
            kept = await fresh.fetch(
                "select provider_id from part_receipts union select provider_id from message_parts where status = 5"
            )
            await fresh.close()
            assert acknowledged <= {row["provider_id"] for row in kept}
            await asyncio.wait_for(outcomes.flush(), 60)
        # What was stored when the server died and not matched any more is a sweep's.
        await Sweeps(pool, SETTINGS).match_receipts(later(minutes=1))
        async with pool.acquire() as connection:
            assert (await counted(connection, batch.batch_no))[0] == [0, 0, 0, 0, 0, 600, 0]
            assert await recount(connection, batch.batch_no) == await counted(connection, batch.batch_no)
            assert await waiting(connection) == []
    assert sorted(told.ids) == sorted(f"{letter}{row}" for letter in "pq" for row in range(2, 602))


async def test_what_has_no_parts_costs_no_statement(connection: Connection) -> None:
    statements: list[str] = []
    with connection.query_logger(lambda query: statements.append(query.query)):
        assert await record_parts(connection, [], []) == RecordedParts([], [])
        assert statements == []
        await record_parts(connection, [], [Acknowledged().news("x")])
    assert statements


async def test_parts_and_receipts_are_found_by_their_indexes_also_in_tables_that_were_never_analysed(
    connection: Connection,
) -> None:
    numbers: Sequence[int] = [1, 2]
    arguments: dict[str, tuple[object, ...]] = {
        "fetch_parts": (["a", "b"],),
        "match_receipts": (["a", "b"], 100),
        "match_waiting": (100,),
        "lock_parts": (numbers, numbers, numbers),
        "fetch_strays": ([LOCAL], timedelta(seconds=60)),
        "update_parts": (numbers, numbers, numbers, numbers, numbers, ["", ""], ["", ""], [None, None]),
        "delete_receipts": (numbers,),
        "delete_old_parts": (timedelta(hours=80), 100),
        "delete_old_receipts": (timedelta(hours=80), 100),
        "count_strays": (timedelta(hours=80),),
    }
    # So many that the wrong index would look cheap.
    await connection.execute(
        "insert into message_parts (batch_no, row_number, attempt, part, parts, provider_id)"
        " select 1, n, 1, 1, 1, n::text from generate_series(1, 20000) n"
    )
    async with connection.transaction():
        await connection.execute(SQL["find_parts_by_key"])
        for name, given in arguments.items():
            plan = "\n".join(row[0] for row in await connection.fetch(f"explain {SQL[name]}", *given))
            assert "Seq Scan" not in plan, f"{name}:\n{plan}"
            if name in {"fetch_parts", "match_receipts", "match_waiting"}:
                # Not by time, which goes through all parts for an id that is none's.
                assert "message_parts_of_id" in plan, f"{name}:\n{plan}"
            # What is looked for by many keys must not be compared row by row with each of them.
            assert "Join Filter" not in plan, f"{name}:\n{plan}"
