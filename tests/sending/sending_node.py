"""A sender process's inside, run in a test: batches of any size, a provider that takes note of all, and what sends through it."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from campaigns.campaigns import Channel
from config.environment import Environment
from config.settings import Settings
from database.connections import Connection, Pool
from messages.news import Receipt
from messages.statuses import MessageStatus
from rules.messages import DEFAULT_FOOTERS
from sending.composing import Composer
from sending.dispatcher import Dispatcher
from sending.outcomes import Outcomes, open_outcomes
from sending.providers.provider import NO_LIMIT, Absent, HandOver, OpenAttempt, Outgoing, Taken
from sending.senders import SenderPlan, SenderState
from sending.taking import BatchTaking
from sending.upkeep.restored import ClaimMark, DatabaseGuard
from tests.messages.builders import counted, recount

FRAME: dict[str, object] = {"before": "Clinic: ", "after": {"english": " -end", "chinese": " -完"}}


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A message as the provider got it; `at` is its wall clock."""

    at: float
    message: Outgoing


async def take_all(message: Outgoing) -> HandOver:
    """What a provider does that has no trouble."""
    return Taken(f"id-{message.key.batch_no}-{message.key.row_number}-{message.key.attempt}")


@dataclass
class NotingProvider:
    """Takes note of what is handed over, in the order in which it came, and answers as `answer` does."""

    answer: Callable[[Outgoing], Awaitable[HandOver]] = take_all
    handed_over: list[HandedOver] = field(default_factory=list)
    closed: bool = False
    most_at_once: int = NO_LIMIT

    async def hand_over(self, message: Outgoing) -> HandOver:
        self.handed_over.append(HandedOver(datetime.now(UTC).timestamp(), message))
        return await self.answer(message)

    async def look_up(self, attempts: Sequence[OpenAttempt]) -> list[Receipt | Absent]:
        return []

    async def receipts(self) -> AsyncIterator[Receipt]:
        await asyncio.Event().wait()
        yield Receipt  # type: ignore[misc]  # pragma: no cover

    async def close(self) -> None:
        self.closed = True

    def rows_of(self, batch_no: int) -> list[int]:
        """The rows of a batch that were handed over, in that order."""
        return [
            one.message.key.row_number for one in self.handed_over if one.message.key.batch_no == batch_no
        ]


class NoMark:
    """A bucket that no claim was ever noted in."""

    async def read(self) -> datetime | None:
        return None

    async def write(self, at: datetime) -> None:
        raise AssertionError(at)


@dataclass
class SendingNode:
    """A running dispatcher. `senders` is what its settings want."""

    dispatcher: Dispatcher
    outcomes: Outcomes
    provider: NotingProvider
    stop: asyncio.Event
    task: asyncio.Task[None]

    async def end(self) -> None:
        """Tell it to stop, and wait until it has."""
        self.stop.set()
        await self.task


@contextlib.asynccontextmanager
async def sending_node(
    settings: Settings,
    pool: Pool,
    provider: NotingProvider,
    *,
    rate: float = 10_000,
    plans: Sequence[SenderPlan] | None = None,
    mark: ClaimMark | None = None,
) -> AsyncIterator[SendingNode]:
    """Send with this provider until the block ends. Without `plans` there is the public sender alone, of that rate."""
    wanted = list(plans) if plans is not None else [SenderPlan("public", "simulator", rate)]

    async def plan_senders(_connection: Connection) -> list[SenderPlan]:
        return wanted

    async def open_provider(state: SenderState) -> NotingProvider | None:
        return provider if state.provider != "none" else None

    stop = asyncio.Event()
    guard = DatabaseGuard(pool, mark or NoMark())
    await guard.check()
    async with open_outcomes(pool, settings.sending) as outcomes:
        dispatcher = Dispatcher(
            pool,
            settings.database,
            settings.sending,
            outcomes=outcomes,
            composer=Composer(),
            guard=guard,
            taking=BatchTaking(pool, Environment.TEST, DEFAULT_FOOTERS),
            plan_senders=plan_senders,
            open_provider=open_provider,
        )
        task = asyncio.create_task(dispatcher.run(stop, lambda: None, drain_seconds=5))
        node = SendingNode(dispatcher, outcomes, provider, stop, task)
        try:
            yield node
        finally:
            await node.end()


async def add_batch(
    connection: Connection,
    campaign_id: str,
    rows: int,
    *,
    kind: str = "batch",
    segments: int = 1,
    frame: dict[str, object] | None = FRAME,
    created_at: datetime | None = None,
    value: str = "Tan",
) -> int:
    """A batch as the worker writes it, not taken up yet; returns its number. Its rows begin with 2, a single send's with 1."""
    first = 2 if kind == "batch" else 1
    async with connection.transaction():
        batch_no: int = await connection.fetchval(
            "insert into batches (id, campaign_id, original_file_name, total_messages, kind, frame, created_at)"
            " values ($1, $2, 'a.csv', $3, $4, $5, coalesce($6, now())) returning batch_no",
            f"batch_{uuid.uuid4()}",
            campaign_id,
            rows,
            kind,
            None if frame is None else json.dumps(frame),
            created_at,
        )
        await connection.execute(
            'insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)'
            " select $1, n, '6591234567', 'english', jsonb_build_object('name', $4::text), $3, 'GSM-7'"
            " from generate_series($5::integer, $2::integer + $5 - 1) n",
            batch_no,
            rows,
            segments,
            value,
            first,
        )
    await connection.execute("select pg_notify('sftp_gateway_batches', $1)", str(batch_no))
    return batch_no


async def add_singles(connection: Connection, campaign_id: str, count: int) -> None:
    """So many single sends in one statement."""
    await connection.execute(
        "with made as ("
        " insert into batches (id, campaign_id, original_file_name, total_messages, kind, frame)"
        " select 'batch_' || gen_random_uuid(), $1, 'a.csv', 1, 'single', $3 from generate_series(1, $2::integer)"
        " returning batch_no)"
        ' insert into messages (batch_no, row_number, recipient, language, "values", segments, encoding)'
        " select batch_no, 1, '6591234567', 'english', '{\"name\": \"Tan\"}', 1, 'GSM-7' from made",
        campaign_id,
        count,
        json.dumps(FRAME),
    )


async def add_campaign(
    connection: Connection, campaign_id: str, *, channel: Channel = Channel.PUBLIC, otp: bool = False
) -> str:
    """An active campaign with a body for English."""
    await connection.execute(
        "insert into campaigns (id, name, channel, header, notify_email, otp) values ($1, $1, $2, 'Clinic', 'a@b.sg', $3)",
        campaign_id,
        channel.value,
        otp,
    )
    await connection.execute(
        "insert into template_bodies (campaign_id, language, body, position) values ($1, 'english', 'Dear {{name}}', 0)",
        campaign_id,
    )
    return campaign_id


async def statuses(connection: Connection, batch_no: int) -> dict[str, int]:
    """How many messages of the batch have each status, by its own counts, which are those of its attempts."""
    # Both are read at one moment, as outcomes may be committed between them.
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        counts, errors = await counted(connection, batch_no)
        assert (counts, errors) == await recount(connection, batch_no)
    return {status.word: count for status, count in zip(MessageStatus, counts, strict=True) if count}


async def until(condition: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
    """Wait until `condition` holds; fails, saying `what` was waited for, after so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - it may look at the database
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not in time: {what}") from None
