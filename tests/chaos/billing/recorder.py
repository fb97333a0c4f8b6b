"""A process that records what becomes of messages until it is killed: `python -m tests.chaos.billing.recorder URL SEED ROLE`.

It does as senders (claims and answers), the API's callbacks and sweeps (receipts in any order, also late,
and ends of our own), and people (retries and stops), at times of any month. A database that is away is asked again, as theirs is.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import SecretStr

from audit.events import NOBODY
from config.sections import DatabaseSettings
from database.connections import UNREACHABLE, Connection, connect
from database.errors import OutcomeUnknown, ServiceUnreachable
from messages.attempts import in_transaction, record_answers, record_news, record_receipts
from messages.changes import retry_batch, stop_batch
from messages.errors import MessagesError
from messages.news import Answer, AttemptKey, Ending, News, Receipt
from messages.statuses import ErrorCode, MessageStatus
from sending.claims import claim_messages

_SENDING, _SENT, _TELCO = MessageStatus.SENDING, MessageStatus.SENT, MessageStatus.SENT_TO_TELCO
_MONTHS: Final = timedelta(days=3650)
_REFUSALS: Final = (ErrorCode.RECIPIENT_INVALID, ErrorCode.CONTENT_INVALID, ErrorCode.ROUTING_ERROR)
_FAILURES: Final = (
    ErrorCode.RECIPIENT_UNAVAILABLE,
    ErrorCode.DELIVERY_UNKNOWN_ERROR,
    ErrorCode.MESSAGE_EXPIRED,
)


class Recorder:
    """What one process does again and again. Each step is one of the gateway's own transactions."""

    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self._connection = connection
        self._chance = chance

    async def send(self) -> None:
        """Claim what waits, or record how hand-overs ended."""
        if self._chance.random() < 0.3:
            sender = await self._connection.fetchval("select id from senders limit 1")
            await claim_messages(
                self._connection, sender, segments=30, lead=_MONTHS, head=0.0, stale_after=_MONTHS
            )
        answers = [self._answer(key, at) for key, at in await self._attempts([_SENDING])]
        await record_answers(self._connection, answers, now=datetime.now(UTC))

    def _answer(self, key: AttemptKey, at: datetime) -> Answer:
        match self._chance.randrange(6):
            case 0:
                return Answer(key, MessageStatus.FAILURE, self._chance.choice(_REFUSALS), "21211", at=at)
            case 1:
                return Answer(key, MessageStatus.ENQUEUED, raw_code="20429", counts=True, due_at=at)
            case _:
                return Answer(key, _SENT, provider_id="SM1", at=at)

    async def call_back(self) -> None:
        """Record receipts, several of one attempt in any order, and now and then ends of our own."""
        attempts = await self._attempts([_SENDING, _SENT, _TELCO])
        now = datetime.now(UTC)
        if self._chance.random() < 0.1:
            ends: list[News] = [
                Ending(key, ErrorCode.MESSAGE_EXPIRED, {_SENT, _TELCO}, now, expired=True)
                for key, _ in attempts
            ]
            await in_transaction(self._connection, lambda: record_news(self._connection, ends, now=now))
            return
        receipts = [receipt for key, at in attempts for receipt in self._receipts(key, at)]
        self._chance.shuffle(receipts)
        await record_receipts(self._connection, receipts, now=now)

    def _receipts(self, key: AttemptKey, at: datetime) -> Sequence[Receipt]:
        failed = Receipt(key, MessageStatus.FAILURE, self._chance.choice(_FAILURES), "30003", at=at)
        one = self._chance.choice(
            (
                Receipt(key, _SENT, at=at),
                Receipt(key, _TELCO, at=at),
                Receipt(key, MessageStatus.SUCCESS, at=at),
                failed,
            )
        )
        return (one, Receipt(key, _TELCO, at=at)) if self._chance.random() < 0.3 else (one,)

    async def change(self) -> None:
        """Retry what failed of a batch, or stop one."""
        batch = await self._connection.fetchval("select id from batches order by random() limit 1")
        if batch is None:
            return
        with contextlib.suppress(MessagesError, OutcomeUnknown):
            if self._chance.random() < 0.8:
                await retry_batch(self._connection, batch, max_retries=3, actor=NOBODY)
            else:
                await stop_batch(self._connection, batch, actor=NOBODY)

    async def _attempts(self, statuses: Sequence[MessageStatus]) -> list[tuple[AttemptKey, datetime]]:
        """Some attempts of these statuses, each with a time within the two minutes after it was made."""
        rows = await self._connection.fetch(
            "select batch_no, row_number, attempt, created_at from attempts where status = any($1::smallint[])"
            " order by random() limit $2",
            list(statuses),
            self._chance.choice((1, 5, 40)),
        )
        return [
            (
                AttemptKey(row["batch_no"], row["row_number"], row["attempt"]),
                row["created_at"] + timedelta(seconds=self._chance.randrange(120)),
            )
            for row in rows
        ]


async def _run(url: str, seed: int, role: str) -> None:
    chance = random.Random(seed)
    while True:
        try:
            connection = await connect(DatabaseSettings(url=SecretStr(url)), command_timeout=30)
        except ServiceUnreachable:
            await asyncio.sleep(0.1)
            continue
        recorder = Recorder(connection, chance)
        works: dict[str, Callable[[], Awaitable[None]]] = {
            "sender": recorder.send,
            "api": recorder.call_back,
            "people": recorder.change,
        }
        with contextlib.suppress(*UNREACHABLE):
            while True:
                await works[role]()
                await asyncio.sleep(chance.random() / 4)
        connection.terminate()


if __name__ == "__main__":
    asyncio.run(_run(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
