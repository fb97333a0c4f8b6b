"""What hand-overs and receipts bring is gathered for a tenth of a second and recorded in bulk, each with its batch's counts.

An outcome is kept until its transaction has committed: where the database is away, it is recorded again, but only once it is
known that the first time did not count, since a put-back that counts twice would send a message twice. A mark in the table
`outcome_groups` tells that: a transaction's number alone doesn't, since after a crash PostgreSQL gives numbers again. An outcome
that dies with its process leaves its attempt `sending`, and a sweep has it looked up.
"""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Final, TypeAlias, assert_never

import asyncpg

from config.fault_points import reach
from config.logs import describe_exception, get_logger
from config.sending_sections import SendingSettings
from database.connections import UNREACHABLE, Connection, Pool
from database.queries import NamedQueries
from messages.attempts import Recorded, in_transaction, record_news
from messages.news import Answer, AttemptKey, News, Receipt
from messages.statuses import MessageStatus
from sending.metrics import OUTCOMES_DROPPED, OUTCOMES_KEPT, OUTCOMES_UNKNOWN, count_recorded
from sending.parts import match_receipts, record_parts
from sending.providers.provider import HandOver, PartNews, PutBack, Refused, Taken, Unknown

SQL: Final = NamedQueries("sending", "outcomes.sql")
GATHER_SECONDS: Final = 0.1
MOST_AT_ONCE: Final = 2_000
# While the database is away, it is asked again so soon, and then ever later.
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
# What the database will refuse again. Whatever else it says, outcomes are kept.
_UNRECORDABLE: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)
# Away, or not as it must be now: rights, a setting, a bug. Outcomes are kept all the same.
_AWAY: Final[tuple[type[BaseException], ...]] = (*UNREACHABLE, asyncpg.PostgresError)
# At the end of a process outcomes get so many seconds more.
DRAIN_SECONDS: Final = 10.0
# For so long the mark of a process's last group is kept: longer than a database is ever away while the process waits for it.
_GROUPS_KEPT: Final = timedelta(days=30)

logger = get_logger("sending")


def answer_of(key: AttemptKey, handover: HandOver, now: datetime, look_up_after: float) -> Answer:
    """What a hand-over's end means for its attempt. `look_up_after` is in seconds."""
    match handover:
        case Taken():
            return Answer(key, handover.status, provider_id=handover.provider_id, at=now)
        case Refused():
            return Answer(
                key,
                MessageStatus.FAILURE,
                handover.error,
                handover.raw_code,
                may_have_arrived=handover.may_have_arrived,
                at=now,
            )
        case PutBack():
            return Answer(
                key,
                MessageStatus.ENQUEUED,
                raw_code=handover.raw_code,
                counts=handover.counts,
                due_at=now + timedelta(seconds=handover.delay),
                at=now,
            )
        case Unknown():
            due_at = now + timedelta(seconds=look_up_after)
            return Answer(key, MessageStatus.SENDING, raw_code=handover.raw_code, due_at=due_at, at=now)
        case _:
            assert_never(handover)


