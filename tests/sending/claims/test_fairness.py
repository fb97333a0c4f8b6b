"""Who goes next: by the order of claims, and by the moments that they reserve, so that no test waits for them."""

from collections import defaultdict
from collections.abc import Sequence

from database.connections import Connection, Pool
from sending.claims import ClaimedMessage
from sending.pacing import block_segments
from tests.sending.claiming import claim, claim_until_empty, make_sender, rows_of, take_batches
from tests.sending.sending_node import add_batch, add_campaign, add_singles

RATE = 200


def begun_after(claims: Sequence[Sequence[ClaimedMessage]], numbers: Sequence[int]) -> dict[int, float]:
    """When the first message of each of these batches leaves, in seconds after the first message of all."""
    first: dict[int, float] = {}
    start = claims[0][0].leaves_at
    for claimed in claims:
        for message in claimed:
            first.setdefault(message.key.batch_no, message.leaves_at - start)
    return {number: first[number] for number in numbers}


async def test_fifty_small_batches_begin_within_five_seconds_beside_a_large_one(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=RATE)
    large = await add_batch(connection, campaign_id, 20_000)
    await take_batches(pool)
    for _ in range(20):
        await claim(connection, sender_id, block_segments(RATE))
    small = [
        await add_batch(connection, await add_campaign(connection, f"small-{number:02}"), 30)
        for number in range(50)
    ]
    await take_batches(pool)
    claims = [await claim(connection, sender_id, block_segments(RATE)) for _ in range(120)]
    begun = begun_after(claims, small)
    assert max(begun.values()) < 2
    # They end together, too, and the large one isn't left out meanwhile.
    assert all(sum(len(rows_of(claimed, number)) for claimed in claims) == 30 for number in small)
    of_large = [len(rows_of(claimed, large)) for claimed in claims]
    assert sum(of_large[:60]) > 20
    assert of_large[-1] == block_segments(RATE)


async def test_campaigns_share_alike_whatever_the_size_of_their_messages(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=RATE)
    short = await add_batch(connection, campaign_id, 3000)
    long = await add_batch(connection, other_campaign_id, 3000, segments=5)
    await take_batches(pool)
    segments: defaultdict[int, int] = defaultdict(int)
    for _ in range(60):
        for message in await claim(connection, sender_id, 30):
            segments[message.key.batch_no] += message.segments
    assert abs(segments[short] - segments[long]) <= 60


async def test_who_was_idle_has_saved_nothing_up(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=RATE)
    await add_batch(connection, other_campaign_id, 1)
    busy = await add_batch(connection, campaign_id, 5000)
    await take_batches(pool)
    for _ in range(50):
        await claim(connection, sender_id, 40)
    late = await add_batch(connection, other_campaign_id, 5000)
    await take_batches(pool)
    claims = [await claim(connection, sender_id, 40) for _ in range(20)]
    of_busy = sum(len(rows_of(claimed, busy)) for claimed in claims)
    of_late = sum(len(rows_of(claimed, late)) for claimed in claims)
    assert abs(of_busy - of_late) <= 80


async def test_a_flood_of_singles_leaves_the_turns_of_batches_unchanged_among_themselves(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=RATE)
    first = await add_batch(connection, campaign_id, 5000)
    await take_batches(pool)
    for _ in range(3):
        await claim(connection, sender_id, 40)
    await add_singles(connection, other_campaign_id, 800)
    await take_batches(pool)
    for _ in range(20):
        assert rows_of(await claim(connection, sender_id, 40), first) == []
    second = await add_batch(connection, other_campaign_id, 5000)
    await take_batches(pool)
    claims = [await claim(connection, sender_id, 40) for _ in range(20)]
    of_first = sum(len(rows_of(claimed, first)) for claimed in claims)
    of_second = sum(len(rows_of(claimed, second)) for claimed in claims)
    assert abs(of_first - of_second) <= 80


async def test_an_otp_waits_for_what_is_reserved_and_for_no_more(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=RATE)
    await add_campaign(connection, "otp-campaign", otp=True)
    await add_batch(connection, campaign_id, 5000)
    await add_singles(connection, campaign_id, 300)
    await take_batches(pool)
    await claim(connection, sender_id, block_segments(RATE))
    otp = await add_batch(connection, "otp-campaign", 1, kind="single")
    await take_batches(pool)
    claimed = await claim(connection, sender_id, block_segments(RATE))
    assert claimed[0].key.batch_no == otp


async def test_many_idle_campaigns_cost_a_claim_nothing_it_could_not_afford(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=RATE)
    await connection.execute(
        "insert into campaigns (id, name, header, notify_email) select 'idle-' || n, 'Idle', 'Idle', 'a@b.sg'"
        " from generate_series(1, 1000) n"
    )
    await connection.execute(
        "insert into lanes (sender_id, campaign_id, priority) select $1, 'idle-' || n, p"
        " from generate_series(1, 1000) n, generate_series(0, 2) p",
        sender_id,
    )
    batch_no = await add_batch(connection, campaign_id, 50)
    await take_batches(pool)
    claims = await claim_until_empty(connection, sender_id, 30)
    assert [len(rows_of(claimed, batch_no)) for claimed in claims] == [30, 20]
