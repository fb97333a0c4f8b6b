"""Claims, outcomes, receipts, look-ups, retries and stops of several nodes at once: nothing goes twice, all counts are right."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime

import asyncpg

from audit.events import Actor
from config.sending_sections import SendingSettings
from database.connections import Connection, Pool
from messages.attempts import record_receipts
from messages.changes import retry_batch, retry_message, stop_batch
from messages.errors import MessagesError
from messages.identifiers import message_id
from messages.news import AttemptKey, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.outcomes import Outcomes, open_outcomes
from sending.providers.provider import HandOver, PutBack, Refused, Taken, Unknown
from sending.upkeep.look_ups import LookUps
from sending.upkeep.sweeps import Sweeps
from tests.messages.builders import MadeBatch, counted, make_batch, recount
from tests.sending.claiming import claim, make_sender
from tests.sending.upkeep.scripted_provider import ScriptedProvider

SETTINGS = SendingSettings(look_up_after=[0.05, 0.1])
ROUNDS = 40


class Provider:
    """Counts what it was handed, and what it surely did not take: the rest of an attempt's hand-overs may be one at most."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        self.taken: Counter[AttemptKey] = Counter()

    def answer(self, key: AttemptKey) -> HandOver:
        """Takes six of ten; refuses, puts back or hangs with the others."""
        drawn = self.choice.random()
        if 0.6 <= drawn < 0.85:
            return PutBack(delay=0, counts=drawn < 0.65)
        if drawn >= 0.95:
            return Refused(ErrorCode.RECIPIENT_UNAVAILABLE)
        self.taken[key] += 1
        return Taken("SM") if drawn < 0.6 else Unknown("timeout")


async def send(pool: Pool, outcomes: Outcomes, sender_id: int, provider: Provider) -> None:
    """A node: claims, hands over, adds the outcomes."""
    for _ in range(ROUNDS):
        async with pool.acquire() as connection:
            try:
                claimed = await claim(connection, sender_id, 20)
            except asyncpg.DeadlockDetectedError:
                continue
        for message in claimed:
            outcomes.add(message.key, provider.answer(message.key))
        await asyncio.sleep(0.01)


async def receive(pool: Pool, provider: Provider, choice: random.Random) -> None:
    """The part for callbacks: receipts in any order, some twice."""
    for _ in range(ROUNDS):
        known = list(provider.taken)
        some = choice.choices(known, k=min(len(known), 20))
        statuses = [MessageStatus.SENT_TO_TELCO, MessageStatus.SUCCESS, MessageStatus.FAILURE]
        receipts = [Receipt(key, choice.choice(statuses)) for key in some]
        async with pool.acquire() as connection:
            await record_receipts(connection, receipts, now=datetime.now(UTC))
        await asyncio.sleep(0.01)


async def meddle(pool: Pool, batches: list[MadeBatch], choice: random.Random) -> None:
    """People: retries of messages and batches, and a stop now and then."""
    actor = Actor(name="ops")
    for step in range(ROUNDS):
        batch = choice.choice(batches)
        async with pool.acquire() as connection:
            try:
                if step % 13 == 12:
                    await stop_batch(connection, batch.id, actor=actor)
                elif step % 3:
                    row = choice.randint(2, 41)
                    await retry_message(connection, message_id(batch.id, row), max_retries=3, actor=actor)
                else:
                    await retry_batch(connection, batch.id, max_retries=3, actor=actor)
            except MessagesError:
                pass
        await asyncio.sleep(0.01)


async def look_after(pool: Pool) -> None:
    """Sweeps and look-ups that find nothing."""

    async def provider_of(_sender_id: int) -> ScriptedProvider:
        return ScriptedProvider()

    look_ups, sweeps = LookUps(pool, SETTINGS, provider_of), Sweeps(pool, SETTINGS)
    for _ in range(ROUNDS // 4):
        now = datetime.now(UTC)
        await look_ups.look_through(now)
        await look_ups.look_up_due(now)
        await sweeps.sweep(now)
        await asyncio.sleep(0.02)


async def test_nothing_goes_twice_and_every_count_is_right(
    pool: Pool, connection: Connection, campaign_id: str, other_campaign_id: str
) -> None:
    sender_id = await make_sender(connection, rate=10_000)
    owners = (campaign_id, other_campaign_id) * 4
    now = datetime.now(UTC)
    batches = [await make_batch(connection, owner, [], unclaimed=40, at=now) for owner in owners]
    provider, choice = Provider(1), random.Random(2)
    async with (
        open_outcomes(pool, SETTINGS) as one,
        open_outcomes(pool, SETTINGS) as two,
        asyncio.TaskGroup() as tasks,
    ):
        for outcomes in (one, two):
            tasks.create_task(send(pool, outcomes, sender_id, provider))
        for _ in range(2):
            tasks.create_task(receive(pool, provider, choice))
            tasks.create_task(meddle(pool, batches, choice))
            tasks.create_task(look_after(pool))
    assert max(provider.taken.values()) == 1
    assert len(provider.taken) > 100
    attempts = await connection.fetch("select * from attempts")
    assert {AttemptKey(row["batch_no"], row["row_number"], row["attempt"]) for row in attempts} >= set(
        provider.taken
    )
    for batch in batches:
        assert await counted(connection, batch.batch_no) == await recount(connection, batch.batch_no)
    waiting = await connection.fetchval(
        "select count(*) from attempts a where status in (0, 1) and not exists (select from due d"
        " where d.batch_no = a.batch_no and d.row_number = a.row_number and d.attempt = a.attempt and class < 3)"
    )
    assert waiting == 0
    lost = await connection.fetchval(
        "select count(*) from due d join attempts a using (batch_no, row_number, attempt) where class < 3 and status > 1"
    )
    assert lost == 0
