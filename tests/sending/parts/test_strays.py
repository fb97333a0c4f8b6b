"""Receipts that no part has, and attempts without an answer: how the one comes to the other."""

from config.environment import Environment
from config.sending_sections import SecretsSettings, SendingSettings
from database.connections import Connection, Pool
from messages.statuses import ErrorCode, MessageStatus
from sending.accounts import ProviderAccounts
from sending.outcomes import open_outcomes
from sending.parts import stray_after
from sending.providers.provider import Unknown
from tests.messages.builders import (
    LOCAL,
    fetch_attempt,
    fetch_due,
    make_batch,
)
from tests.sending.parts.part_rows import (
    Acknowledged,
    adopted,
    database_time,
    flushed,
    insert_receipts,
    make_unknown,
    open_attempt,
    status_of,
    waiting,
)

CREATED, ENQUEUED, SENDING, SENT, SENT_TO_TELCO, SUCCESS, FAILURE = MessageStatus
SETTINGS = SendingSettings()
UNAVAILABLE = ErrorCode.RECIPIENT_UNAVAILABLE


async def test_a_message_is_unknown_until_it_is_known_of_each_part_whether_it_was_taken(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_batch(connection, campaign_id, [SENDING] * 2)
    told = Acknowledged()
    async with open_outcomes(pool, SETTINGS) as outcomes:
        outcomes.add(batch.key(2), Unknown("link lost", part_ids=("k1", "")))
        outcomes.add(batch.key(3), Unknown("link lost", part_ids=("f1", "")))
        outcomes.add_receipt(told.news("k1"))
        outcomes.add_receipt(told.news("f1", FAILURE, UNAVAILABLE))
        await flushed(outcomes)
    assert await status_of(connection, batch.key(2)) is SENDING
    # Whatever became of the other part: this one hasn't arrived.
    assert await status_of(connection, batch.key(3)) is FAILURE
    assert batch.key(2) in await fetch_due(connection, batch)
    await insert_receipts(connection, LOCAL, "k2", age=stray_after(SETTINGS))
    await adopted(pool, [open_attempt(batch, 2)], 2)
    assert await status_of(connection, batch.key(2)) is SUCCESS
    assert (await fetch_attempt(connection, batch.key(2)))["provider_id"] == "k1"


async def test_strays_move_the_one_message_to_their_recipient_that_waits_for_its_answer(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    recipients = ["6591000001", "6591000002", "6591000003", "6591000004"]
    batches = [
        await make_unknown(pool, connection, campaign_id, number) for number in (*recipients, recipients[0])
    ]
    age = stray_after(SETTINGS)
    await insert_receipts(connection, recipients[0], "rival", age=age)
    await insert_receipts(connection, recipients[1], "own", age=age)
    await insert_receipts(connection, recipients[2], "young")
    await insert_receipts(connection, "6591000009", "other's", age=age)
    await insert_receipts(connection, recipients[3], "late", age=age)
    attempts = [
        open_attempt(batch, 2, recipient)
        for batch, recipient in zip(batches, (*recipients, recipients[0]), strict=True)
    ]
    # The last one was handed over after its receipt had come.
    attempts[3] = open_attempt(batches[3], 2, recipients[3], handed_over_at=await database_time(connection))
    await adopted(pool, attempts, 1)
    statuses = [await status_of(connection, batch.key()) for batch in batches]
    assert statuses == [SENDING, SUCCESS, SENDING, SENDING, SENDING]
    assert await waiting(connection) == ["rival", "young", "other's", "late"]
    # Once it is known what became of one of the two, the other may have what is left.
    await connection.execute("delete from due where batch_no = $1", batches[4].batch_no)
    await adopted(pool, attempts[:1], 1)
    assert await status_of(connection, batches[0].key()) is SUCCESS


async def test_strays_of_three_parts_come_to_their_message_one_by_one(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    batch = await make_unknown(pool, connection, campaign_id, LOCAL)
    seen = []
    for provider_id in ("s1", "s2", "s3"):
        await insert_receipts(connection, LOCAL, provider_id, age=stray_after(SETTINGS))
        await adopted(pool, [open_attempt(batch)], 3)
        seen.append(await status_of(connection, batch.key()))
    assert seen == [SENDING, SENDING, SUCCESS]
    assert await waiting(connection) == []


async def test_a_sender_gives_its_provider_what_adopts_strays(
    pool: Pool, connection: Connection, campaign_id: str
) -> None:
    accounts = ProviderAccounts(pool, SETTINGS, SecretsSettings(), Environment.TEST)
    batch = await make_unknown(pool, connection, campaign_id, LOCAL)
    await accounts._adopt_strays([(open_attempt(batch), 1)])
    assert await status_of(connection, batch.key()) is SENDING
    await insert_receipts(connection, LOCAL, "s", age=stray_after(SETTINGS))
    await accounts._adopt_strays([(open_attempt(batch), 1)])
    assert await status_of(connection, batch.key()) is SUCCESS
