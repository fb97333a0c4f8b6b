"""Unknown outcomes and silence, with time moved on by hand: look-ups, polls, and what is given up on (7-sending.md §2)."""

import asyncio
from datetime import datetime, timedelta

import pytest

from config.sending_sections import SendingSettings
from database.connections import Connection, Pool
from messages.attempts import record_answers
from messages.news import Answer, AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.providers.provider import Absent, Provider
from sending.senders import SUSPENDED
from sending.upkeep.look_ups import LookUps
from tests.messages.builders import (
    FOREIGN,
    LOCAL,
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
from tests.sending.upkeep.scripted_provider import ScriptedProvider

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus


def look_ups_at(pool: Pool, provider: Provider | None, settings: SendingSettings | None = None) -> LookUps:
    """Look-ups whose every sender has this provider."""

    async def provider_of(_sender_id: int) -> Provider | None:
        return provider

    return LookUps(pool, settings or SendingSettings(), provider_of)


async def make_unknown(connection: Connection, campaign_id: str, **others: object) -> MadeBatch:
    """A batch of one message whose hand-over timed out."""
    batch = await make_batch(connection, campaign_id, **others)  # type: ignore[arg-type]
    unknown = Answer(batch.key(), SENDING, raw_code="timeout", due_at=later(seconds=60))
    await record_answers(connection, [unknown], now=NOW)
    return batch


async def test_an_unknown_outcome_is_looked_up_after_a_minute_ten_minutes_and_an_hour_and_hourly_then(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)
    provider = ScriptedProvider()
    look_ups = look_ups_at(pool, provider)
    asked = []
    for minute in range(190):
        asked += [minute] * await look_ups.look_up_due(later(minutes=minute))
    assert asked == [1, 10, 60, 120, 180]
    attempt = provider.asked[0]
    assert (attempt.key, attempt.recipient, attempt.provider_id) == (batch.key(), LOCAL, "")
    assert attempt.text == "Dear Tan 1"
    assert attempt.handed_over_at == NOW
    assert (await fetch_attempt(connection, batch.key()))["status"] is SENDING


async def test_what_a_look_up_finds_is_recorded_and_looked_up_no_more(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)
    provider = ScriptedProvider({batch.key(): Receipt(batch.key(), SUCCESS, provider_id="SM1", at=NOW)})
    look_ups = look_ups_at(pool, provider)
    assert await look_ups.look_up_due(later(seconds=60)) == 1
    attempt = await fetch_attempt(connection, batch.key())
    assert (attempt["status"], attempt["provider_id"]) == (SUCCESS, "SM1")
    assert await look_ups.look_up_due(later(hours=1)) == 0
    assert await fetch_due(connection, batch) == {}


async def test_a_suspended_account_that_a_look_up_tells_of_pauses_its_sender(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)
    told = Receipt(batch.key(), FAILURE, ErrorCode.SERVER_UNKNOWN_ERROR, raw_code="30002", at=NOW)
    # Under another account it would say nothing of this one.
    await connection.execute("insert into secret_keys (wrapped) values ('')")
    await connection.execute(
        "insert into twilio_accounts"
        " (campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name, account_since)"
        " values ($1, 'AC1', 'SK1', '', (select max(id) from secret_keys), 'MG1', 'Clinic', $2)",
        campaign_id, later(seconds=1),
    )  # fmt: skip
    look_ups = look_ups_at(pool, ScriptedProvider({batch.key(): told}))
    await look_ups.look_up_due(later(seconds=60))
    assert (await fetch_attempt(connection, batch.key()))["raw_code"] == "30002"
    assert await connection.fetchval("select paused_because from senders") is None
    await connection.execute("delete from twilio_accounts")
    other = await make_unknown(connection, campaign_id)
    told = Receipt(other.key(), FAILURE, ErrorCode.SERVER_UNKNOWN_ERROR, raw_code="30002", at=NOW)
    await look_ups_at(pool, ScriptedProvider({other.key(): told})).look_up_due(later(seconds=60))
    assert await connection.fetchval("select paused_because from senders") == SUSPENDED


async def test_absence_proves_something_only_at_the_last_look_up(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)
    look_ups = look_ups_at(pool, ScriptedProvider({batch.key(): Absent(batch.key())}))
    for minute in (1, 10):
        await look_ups.look_up_due(later(minutes=minute))
        assert (await fetch_attempt(connection, batch.key()))["status"] is SENDING
    await look_ups.look_up_due(later(minutes=60))
    attempt = await fetch_attempt(connection, batch.key())
    assert (attempt["status"], attempt["error"]) == (FAILURE, "server_unknown_error")
    assert (attempt["expired"], attempt["may_have_arrived"]) == (False, False)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)


