"""What is sent in the chaos runs: the nodes that send, the local Twilio server or the aggregator that takes it, and batches of
which no two rows have the same text."""

import asyncio
import base64
import contextlib
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from audit.events import Actor
from database.connections import UNREACHABLE
from database.errors import ServiceUnreachable
from gateway.embedded.postgres import PostgreSQLServer, postgres_server
from messages.changes import retry_message
from messages.errors import MessagesError
from tests.chaos.sending.smsc import SMSC, running_smsc
from tests.chaos.testbed.node import Node, new_port
from tests.chaos.testbed.testbed import Testbed, open_testbed
from tests.sending.twilio_control import (
    ACCOUNT_SID,
    KEY_SECRET,
    KEY_SID,
    SERVICE_SID,
    TwilioServer,
    twilio_server,
)

# What doesn't reach its recipient, by number: Twilio's last status and its code.
_ENDINGS: Final = {"6588880000": ["undelivered", 30003], "6588880001": ["undelivered", 30008]}
# One row of so many goes to one of them.
_FAILING: Final = 25
_FRAME: Final = json.dumps({"before": "Harbour Office: ", "after": {"english": ""}})
# Unknown outcomes are looked up, and silent messages polled, so soon that a run ends in time. The last look-up comes later than
# any hand-over that may still be under way, as the defaults do.
QUICK: Final = {
    "sending__look_up_after": "1,3,10",
    "sending__sweep_every": "1",
    "sending__twilio__poll_after": "3",
    "sending__twilio__poll_every": "1",
}
# SMPP has no look-ups, so what was never taken is told as unknown; receipts of what was taken come sooner.
_QUICK_UNKNOWN: Final = {
    "sending__look_up_after": "1,2,3",
    "sending__sweep_every": "1",
}
# PostgreSQL is away, or its connection was lost in the middle of a call or of a COMMIT.
AWAY: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, asyncpg.PostgresError, ServiceUnreachable)
_UNCLAIMED: Final = """
select coalesce(sum(total_messages - retrying - enqueued - sending - sent - sent_to_telco - success - failure), 0)
from batches where finished_at is null
"""
_RETRYABLE: Final = """
select b.id, a.row_number from attempts a join batches b using (batch_no)
where a.status = 6 and a.attempt < 3 and not exists (
    select from attempts later
    where later.batch_no = a.batch_no and later.row_number = a.row_number and later.attempt > a.attempt
)
order by a.updated_at desc limit 20
"""


@dataclass
class Outgoing:
    """Nodes that send, and the provider that they call."""

    testbed: Testbed
    provider: TwilioServer | SMSC
    senders: list[Node]
    """The nodes that have a sender process."""
    rows: int = 0
    """How many messages were given to be sent so far."""
    retries: int = 0

    @property
    def nodes(self) -> list[Node]:
        return self.testbed.nodes

    async def tell(self, name: str, asked: object = None) -> Any:
        """Any call of the provider's control."""
        return await asyncio.to_thread(self.provider.call, name, asked)

    async def finished(self) -> int:
        """How many messages have their last status."""
        return int(await self.testbed.fetch_value("select coalesce(sum(success + failure), 0) from batches"))

    async def add_batch(self, rows: int, *, kind: str = "batch") -> None:
        """Add a batch of so many rows, each with a number and a text of its own, as a worker would have committed it."""
        first = self.rows
        self.rows += rows
        # Twilio's are told by their numbers, and the aggregator's are its own: there each row has a number of its own.
        of_twilio = isinstance(self.provider, TwilioServer)
        numbers = [
            list(_ENDINGS)[place // _FAILING % len(_ENDINGS)]
            if of_twilio and place % _FAILING == 0
            else f"65{90_000_000 + place}"
            for place in range(first, first + rows)
        ]
        async with self.testbed.connected() as connection, connection.transaction():
            number = await connection.fetchval(
                "insert into batches (id, campaign_id, original_file_name, total_messages, kind, frame)"
                " values ($1, $2, 'letters.csv', $3, $4, $5) returning batch_no",
                *(f"batch_{uuid.uuid4()}", self.testbed.campaigns[first % len(self.testbed.campaigns)]),
                *(rows, kind, _FRAME),
            )
            await connection.execute(
                'insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)'
                " select $1, place, number, 'english', jsonb_build_object('name', 'Emily Yeo', 'topic', 'letter ' || $2 + place),"
                " 1, 'GSM-7' from unnest($3::text[]) with ordinality n (number, place)",
                *(number, first, numbers),
            )
            await connection.execute("select pg_notify('sftp_gateway_batches', $1)", str(number))

    async def feed(self, chance: random.Random, enough: asyncio.Event, *, waiting: int, largest: int) -> None:
        """Add batches and single sends so that `waiting` messages always wait, and have failed ones retried, until `enough`."""
        while not enough.is_set():
            with contextlib.suppress(*AWAY):
                if await self.testbed.fetch_value(_UNCLAIMED) < waiting:
                    await self.add_batch(chance.choice((1, 7, 40, largest)))
                    await self.add_batch(1, kind="single")
                await self._retry_one(chance)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), 0.2)

    async def _retry_one(self, chance: random.Random) -> None:
        async with self.testbed.connected() as connection:
            failed = await connection.fetch(_RETRYABLE)
            if not failed:
                return
            batch_id, row_number = chance.choice(failed)
            message = await connection.fetchval("select message_id($1, $2)", batch_id, row_number)
            with contextlib.suppress(MessagesError):
                await retry_message(connection, message, max_retries=3, actor=Actor(name="chaos"))
                self.retries += 1


