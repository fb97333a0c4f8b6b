"""Daily totals move with outcomes, in their transactions, whoever writes them; in a month that was posted nothing moves."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from audit.events import NOBODY
from billing.lines import Line, Sums
from billing.usage import fetch_lines
from database.connections import Connection
from messages.attempts import record_news
from messages.changes import retry_batch
from messages.news import Answer, Ending, News, Receipt
from messages.statuses import ErrorCode, MessageStatus
from rules.billing.outcomes import Terms
from tests.billing.recounting import recounted, usage
from tests.messages.builders import FOREIGN, LOCAL, MadeBatch, make_batch

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
# The last minute of October in Singapore.
CLAIMED = datetime(2026, 10, 31, 15, 59, 30, tzinfo=UTC)
OCTOBER, NOVEMBER = date(2026, 10, 31), date(2026, 11, 1)
TERMS = Terms(starts=date(2025, 7, 1), charge_own_expiry=False, is_production=True)


async def record(connection: Connection, *news: News, now: datetime = CLAIMED) -> None:
    async with connection.transaction():
        await record_news(connection, news, now=now)


def random_news(choice: random.Random, batches: list[MadeBatch], rows: int) -> News:
    key = choice.choice(batches).key(choice.randrange(2, 2 + rows))
    at = CLAIMED + timedelta(seconds=choice.randrange(90))
    match choice.randrange(5):
        case 0:
            return Answer(key, SENT, at=at)
        case 1:
            return Answer(
                key, FAILURE, choice.choice([ErrorCode.RECIPIENT_INVALID, ErrorCode.CONTENT_INVALID]), at=at
            )
        case 2:
            return Receipt(key, choice.choice([SENT_TO_TELCO, SUCCESS]), at=at)
        case 3:
            return Receipt(
                key,
                FAILURE,
                choice.choice([ErrorCode.RECIPIENT_UNAVAILABLE, ErrorCode.DELIVERY_UNKNOWN_ERROR]),
                at=at,
            )
        case _:
            return Ending(key, ErrorCode.MESSAGE_EXPIRED, {SENDING, SENT, SENT_TO_TELCO}, at, expired=True)


@pytest.mark.parametrize("seed", range(6))
async def test_totals_are_what_a_recount_finds_whatever_news_come_in_whatever_order(
    connection: Connection, campaign_id: str, seed: int
) -> None:
    choice = random.Random(seed)
    batches = [
        await make_batch(connection, campaign_id, [SENDING] * 8, recipient=recipient, at=CLAIMED)
        for recipient in (LOCAL, FOREIGN)
    ]
    for _ in range(12):
        news = [random_news(choice, batches, 8) for _ in range(choice.randrange(1, 8))]
        await record(connection, *news, now=CLAIMED + timedelta(minutes=2))
        assert await usage(connection) == await recounted(connection)
    assert await usage(connection)


async def test_the_day_is_that_of_sending_else_of_the_claim(connection: Connection, campaign_id: str) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 3, at=CLAIMED)
    midnight = datetime(2026, 10, 31, 16, tzinfo=UTC)
    await record(
        connection,
        Answer(batch.key(2), SENT, at=midnight - timedelta(milliseconds=1)),
        Answer(batch.key(3), SENT, at=midnight),
        # Refused: it was never sent, and was claimed in October.
        Answer(batch.key(4), FAILURE, ErrorCode.RECIPIENT_INVALID, at=midnight),
        now=midnight,
    )
    await record(
        connection, *(Receipt(batch.key(row), SUCCESS, at=midnight + timedelta(hours=9)) for row in (2, 3))
    )
    assert await usage(connection) == {
        (str(OCTOBER), "local", "success", False): (1, 1),
        (str(NOVEMBER), "local", "success", False): (1, 1),
        (str(OCTOBER), "local", "recipient_invalid", False): (1, 1),
    }


async def test_a_retry_that_is_refused_counts_on_the_day_of_its_claim(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [ENQUEUED], at=CLAIMED)
    claimed = CLAIMED + timedelta(hours=1)
    await connection.execute(
        "update attempts set status = 2, updated_at = $2 where batch_no = $1", batch.batch_no, claimed
    )
    await record(
        connection, Answer(batch.key(), FAILURE, ErrorCode.RECIPIENT_INVALID), now=claimed + timedelta(days=2)
    )
    assert list(await usage(connection)) == [(str(NOVEMBER), "local", "recipient_invalid", False)]


async def test_what_never_left_is_counted_when_it_is_retried(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [], unclaimed=2, at=CLAIMED)
    await connection.execute(
        "update batches set ended_at = $2, ended_because = 'expired', waiting = false where batch_no = $1",
        batch.batch_no,
        CLAIMED,
    )
    await retry_batch(connection, batch.id, max_retries=3, actor=NOBODY)
    assert await usage(connection) == {(str(OCTOBER), "local", "server_unknown_error", False): (2, 2)}


async def test_in_a_month_that_was_posted_nothing_moves_and_what_it_had_is_known(
    connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 3, recipient=FOREIGN, at=CLAIMED)
    await record(connection, *(Receipt(batch.key(row), SENT_TO_TELCO, at=CLAIMED) for row in (2, 3)))
    before = await usage(connection)
    await connection.execute("insert into billing_months (month, posted_at) values ('2026-10-01', now())")
    await record(connection, Receipt(batch.key(2), FAILURE, ErrorCode.DELIVERY_UNKNOWN_ERROR, at=CLAIMED))
    await record(connection, Receipt(batch.key(4), SUCCESS, at=CLAIMED))
    assert await usage(connection) == before
    late = await connection.fetch("select row_number, outcome, own_expiry from late_outcomes order by 1")
    assert [tuple(row) for row in late] == [(2, "sent_to_telco", False), (4, None, False)]
    # What is sent in the next month moves on.
    november = datetime(2026, 10, 31, 17, tzinfo=UTC)
    other = await make_batch(connection, campaign_id, at=november)
    await record(connection, Receipt(other.key(), SUCCESS, at=november))
    assert await usage(connection) == {**before, (str(NOVEMBER), "local", "success", False): (1, 1)}


async def test_lines_say_what_is_charged_at_the_price_of_each_day(
    connection: Connection, campaign_id: str
) -> None:
    local = await make_batch(connection, campaign_id, [SENDING] * 4, at=CLAIMED)
    foreign = await make_batch(connection, campaign_id, [SENDING] * 3, recipient=FOREIGN, at=CLAIMED)
    november = CLAIMED + timedelta(minutes=1)
    await record(
        connection,
        Receipt(local.key(2), SUCCESS, at=CLAIMED),
        Receipt(local.key(3), SUCCESS, at=november),
        Receipt(local.key(4), SENT_TO_TELCO, at=CLAIMED),
        Ending(local.key(5), ErrorCode.MESSAGE_EXPIRED, {SENDING}, CLAIMED, expired=True),
        Receipt(foreign.key(2), SENT_TO_TELCO, at=CLAIMED),
        Receipt(foreign.key(3), FAILURE, ErrorCode.DELIVERY_UNKNOWN_ERROR, at=CLAIMED),
    )
    await connection.execute(
        "insert into prices (valid_from, local_mills, foreign_mills) values ('2026-11-01', 50, 300)"
    )
    lines = await fetch_lines(connection, TERMS, OCTOBER, NOVEMBER, campaign_ids=[campaign_id])
    assert {(line.destination, line.outcome, line.price, line.charged, line.segments) for line in lines} == {
        ("local", "success", 46, True, 1),
        ("local", "success", 50, True, 1),
        ("local", "sent_to_telco", 46, False, 1),
        ("local", "message_expired", 46, False, 1),
        ("foreign", "sent_to_telco", 230, True, 1),
        ("foreign", "delivery_unknown_error", 230, False, 1),
    }
    assert Sums.of(lines) == Sums(2, 2, 96, 1, 1, 230)
    none: list[Line] = []
    for terms in (Terms(date(2026, 11, 2), False, True), Terms(date(2025, 7, 1), False, False)):
        lines = await fetch_lines(connection, terms, OCTOBER, NOVEMBER, campaign_ids=[campaign_id])
        assert [line for line in lines if line.charged] == none
    agency = await connection.fetchval("select agency_id from campaigns where id = $1", campaign_id)
    assert len(await fetch_lines(connection, TERMS, OCTOBER, OCTOBER, agency_id=agency)) == 5