@pytest.mark.parametrize(("changed_at", "status"), [(1, "sending"), (-1, "failure")])
async def test_another_account_that_never_had_it_proves_nothing(
    changed_at: int, status: str, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)
    await connection.execute("insert into secret_keys (wrapped) values ('')")
    await connection.execute(
        "insert into twilio_accounts (campaign_id, account_sid, key_sid, secret, secret_key_id, service_sid, sender_name,"
        " account_since) values ($1, 'AC2', 'SK', '', (select max(id) from secret_keys), 'MG', 'Clinic', $2)",
        campaign_id,
        NOW + timedelta(seconds=changed_at),
    )
    await look_ups_at(pool, ScriptedProvider({batch.key(): Absent(batch.key())})).look_up_due(
        later(minutes=60)
    )
    assert (await fetch_attempt(connection, batch.key()))["status"].word == status


async def test_news_that_came_meanwhile_stands_against_proof_of_absence(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)
    key = batch.key()

    class Late(ScriptedProvider):
        async def look_up(self, attempts: object) -> list[Receipt | Absent]:
            await record_answers(connection, [Answer(key, SENT)], now=later(minutes=60))
            return [Absent(key)]

    await look_ups_at(pool, Late()).look_up_due(later(minutes=60))
    assert (await fetch_attempt(connection, key))["status"] is SENT


async def test_what_died_with_its_process_is_looked_up_too(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING, SENDING, SENT, SUCCESS])
    provider = ScriptedProvider()
    look_ups = look_ups_at(pool, provider)
    await look_ups.look_through(later(seconds=59))
    assert await look_ups.look_up_due(later(seconds=59)) == 0
    assert await look_ups.look_through(later(seconds=60)) == 1
    assert await look_ups.look_up_due(later(seconds=60)) == 2
    assert [attempt.key for attempt in provider.asked] == [batch.key(2), batch.key(3)]
    await look_ups.look_through(later(seconds=120))
    assert await look_ups.look_up_due(later(seconds=120)) == 0


@pytest.mark.parametrize(
    ("status", "recipient", "hours", "expires"),
    [
        pytest.param(SENDING, LOCAL, 48, True, id="unknown"),
        pytest.param(SENDING, FOREIGN, 48, True, id="unknown and foreign"),
        pytest.param(SENT, LOCAL, 80, True, id="sent"),
        pytest.param(SENT, FOREIGN, 80, True, id="sent and foreign"),
        pytest.param(SENT_TO_TELCO, LOCAL, 80, True, id="at the telco"),
        pytest.param(SENT_TO_TELCO, FOREIGN, 80, False, id="at a foreign telco"),
        pytest.param(SUCCESS, LOCAL, 80, False, id="delivered"),
    ],
)
async def test_what_has_no_news_for_too_long_has_expired_which_is_marked_as_ours(
    status: MessageStatus,
    recipient: str,
    hours: int,
    expires: bool,
    pool: Pool,
    connection: Connection,
    campaign_id: str,
) -> None:
    batch = await make_batch(connection, campaign_id, [status], recipient=recipient)
    look_ups = look_ups_at(pool, ScriptedProvider())
    await look_ups.look_through(later(hours=hours, seconds=-1))
    assert (await fetch_attempt(connection, batch.key()))["status"] is status
    await look_ups.look_through(later(hours=hours, minutes=5))
    attempt = await fetch_attempt(connection, batch.key())
    if expires:
        assert (attempt["status"], attempt["error"]) == (FAILURE, "message_expired")
        assert (attempt["expired"], attempt["may_have_arrived"]) == (True, True)
    else:
        assert (attempt["status"], attempt["expired"]) == (status, False)
    assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    assert await connection.fetchval("select finished_at is not null from batches") or status is SUCCESS


async def test_what_a_foreign_telco_has_never_expires_also_where_its_batch_is_not_finished(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENT_TO_TELCO, ENQUEUED], recipient=FOREIGN)
    assert await look_ups_at(pool, None).look_through(later(hours=100)) == 1
    assert (await fetch_attempt(connection, batch.key()))["status"] is SENT_TO_TELCO


async def test_news_sets_the_clock_back(pool: Pool, connection: Connection, campaign_id: str) -> None:
    batch = await make_batch(connection, campaign_id, [SENT])
    await record_answers(connection, [Answer(batch.key(), SENT_TO_TELCO)], now=later(hours=79))
    await look_ups_at(pool, None).look_through(later(hours=81))
    assert (await fetch_attempt(connection, batch.key()))["status"] is SENT_TO_TELCO