@contextlib.asynccontextmanager
async def open_outgoing(
    *,
    nodes: int = 2,
    whole_nodes: bool = False,
    rate: float = 200,
    keep_logs: Path | None = None,
    server: Callable[[Path], contextlib.AbstractContextManager[PostgreSQLServer]] = postgres_server,
) -> AsyncIterator[Outgoing]:
    """Start servers and nodes: so many that send, and what takes their callbacks.

    With `whole_nodes` each node is `run` with all its parts, and Twilio calls back to the first one's `api`. Else the senders
    are alone, and so is the `api`, which starts sooner.
    """
    async with open_testbed(keep_logs=keep_logs, server=server) as testbed:
        with twilio_server() as twilio:
            # Answers take their time, so that kills meet hand-overs under way; and each callback comes twice.
            twilio.behave(endings=_ENDINGS, answer_after=0.05, callback_copies=2)
            port = new_port()
            settings = {
                "sending__public__provider": "twilio",
                "sending__public__rate": str(rate),
                "sending__twilio__base_url": twilio.base_url,
                "sending__twilio__callback_base_url": f"http://127.0.0.1:{port}",
                "sending__twilio__account_sid": ACCOUNT_SID,
                "sending__twilio__key_sid": KEY_SID,
                "sending__twilio__key_secret": KEY_SECRET,
                "sending__twilio__service_sid": SERVICE_SID,
                "secrets__key": base64.b64encode(bytes(range(32))).decode(),
                "api__port": str(port),
                **QUICK,
            }
            if whole_nodes:
                settings |= {"sending__processes": "1", "api__processes": "1"}
                ports = [port, *(new_port() for _ in range(nodes - 1))]
                senders = [
                    await testbed.add_node("run", start=False, **settings | {"api__port": str(own)})
                    for own in ports
                ]
            else:
                await testbed.add_node("api", start=False, **settings)
                senders = [await testbed.add_node("sender", start=False, **settings) for _ in range(nodes)]
            await asyncio.gather(*(node.start() for node in testbed.nodes))
            yield Outgoing(testbed, twilio, senders)


@contextlib.asynccontextmanager
async def open_outgoing_by_smpp(
    *, nodes: int = 2, rate: float = 200, unknown_after: float = 20, keep_logs: Path | None = None
) -> AsyncIterator[Outgoing]:
    """As open_outgoing with senders alone, two binds each, through an aggregator that tells everything twice.

    What has no answer is told as unknown after `unknown_after` seconds.
    """
    async with open_testbed(keep_logs=keep_logs) as testbed:
        behaviour = {
            "answerAfter": 0.05,
            "receiptAfter": 0.2,
            "receiptCopies": 2,
            "receiptsFirst": 0.1,
            "failing": _FAILING,
        }
        with running_smsc(**behaviour) as smsc:
            settings = smsc.settings(
                sending__public__rate=str(rate),
                sending__smpp__binds="2",
                sending__unknown_after=str(unknown_after),
                **_QUICK_UNKNOWN,
            )
            senders = [await testbed.add_node("sender", start=False, **settings) for _ in range(nodes)]
            await asyncio.gather(*(node.start() for node in senders))
            yield Outgoing(testbed, smsc, senders)
