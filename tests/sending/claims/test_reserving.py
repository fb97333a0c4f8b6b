"""The time that is reserved: how soon it begins, whose is given back, and that a claim waits for no batch longer than it must."""

import pytest

from database.connections import Connection, Pool
from messages.news import AttemptKey
from sending.claims import DatabaseIdentity, reserve_time
from sending.pacing import PACE
from tests.sending.claiming import claim, claim_whole, days_ago, make_sender, rows_of, take_batches
from tests.sending.sending_node import add_batch, add_campaign

# Seconds from now at the earliest; the database keeps microseconds.
HEAD, TICK = 5.0, 1e-5


@pytest.mark.parametrize(
    ("rate", "sooner"), [(2, 0.0), (25, 26 / 24.625 - 1.03), (30, 31 / 29.55 - 1.03), (1000, 0.03)]
)
async def test_what_a_second_leaves_makes_up_for_moments_that_nobody_used(
    connection: Connection, rate: float, sooner: float
) -> None:
    sender_id = await make_sender(connection, rate=rate)
    before = await connection.fetchval("select extract(epoch from clock_timestamp())::double precision")
    begins, now = await reserve_time(connection, sender_id, 1, head=HEAD, own_end=0.0)
    assert before - TICK <= begins - HEAD + sooner <= now + TICK


async def test_time_that_is_given_back_is_free_where_nobody_has_reserved_any_after_it(
    connection: Connection,
) -> None:
    sender_id = await make_sender(connection, rate=1)
    first, _ = await reserve_time(connection, sender_id, 20, head=HEAD, own_end=0.0)
    first_end = first + 20 / PACE
    again, _ = await reserve_time(connection, sender_id, 20, head=HEAD, own_end=first_end)
    assert again < first_end
    # Half a second of somebody else's is after this.
    other, _ = await reserve_time(connection, sender_id, 1, head=HEAD, own_end=0.0)
    assert other == pytest.approx(again + 20 / PACE, abs=TICK)
    last, _ = await reserve_time(connection, sender_id, 1, head=HEAD, own_end=other + 0.5 / PACE)
    assert last == pytest.approx(other + 1 / PACE, abs=TICK)


@pytest.mark.parametrize("whose", ["another campaign", "another class", "another sender", "later"])
async def test_what_must_go_again_elsewhere_is_no_share_of_this_campaign(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str, whose: str
) -> None:
    sender_id = await make_sender(connection)
    nearly_done = await add_batch(connection, campaign_id, 40)
    large = await add_batch(connection, other_campaign_id, 100)
    await take_batches(pool)
    await connection.execute(
        "update batches set cursor_row = 39, success = 38 where batch_no = $1", nearly_done
    )
    await connection.executemany(
        "insert into due (at, sender_id, class, campaign_id, batch_no, row_number, attempt)"
        " values ($1, $2, $3, $4, $5, $6, 1)",
        [
            (
                days_ago(-1 if whose == "later" else 1),
                sender_id + (whose == "another sender"),
                1 if whose == "another class" else 2,
                other_campaign_id if whose == "another campaign" else campaign_id,
                nearly_done,
                row,
            )
            for row in range(2, 40)
        ],
    )
    claimed = await claim(connection, sender_id, 40)
    assert rows_of(claimed, nearly_done) == [40, 41]
    assert len(rows_of(claimed, large)) == 38


async def test_a_block_that_is_full_takes_no_message_more(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    await add_batch(connection, campaign_id, 20, segments=3)
    await take_batches(pool)
    assert len(await claim(connection, sender_id, 9)) == 3


async def test_a_claim_serves_the_first_sixteen_campaigns(pool: Pool, connection: Connection) -> None:
    sender_id = await make_sender(connection)
    numbers = [
        await add_batch(connection, await add_campaign(connection, f"campaign-{place:02}"), 1)
        for place in range(17)
    ]
    await take_batches(pool)
    assert {message.key.batch_no for message in await claim(connection, sender_id, 100)} == {*numbers[:16]}
    assert [message.key for message in await claim(connection, sender_id, 100)] == [
        AttemptKey(numbers[16], 2, 1)
    ]


@pytest.mark.parametrize(("is_held", "waits"), [(False, 0), (True, 20)])
async def test_a_claim_waits_twenty_times_for_a_batch_that_somebody_holds_and_never_for_a_free_one(
    pool: Pool, connection: Connection, campaign_id: str, is_held: bool, waits: int
) -> None:
    sender_id = await make_sender(connection)
    batch_no = await add_batch(connection, campaign_id, 3)
    await take_batches(pool)
    await connection.execute(
        "create schema counting; create sequence counting.waits minvalue 0;"
        " create function counting.pg_sleep(double precision) returns void language sql"
        " as $$ select nextval('counting.waits') $$;"
        " set search_path = counting, pg_catalog, public"
    )
    async with pool.acquire() as other, other.transaction():
        if is_held:
            await other.execute("select from batches where batch_no = $1 for no key update", batch_no)
        assert len(await claim(connection, sender_id, 3)) == (0 if is_held else 3)
    # A sequence's next value is the number of those before it.
    assert await connection.fetchval("select nextval('counting.waits')") == waits


async def test_a_claim_tells_which_database_gave_it(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection)
    await add_batch(connection, campaign_id, 3)
    await take_batches(pool)
    row = await connection.fetchrow(
        "select pg_postmaster_start_time() as server_started, 'senders'::regclass::bigint as senders_table"
    )
    assert row is not None
    assert (await claim_whole(connection, sender_id, 3)).database == DatabaseIdentity(*row)