async def test_a_batch_that_only_foreign_telcos_have_is_finished_and_a_receipt_still_moves_it(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    abroad = await make_batch(connection, campaign_id, [SENT_TO_TELCO, FAILURE], recipient=FOREIGN)
    here = await make_batch(connection, other_campaign_id, [SENT_TO_TELCO, FAILURE])
    open_too = await make_batch(connection, campaign_id, [SENT_TO_TELCO, SENT], recipient=FOREIGN)
    await look_ups_at(pool, None).look_through(later(minutes=11))
    rows = await connection.fetch("select batch_no from batches where finished_at is not null")
    assert [row["batch_no"] for row in rows] == [abroad.batch_no]
    assert here.batch_no != open_too.batch_no
    await record_answers(connection, [Answer(abroad.key(), SUCCESS)], now=later(minutes=12))
    assert (await fetch_attempt(connection, abroad.key()))["status"] is SUCCESS
    assert await connection.fetchval(
        "select finished_at is not null from batches where batch_no = $1", abroad.batch_no
    )


async def test_what_is_silent_for_ten_minutes_is_polled_by_its_id(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENT, SENT_TO_TELCO, SUCCESS, SENDING])
    abroad = await make_batch(connection, campaign_id, [SENT, SENT_TO_TELCO], recipient=FOREIGN)
    receipt = Receipt(batch.key(2), FAILURE, ErrorCode.RECIPIENT_UNAVAILABLE, "30003")
    provider = ScriptedProvider({batch.key(2): receipt})
    look_ups = look_ups_at(pool, provider)
    await look_ups.look_through(later(seconds=599))
    assert provider.asked == []
    await look_ups.look_through(later(seconds=640))
    assert {attempt.key: attempt.provider_id for attempt in provider.asked} == {
        key: f"SM{key.batch_no}-{key.row_number}-1" for key in (batch.key(2), batch.key(3), abroad.key(2))
    }
    attempt = await fetch_attempt(connection, batch.key(2))
    assert (attempt["status"], attempt["raw_code"]) == (FAILURE, "30003")


async def test_what_stays_silent_is_polled_ever_less_often(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    await make_batch(connection, campaign_id, [SENT])
    provider = ScriptedProvider()
    look_ups = look_ups_at(pool, provider)
    polls = []
    for minute in [*range(0, 60, 2), *range(60, 80 * 60, 5)]:
        await look_ups.look_through(later(minutes=minute))
        polls += [minute] * len(provider.asked)
        provider.asked.clear()
    assert polls[:25] == list(range(10, 60, 2))
    assert polls[25:55] == list(range(60, 360, 10))
    assert polls[55:] == list(range(360, 4800, 60))


async def test_large_batches_are_looked_through_in_pages_and_less_often(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENT] * 130)
    await connection.execute(
        "insert into attempts (batch_no, row_number, attempt, status, created_at, updated_at)"
        " select $1, n, 1, 2, $2, $2 from generate_series(200, 12199) n",
        batch.batch_no,
        NOW,
    )
    await connection.execute(
        'insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)'
        " select $1, n, '6591234567', 'english', '{\"name\": \"Tan\"}', 1, 'GSM-7' from generate_series(200, 12199) n",
        batch.batch_no,
    )
    await connection.execute("update batches set total_messages = 150000, sending = 12000")
    provider = ScriptedProvider()
    look_ups = look_ups_at(pool, provider)
    assert await look_ups.look_through(later(minutes=11)) == 1
    assert len(provider.asked) == 130
    assert await connection.fetchval("select count(*) from due") == 12_000
    # Each 30 s, and as long again for each 50,000 rows.
    assert await look_ups.look_through(later(minutes=11, seconds=119)) == 0
    assert await look_ups.look_through(later(minutes=11, seconds=120)) == 1


async def test_nodes_share_the_look_ups(pool: Pool, connection: Connection, campaign_id: str) -> None:
    batches = [await make_unknown(connection, campaign_id) for _ in range(30)]
    silent = [await make_batch(connection, campaign_id, [SENT]) for _ in range(30)]
    provider = ScriptedProvider()
    nodes = [look_ups_at(pool, provider) for _ in range(4)]
    await asyncio.gather(*(node.look_up_due(later(minutes=11)) for node in nodes))
    await asyncio.gather(*(node.look_through(later(minutes=11)) for node in nodes))
    asked = sorted(attempt.key for attempt in provider.asked)
    assert asked == sorted(batch.key() for batch in (*batches, *silent))


async def test_in_loadtest_messages_stay_pending(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING, SENT], provider="loadtest")
    provider = ScriptedProvider()
    look_ups = look_ups_at(pool, provider)
    for at in (later(hours=1), later(hours=100)):
        await look_ups.look_through(at)
        await look_ups.look_up_due(at)
    assert provider.asked == []
    assert (await counted(connection, batch.batch_no))[0] == [0, 0, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("trouble", ["no provider", "a bug"])
async def test_what_can_not_be_asked_for_now_is_asked_for_later(
    trouble: str, pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(connection, campaign_id)

    class Broken(ScriptedProvider):
        async def look_up(self, attempts: object) -> list[Receipt | Absent]:
            raise KeyError

    await look_ups_at(pool, None if trouble == "no provider" else Broken()).look_up_due(later(minutes=1))
    provider = ScriptedProvider({batch.key(): Receipt(batch.key(), SENT)})
    await look_ups_at(pool, provider).look_up_due(later(minutes=10))
    assert (await fetch_attempt(connection, batch.key()))["status"] is SENT


async def test_a_retry_in_a_finished_batch_is_looked_up_like_any_other(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [FAILURE])
    await add_attempt(connection, batch, batch.key(2, 2), SENDING, at=later(hours=100))
    provider = ScriptedProvider()
    look_ups = look_ups_at(pool, provider)
    at: datetime = later(hours=100, minutes=1)
    await look_ups.look_through(at)
    await look_ups.look_up_due(at)
    assert [attempt.key for attempt in provider.asked] == [AttemptKey(batch.batch_no, 2, 2)]