class Outcomes:
    """One process's outcomes on their way into the database. Made by `open_outcomes`."""

    def __init__(self, pool: Pool, settings: SendingSettings) -> None:
        self._pool = pool
        self._look_up_after = settings.look_up_after[0]
        self._process = uuid.uuid4()
        self._groups = 0
        self._news: deque[_Gathered] = deque()
        self._wake = asyncio.Event()
        self._added = self._recorded = 0
        self._flushed: list[tuple[int, asyncio.Future[None]]] = []

    def add(self, key: AttemptKey, handover: HandOver) -> None:
        """Take note of how a hand-over ended. The pause that a PutBack asks for is the dispatcher's to make."""
        if isinstance(handover, Unknown):
            OUTCOMES_UNKNOWN.inc()
        answer = answer_of(key, handover, datetime.now(UTC), self._look_up_after)
        part_ids = () if isinstance(handover, PutBack) else handover.part_ids
        self._add(_WithParts(answer, part_ids) if part_ids else answer)

    def add_receipt(self, receipt: Receipt | PartNews) -> None:
        """Take note of news of an attempt, or of a part of one, in whatever order it comes."""
        self._add(receipt)

    def _add(self, news: "_Gathered") -> None:
        self._news.append(news)
        self._added += 1
        self._wake.set()
        OUTCOMES_KEPT.set(len(self._news))

    @property
    def kept(self) -> int:
        """How many outcomes wait for the database. Whoever claims should wait while they are many."""
        return len(self._news)

    async def flush(self) -> None:
        """Return once all that was added before the call is committed, however long the database is away."""
        if self._recorded < self._added:
            flushed = asyncio.get_running_loop().create_future()
            self._flushed.append((self._added, flushed))
            self._wake.set()
            await flushed

    async def record_forever(self) -> None:
        """Record what is added, in its order, until cancelled. `open_outcomes` runs it."""
        while True:
            await self._wake.wait()
            # What comes while a group is recorded is gathered again, but where it fills a group, or somebody waits for it.
            if len(self._news) < MOST_AT_ONCE and not self._flushed:
                await asyncio.sleep(GATHER_SECONDS)
            group = list(islice(self._news, MOST_AT_ONCE))
            open_ids = await self._record(group)
            for news in group:
                if isinstance(news, PartNews):
                    news.recorded()
            if open_ids:
                await self._match(open_ids)
            for _ in group:
                self._news.popleft()
            self._recorded += len(group)
            OUTCOMES_KEPT.set(len(self._news))
            self._tell_flushed()
            if not self._news:
                self._wake.clear()

    def _tell_flushed(self) -> None:
        waiting = []
        for until, flushed in self._flushed:
            if until > self._recorded:
                waiting.append((until, flushed))
            elif not flushed.done():
                flushed.set_result(None)
        self._flushed = waiting

    async def _record(self, group: Sequence["_Gathered"]) -> list[str]:
        """Return once the group is committed. One that the database refuses for what it holds is recorded piece by piece.

        The ids of parts that it returns are to be matched.
        """
        if any(isinstance(news, Answer | _WithParts) for news in group):
            reach("sending.handed_over")
        if any(isinstance(news, Receipt | PartNews) for news in group):
            reach("sending.received")
        try:
            open_ids = await self._record_once(group)
        except _UNRECORDABLE as error:
            if len(group) == 1:
                OUTCOMES_DROPPED.inc()
                where = _place_of(group[0])
                logger.error("outcome_dropped", **where, **describe_exception(error))  # noqa: TRY400 - its text may hold rows
                return []
            open_ids = [each for news in group for each in await self._record([news])]
        reach("sending.recorded")
        return open_ids

    async def _match(self, provider_ids: Sequence[str]) -> None:
        """Let what was just committed of parts meet what was there. Where the database goes away, a sweep does it."""
        more = True
        try:
            while more:
                async with self._pool.acquire() as connection:
                    recorded, more = await in_transaction(
                        connection,
                        partial(match_receipts, connection, provider_ids, now=datetime.now(UTC)),
                    )
                count_recorded(recorded)
        except _AWAY as error:
            logger.warning("receipts_unmatched_yet", parts=len(provider_ids), **describe_exception(error))

    async def _record_once(self, group: Sequence["_Gathered"]) -> list[str]:
        """Record the group exactly once, however often the connection breaks, and return the ids of parts to be matched.

        Raises one of _UNRECORDABLE.
        """
        doubtful = ""
        wait = _FIRST_WAIT
        self._groups += 1
        mark = (self._process, self._groups)
        while True:
            transaction = _Transaction(group, mark)
            try:
                async with self._pool.acquire() as connection:
                    if doubtful:
                        if await _is_in_progress(connection, doubtful):
                            raise TimeoutError
                        if await connection.fetchval(SQL["is_recorded"], *mark):
                            return _ids_of(group)
                        doubtful = ""
                    recorded = await in_transaction(connection, partial(transaction.record, connection))
            except _UNRECORDABLE:
                raise
            except _AWAY as error:
                doubtful = transaction.id or doubtful
                logger.warning("outcomes_waiting", outcomes=len(self._news), **describe_exception(error))
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            else:
                count_recorded(recorded)
                return transaction.open_ids


async def _is_in_progress(connection: Connection, transaction_id: str) -> bool:
    """Whether it may still be committed. Whether it was, its number doesn't tell: another one may have that since a crash."""
    try:
        return bool(
            await connection.fetchval(SQL["fetch_transaction_status"], transaction_id) == "in progress"
        )
    except asyncpg.InvalidParameterValueError:
        # "In the future": it was lost in a crash, and nobody has its number again yet.
        return False


async def delete_old_groups(connection: Connection) -> None:
    """Forget the marks of processes that are long gone."""
    await connection.execute(SQL["delete_old_groups"], _GROUPS_KEPT)


@dataclass(frozen=True, slots=True)
class _WithParts:
    """An answer to a hand-over whose parts have ids of their own."""

    answer: Answer
    part_ids: tuple[str, ...]


_Gathered: TypeAlias = News | PartNews | _WithParts


def _place_of(news: _Gathered) -> dict[str, int]:
    """Which attempt it is of, for the log; a receipt of a part doesn't know."""
    if isinstance(news, PartNews):
        return {}
    key = news.answer.key if isinstance(news, _WithParts) else news.key
    return {"batch_no": key.batch_no, "row": key.row_number, "attempt": key.attempt}


def _ids_of(group: Sequence[_Gathered]) -> list[str]:
    """The ids of parts of which the group tells, each once."""
    ids: set[str] = set()
    for news in group:
        match news:
            case PartNews():
                ids.add(news.provider_id)
            case _WithParts():
                ids.update(filter(None, news.part_ids))
            case _:
                pass
    return list(ids)


class _Transaction:
    """One try to record a group, with its mark: a process, and the group's number in it.

    `id` is the transaction's, known before it can be committed; empty until then. `open_ids`, once it is recorded, are those of
    parts that are to be matched after the commit.
    """

    def __init__(self, group: Sequence[_Gathered], mark: tuple[uuid.UUID, int]) -> None:
        self._group = group
        self._mark = mark
        self.id = ""
        self.open_ids: list[str] = []

    async def record(self, connection: Connection) -> Recorded:
        self.id = ""
        self.id = await connection.fetchval(SQL["begin_group"], *self._mark)
        with_parts = [
            (news.answer.key, news.part_ids) for news in self._group if isinstance(news, _WithParts)
        ]
        of_parts = [news for news in self._group if isinstance(news, PartNews)]
        parts = await record_parts(connection, with_parts, of_parts)
        self.open_ids = parts.open_ids
        plain = [
            news.answer if isinstance(news, _WithParts) else news
            for news in self._group
            if not isinstance(news, PartNews)
        ]
        # A part that is known has been taken, by this group's answer or by one before it.
        return await record_news(connection, [*plain, *parts.receipts], now=datetime.now(UTC))


@contextlib.asynccontextmanager
async def open_outcomes(
    pool: Pool, settings: SendingSettings, *, drain: float = DRAIN_SECONDS
) -> AsyncIterator[Outcomes]:
    """Record in the background until the block ends; then what is still kept, for `drain` seconds at most."""
    outcomes = Outcomes(pool, settings)
    recording = asyncio.create_task(outcomes.record_forever())
    try:
        yield outcomes
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(outcomes.flush(), timeout=drain)
        if outcomes.kept:
            logger.warning("outcomes_left", outcomes=outcomes.kept)
        recording.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await recording
